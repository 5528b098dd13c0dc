//! Uploaded plugins: inspect, keep, list, delete.

use crate::error::Error;
use crate::live::now_ms;
use crate::manifest::{self, Kept};
use crate::shared::{Shared, blocking};
use crate::views::{ColumnView, FunctionView, PluginConnectorView, PluginView};
use arrow::datatypes::{Field, Schema};
use azora_sandbox::{Capability, ConnectorDecl, FunctionDecl, Inspection, PluginConnectorKind};
use azora_spec::{Code, Digest, Failure, Grants, PluginRef};
use azora_store::{Event, PluginAdded, PluginRow};
use std::sync::Arc;

impl Shared {
    /// Checks an upload and keeps it. The same bytes again are answered with what is there.
    pub(crate) async fn upload_plugin(&self, bytes: Vec<u8>) -> Result<PluginView, Failure> {
        let bytes = Arc::new(bytes);
        let inspection = self.inspect(Arc::clone(&bytes)).await?;
        let kept = Kept {
            manifest: inspection.manifest.clone(),
            imports: inspection.imports.clone(),
            exports: inspection.exports.clone(),
            grants: Grants::default(),
        };
        let _turn = self.adding.lock().await;
        self.check_open()?;
        if let Some(row) = self.store.plugin(&inspection.digest) {
            return Ok(PluginView { is_known: true, ..self.view_of(&row)? });
        }
        let (name, version) = (&inspection.manifest.name, &inspection.manifest.version);
        if self.catalog.version(name, version).is_some() {
            return Err(Error::PluginExists(format!("{name}@{version}")).into());
        }
        let added = PluginAdded {
            digest: inspection.digest,
            name: name.clone(),
            version: version.clone(),
            bytes: bytes.len() as u64,
            at_ms: now_ms(),
            manifest: manifest::encode(&inspection)?,
        };
        let (store, digest) = (self.store.clone(), inspection.digest);
        blocking(move || store.write_plugin(&digest, &bytes)).await??;
        let view = view(&added.digest, added.bytes, added.at_ms, kept);
        self.store.commit(&[Event::PluginAdded(added)]).await?;
        Ok(view)
    }

    /// Checks an upload and keeps nothing.
    pub(crate) async fn inspect_plugin(&self, bytes: Vec<u8>) -> Result<PluginView, Failure> {
        let inspection = self.inspect(Arc::new(bytes)).await?;
        let Inspection { digest, manifest, imports, exports, bytes } = inspection;
        let is_known = self.store.plugin(&digest).is_some();
        Ok(PluginView { is_known, ..view(&digest, bytes, now_ms(), Kept { manifest, imports, exports, grants: Grants::default() }) })
    }

