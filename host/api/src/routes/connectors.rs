//! Which connectors this server has: its own, and those of plugins.

use crate::App;
use crate::error::Result;
use crate::reply::ok;
use axum::extract::State;
use serde_json::{Value, json};

/// All of them: the server's own by name, then every version of every plugin's.
pub(crate) async fn list(State(app): State<App>) -> Result {
    let own = app.connectors.iter().map(|connector| {
        json!({
            "name": connector.name, "source": connector.is_source, "sink": connector.is_sink,
            "configSchema": connector.config_schema,
        })
    });
    let mut shown: Vec<Value> = own.collect();
    for plugin in app.handle.plugins()? {
        let reference = format!("{}@{}", plugin.name, plugin.version);
        for connector in plugin.connectors {
            shown.push(json!({
                "name": "plugin", "plugin": reference, "connector": connector.name, "source": connector.is_source,
                "sink": !connector.is_source, "doc": connector.doc,
                "configSchema": connector.config_schema.unwrap_or_else(|| json!({"type": "object", "additionalProperties": false})),
            }));
        }
    }
    Ok(ok(&json!({ "connectors": shown })))
}
