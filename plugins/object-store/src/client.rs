//! The HTTP client of the stores: it connects to addresses that the policy answers, and follows no redirect.

use azora_connect::Policy;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector};
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
        Ok(HttpClient::new(client))
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