    /// One inspection at a time, few waiting: each may take seconds and much memory in its child process.
    async fn inspect(&self, bytes: Arc<Vec<u8>>) -> Result<Inspection, Failure> {
        self.check_open()?;
        let limit = self.options.uploads_max;
        let _place = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| Failure::from(Error::UploadsFull { limit }))?;
        let _slot = self.inspections.acquire().await.map_err(|_| Failure::from(Error::Draining))?;
        let sandbox = self.sandbox.clone();
        Ok(blocking(move || sandbox.inspect(&bytes)).await??)
    }

    pub(crate) fn plugin_views(&self) -> Result<Vec<PluginView>, Failure> {
        self.store.plugins().iter().map(|row| self.view_of(row)).collect()
    }

    pub(crate) fn plugin_view(&self, reference: &PluginRef) -> Result<PluginView, Failure> {
        self.view_of(&self.catalog.row(reference)?)
    }

    /// Deletes a plugin, unless a job that has not ended uses it.
    pub(crate) async fn delete_plugin(&self, reference: &PluginRef) -> Result<PluginView, Failure> {
        let row = self.catalog.row(reference)?;
        let view = self.view_of(&row)?;
        let lsn = {
            let _registering = self.registering.lock();
            let user = self.live.read().values().find(|live| live.uses.lock().plugins.contains(&row.digest)).map(|live| live.id);
            if let Some(job) = user {
                return Err(Error::PluginInUse { plugin: format!("{}@{}", row.name, row.version), job }.into());
            }
            self.store.append(&[Event::PluginRemoved { digest: row.digest }])?
        };
        self.store.flush(lsn).await?;
        self.catalog.forget(&row.digest);
        let store = self.store.clone();
        blocking(move || store.remove_plugin_bytes(&row.digest)).await??;
        Ok(view)
    }

    /// Sets what a plugin's connectors may use from now on; durable when answered.
    pub(crate) async fn grant_plugin(&self, reference: &PluginRef, grants: Grants) -> Result<PluginView, Failure> {
        let _turn = self.adding.lock().await;
        let row = self.catalog.row(reference)?;
        let mut added = self.store.plugin_added(&row)?;
        check_asked(&manifest::decode(&added.manifest)?, &grants)?;
        added.manifest = manifest::with_grants(added.manifest, &grants);
        self.store.commit(&[Event::PluginAdded(added)]).await?;
        self.catalog.forget(&row.digest);
        self.plugin_view(reference)
    }

    fn view_of(&self, row: &PluginRow) -> Result<PluginView, Failure> {
        let added = self.store.plugin_added(row)?;
        Ok(view(&row.digest, row.bytes, row.at_ms, manifest::decode(&added.manifest)?))
    }
}

/// A grant that the plugin did not ask for is a slip: nobody would notice that it has no effect.
fn check_asked(kept: &Kept, grants: &Grants) -> Result<(), Failure> {
    let given = [
        (Capability::HttpClient, grants.http_client.is_some(), "/httpClient"),
        (Capability::Clock, grants.clock, "/clock"),
        (Capability::Random, grants.random, "/random"),
        (Capability::KeyValue, grants.key_value.is_some(), "/keyValue"),
        (Capability::Secrets, !grants.secrets.is_empty(), "/secrets"),
    ];
    match given.into_iter().find(|(capability, is_given, _)| *is_given && !kept.manifest.capabilities.contains(capability)) {
        Some((capability, _, pointer)) => {
            let asked: Vec<&str> = kept.manifest.capabilities.iter().map(|capability| capability.as_str()).collect();
            let failure = Failure::new(Code::RequestField, format!("the plugin does not ask for '{}'", capability.as_str())).at(pointer);
            Err(failure.hint(if asked.is_empty() { "it asks for nothing".to_owned() } else { format!("it asks for {}", asked.join(", ")) }))
        }
        None => Ok(()),
    }
}

fn view(digest: &Digest, bytes: u64, uploaded_at_ms: u64, kept: Kept) -> PluginView {
    let Kept { manifest, imports, exports, grants } = kept;
    PluginView {
        name: manifest.name,
        version: manifest.version,
        digest: *digest,
        bytes,
        doc: manifest.doc,
        functions: manifest.functions.iter().map(function_view).collect(),
        connectors: manifest.connectors.into_iter().map(connector_view).collect(),
        capabilities: manifest.capabilities.iter().map(|capability| capability.as_str().to_owned()).collect(),
        imports,
        exports,
        grants,
        uploaded_at_ms,
        is_known: false,
    }
}

fn connector_view(connector: ConnectorDecl) -> PluginConnectorView {
    let ConnectorDecl { name, kind, doc, config_schema } = connector;
    PluginConnectorView { name, is_source: kind == PluginConnectorKind::Source, doc, config_schema }
}

fn function_view(function: &FunctionDecl) -> FunctionView {
    FunctionView {
        name: function.name.clone(),
        kind: function.kind.as_str().to_owned(),
        doc: function.doc.clone(),
        params: columns(&function.params),
        output: columns(&function.output),
        config_schema: function.config_schema.clone(),
    }
}

/// Columns for people.
pub(crate) fn columns(schema: &Schema) -> Vec<ColumnView> {
    let column = |field: &Arc<Field>| ColumnView {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        is_nullable: field.is_nullable(),
    };
    schema.fields().iter().map(column).collect()
}
