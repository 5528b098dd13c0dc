//! The HTTP client of the stores: it connects to addresses that the policy answers, and follows no redirect.

use async_trait::async_trait;
use azora_connect::Policy;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Longest silence of a server that is sending.
const READ_TIME: Duration = Duration::from_secs(60);

/// Makes clients for one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) network: Policy,
    /// Port of the endpoint; names are resolved without one.
    pub(crate) port: u16,
}

impl HttpConnector for Checked {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME)
            .read_timeout(READ_TIME)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(self.clone()))
            .build()
            .map_err(|source| object_store::Error::Generic { store: "http", source: Box::new(source) })?;
        Ok(HttpClient::new(Guarded { client, network: self.network.clone() }))
    }
}

/// A client that asks the policy about addresses, too: only names are resolved, and not every URL is ours. The libraries
/// below know servers of their own, such as those that give machines their keys.
#[derive(Debug)]
struct Guarded {
    client: reqwest::Client,
    network: Policy,
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri();
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        self.network
            .check_host(uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(usual))
            .map_err(|failure| HttpError::new(HttpErrorKind::Unknown, failure))?;
        HttpService::call(&self.client, request).await
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { network, port } = self.clone();
        Box::pin(async move {
            let found = network.resolve(name.as_str(), port).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
