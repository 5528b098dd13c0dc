//! Which stores there are, and how each is opened.

use crate::client::Checked;
use crate::error::{self, Named};
use azora_connect::Setup;
use azora_connect::network::Url;
use azora_spec::wire::Fields;
use azora_spec::{Code, Failure, Secret};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, ObjectStore, RetryConfig, StaticCredentialProvider};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Tries after the first one of a request that may be repeated.
const RETRIES_MAX: usize = 3;
/// Longest time over all tries of one request.
const RETRY_TIME: Duration = Duration::from_secs(60);
/// Longest wait for a connection and the first answer, where the request does not say.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Google's own server.
const GCS: &str = "https://storage.googleapis.com";

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Provider {
    /// Amazon S3 and everything that speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Provider {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }

    /// Members of the configuration that only this store has, as JSON Schema.
    pub(crate) fn properties(self) -> Map<String, Value> {
        let secret = |text: &str| json!({ "type": ["string", "object"], "writeOnly": true, "description": text });
        let text = |text: &str| json!({ "type": "string", "description": text });
        let members = match self {
            Self::S3 => json!({
                "bucket": text("the bucket"), "region": text("us-east-1 where absent"),
                "endpoint": text("the URL of another server that speaks S3"),
                "accessKeyId": secret("without it the secret AWS_ACCESS_KEY_ID, else anonymous"),
                "secretAccessKey": secret("without it the secret AWS_SECRET_ACCESS_KEY"), "sessionToken": secret("of temporary keys"),
            }),
            Self::Gcs => json!({
                "bucket": text("the bucket"), "endpoint": text("the URL of another server that speaks Google's XML API"),
                "serviceAccountKey": secret("the JSON of a service account; without it the secret GCS_SERVICE_ACCOUNT_KEY, else anonymous"),
            }),
            Self::Azure => json!({
                "account": text("the storage account"), "container": text("the container"), "endpoint": text("the URL of another server"),
                "accessKey": secret("without it the secret AZURE_STORAGE_KEY, else anonymous"),
            }),
        };
        members.as_object().cloned().unwrap_or_default()
    }

    /// The member that names the bucket.
    pub(crate) const fn bucket(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "bucket",
            Self::Azure => "container",
        }
    }

    /// Where a request names it.
    pub(crate) const fn bucket_pointer(self) -> &'static str {
        match self {
            Self::S3 | Self::Gcs => "/bucket",
            Self::Azure => "/container",
        }
    }

    /// The members that say who asks, for hints.
    pub(crate) const fn keys(self) -> &'static str {
        match self {
            Self::S3 => "'accessKeyId', 'secretAccessKey' and 'region'",
            Self::Gcs => "'serviceAccountKey'",
            Self::Azure => "'account' and 'accessKey'",
        }
    }

    /// Opens the store that a configuration names. Nothing is sent yet.
    pub(crate) fn open(self, fields: &mut Fields<'_>, setup: &Setup) -> Result<Opened, Failure> {
        let bucket = bucket(fields, self.bucket())?;
        let place = Place::read(fields, setup)?;
        let (store, usual) = match self {
            Self::S3 => s3(fields, setup, &bucket, &place)?,
            Self::Gcs => (gcs(fields, setup, &bucket, &place)?, "storage.googleapis.com:443".to_owned()),
            Self::Azure => azure(fields, setup, &bucket, &place)?,
        };
        let server = place.url.as_ref().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
        Ok(Opened { store, bucket, server: server.unwrap_or(usual) })
    }
}

/// A store that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) bucket: String,
    /// Host and port, for people.
    pub(crate) server: String,
}

/// Where a store is, and how long it is waited for.
#[derive(Debug)]
struct Place {
    /// The endpoint, where the request names one.
    url: Option<Url>,
    client: Checked,
}

impl Place {
    /// The endpoint, checked; and the client that connects only to it.
    fn read(fields: &mut Fields<'_>, setup: &Setup) -> Result<Self, Failure> {
        let url = match fields.text("endpoint")? {
            Some(text) => {
                Some(setup.network.check_url(text, &["http", "https"]).map_err(|failure| failure.at(fields.pointer("endpoint")))?)
            }
            None => None,
        };
        let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or(443);
        let connect_time = fields.milliseconds("connectTimeoutMs", 100..=120_000)?.unwrap_or(CONNECT_TIME);
        Ok(Self { url, client: Checked { network: setup.network.clone(), port, connect_time } })
    }

    fn endpoint(&self) -> Option<&str> {
        self.url.as_ref().map(|url| url.as_str().trim_end_matches('/'))
    }

    fn is_http(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme() == "http")
    }
}

