//! Which connectors this server has.

use crate::App;
use crate::reply::ok;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

/// All of them, by name.
pub(crate) async fn list(State(app): State<App>) -> Response {
    let shown = app.connectors.iter().map(|connector| {
        json!({
            "name": connector.name, "source": connector.is_source, "sink": connector.is_sink,
            "configSchema": connector.config_schema,
        })
    });
    ok(&json!({ "connectors": shown.collect::<Vec<Value>>() }))
}
