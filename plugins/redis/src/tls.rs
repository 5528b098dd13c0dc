//! Encrypted connections: whom the client believes, and who it says that it is.

use crate::error::Error;
use azora_connect::Setup;
use azora_spec::wire::Fields;
use azora_spec::{Failure, Secret};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client's side of TLS. What it holds is not shown.
#[derive(Clone)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the fields of it. A fault never repeats what a field holds.
    pub(crate) fn read(fields: &mut Fields<'_>, setup: &Setup, is_wanted: bool) -> Result<Option<Self>, Failure> {
        let mut secret = |name| setup.secrets.field(fields, name);
        let (authority, certificate, key) = (secret("caPem")?, secret("certificatePem")?, secret("keyPem")?);
        if !is_wanted {
            let told = [(&authority, "caPem"), (&certificate, "certificatePem"), (&key, "keyPem")];
            return match told.into_iter().find(|(told, _)| told.is_some()) {
                Some((_, name)) => Err(fields.wrong(name, "certificates are for URLs that begin with rediss://")),
                None => Ok(None),
            };
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(authority) = &authority {
            // Whoever names an authority believes no other.
            roots.roots.clear();
            let found = certificates(authority).filter(|found| found.iter().all(|one| roots.add(one.clone()).is_ok()));
            found.ok_or_else(|| fields.wrong("caPem", "not certificates in PEM"))?;
        }
        let broken = |_| Failure::from(Error::Foreign("TLS"));
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(broken)?.with_root_certificates(roots);
        let client = match (&certificate, &key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate).ok_or_else(|| fields.wrong("certificatePem", "not certificates in PEM"))?;
                let wrong = || fields.wrong("keyPem", "not a private key in PEM that fits the certificate");
                let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| wrong())?;
                builder.with_client_auth_cert(chain, key).map_err(|_| wrong())?
            }
            (_, None) => return Err(fields.wrong("keyPem", "a certificate is of no use without its key")),
            (None, _) => return Err(fields.wrong("certificatePem", "a key is of no use without its certificate")),
        };
        Ok(Some(Self(Arc::new(client))))
    }

    /// Shakes hands.
    pub(crate) async fn wrap(&self, stream: TcpStream, host: &str, server: &str, time: Duration) -> Result<TlsStream<TcpStream>, Error> {
        let failed = |reason: String| Error::Tls { server: server.to_owned(), reason };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| failed("the host is no name".to_owned()))?;
        match tokio::time::timeout(time, TlsConnector::from(Arc::clone(&self.0)).connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                Err(failed(
                    inner.map_or_else(|| "the connection was lost".to_owned(), |inner| inner.to_string().chars().take(200).collect()),
                ))
            }
            Err(_) => Err(failed("no answer in time".to_owned())),
        }
    }
}

/// All certificates of a text, at least one.
fn certificates(pem: &Secret) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose().as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty())
}