/// A bucket's name becomes part of a host, so only letters that names may have are let through.
fn bucket(fields: &mut Fields<'_>, name: &'static str) -> Result<String, Failure> {
    let text = fields.required_text(name)?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let is_name = (1..=255).contains(&text.len()) && text.bytes().all(is_letter) && !text.contains("..") && !text.starts_with(['.', '-']);
    if is_name { Ok(text.to_owned()) } else { Err(fields.wrong(name, format!("'{name}' is not the name of one"))) }
}

fn retry() -> RetryConfig {
    RetryConfig { max_retries: RETRIES_MAX, retry_timeout: RETRY_TIME, ..RetryConfig::default() }
}

/// A secret of the configuration, else one that the operator gave every job of this kind.
fn secret(fields: &mut Fields<'_>, setup: &Setup, name: &'static str, usual: &str) -> Result<Option<Secret>, Failure> {
    match setup.secrets.field(fields, name)? {
        Some(secret) => Ok(Some(secret)),
        None => Ok(setup.secrets.get(usual).ok()),
    }
}

fn opened<T: ObjectStore>(built: object_store::Result<T>, provider: Provider, bucket: &str) -> Result<Arc<dyn ObjectStore>, Failure> {
    let named = Named { provider, text: format!("'{}://{bucket}'", provider.name()) };
    let store = built.map_err(|source| match error::store(&source, &named) {
        failure if failure.code == Code::ConnectorUnavailable => {
            Failure::new(Code::ConnectorConfig, "the store cannot be opened with this configuration")
        }
        failure => failure,
    })?;
    Ok(Arc::new(store))
}

fn s3(fields: &mut Fields<'_>, setup: &Setup, bucket: &str, place: &Place) -> Result<(Arc<dyn ObjectStore>, String), Failure> {
    let region = fields.text("region")?.unwrap_or("us-east-1");
    if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') || region.is_empty() {
        return Err(fields.wrong("region", "'region' is not the name of one"));
    }
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_retry(retry())
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(ClientOptions::new().with_allow_http(place.is_http()))
        .with_allow_http(place.is_http())
        .with_http_connector(place.client.clone());
    if let Some(endpoint) = place.endpoint() {
        builder = builder.with_endpoint(endpoint);
    }
    let own = setup.secrets.field(fields, "accessKeyId")?;
    let own_secret = setup.secrets.field(fields, "secretAccessKey")?;
    let token = setup.secrets.field(fields, "sessionToken")?;
    let keys = match (own, own_secret) {
        (None, None) => setup.secrets.get("AWS_ACCESS_KEY_ID").ok().zip(setup.secrets.get("AWS_SECRET_ACCESS_KEY").ok()),
        (Some(id), Some(key)) => Some((id, key)),
        (None, Some(_)) => return Err(fields.missing("accessKeyId")),
        (Some(_), None) => return Err(fields.missing("secretAccessKey")),
    };
    builder = match keys {
        Some((id, key)) => builder.with_access_key_id(id.expose()).with_secret_access_key(key.expose()),
        // Without this the client would ask the machine's metadata service for the server's own role.
        None => builder.with_skip_signature(true),
    };
    if let Some(token) = token {
        builder = builder.with_token(token.expose());
    }
    Ok((opened(builder.build(), Provider::S3, bucket)?, format!("s3.{region}.amazonaws.com:443")))
}

fn gcs(fields: &mut Fields<'_>, setup: &Setup, bucket: &str, place: &Place) -> Result<Arc<dyn ObjectStore>, Failure> {
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_retry(retry())
        .with_client_options(ClientOptions::new().with_allow_http(place.is_http()))
        .with_http_connector(place.client.clone())
        // Always told: a key may hold the URL of another server, which nobody checked.
        .with_base_url(place.endpoint().unwrap_or(GCS));
    let builder = match secret(fields, setup, "serviceAccountKey", "GCS_SERVICE_ACCOUNT_KEY")? {
        Some(key) => builder.with_service_account_key(key.expose()),
        // Without a credential the client would use the server's own role for whatever it writes, even unsigned.
        None => {
            let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
            builder.with_credentials(Arc::new(nobody)).with_skip_signature(true)
        }
    };
    opened(builder.build(), Provider::Gcs, bucket)
}

fn azure(fields: &mut Fields<'_>, setup: &Setup, container: &str, place: &Place) -> Result<(Arc<dyn ObjectStore>, String), Failure> {
    let account = bucket(fields, "account")?;
    let mut builder = MicrosoftAzureBuilder::new()
        .with_account(&account)
        .with_container_name(container)
        .with_retry(retry())
        .with_allow_http(place.is_http())
        .with_http_connector(place.client.clone());
    if let Some(endpoint) = place.endpoint() {
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    builder = match secret(fields, setup, "accessKey", "AZURE_STORAGE_KEY")? {
        Some(key) => builder.with_access_key(key.expose()),
        None => builder.with_skip_signature(true),
    };
    Ok((opened(builder.build(), Provider::Azure, container)?, format!("{account}.blob.core.windows.net:443")))
}
