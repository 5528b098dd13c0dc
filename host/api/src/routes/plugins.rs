//! `/api/v1/plugins`: upload, list, get, delete, try.

use crate::App;
use crate::body::{self, Json};
use crate::error::{Problem, Result};
use crate::reply::{json, ok, plugin, plugin_path, with};
use crate::routes::query::Query;
use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use azora_jobs::PluginView;
use azora_spec::{Code, Failure, PluginName, PluginRef, wire};
use bytes::Bytes;
use serde_json::{Value, json};

/// `GET /plugins`: every version of every plugin.
pub(crate) async fn list(State(app): State<App>) -> Result {
    let plugins = app.handle.plugins()?;
    Ok(ok(&json!({ "plugins": plugins.iter().map(plugin).collect::<Vec<_>>() })))
}

/// `GET /plugins/{name}`, where the name may be `name`, `name@version` or a digest.
pub(crate) async fn one(State(app): State<App>, Path(name): Path<String>, headers: HeaderMap) -> Result {
    Ok(shown(&app.handle.plugin(&reference(&name, None)?)?, &headers))
}

/// `GET /plugins/{name}/{version}`.
pub(crate) async fn version(State(app): State<App>, Path((name, version)): Path<(String, String)>, headers: HeaderMap) -> Result {
    Ok(shown(&app.handle.plugin(&reference(&name, Some(&version))?)?, &headers))
}

/// A plugin's answer never changes under its digest.
fn shown(view: &PluginView, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", view.digest);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let response = match known {
        Some(known) if known.split(',').any(|known| known.trim() == tag || known.trim() == "*") => StatusCode::NOT_MODIFIED.into_response(),
        _ => ok(&plugin(view)),
    };
    with(response, header::ETAG, &tag)
}

/// A reference in a path that names nothing is not found, whatever is wrong with it.
fn reference(name: &str, version: Option<&str>) -> Result<PluginRef, Failure> {
    let text = version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}"));
    text.parse().map_err(|failure: Failure| Failure::new(Code::PluginUnknown, "no plugin can have this name").hint(failure.message))
}

/// `POST /plugins`: raw or multipart; `?dry_run=1` only checks.
pub(crate) async fn upload(State(app): State<App>, query: Query, Component(bytes): Component) -> Result {
    let is_dry = query.only(&["dry_run"])?.flag("dry_run")?;
    if is_dry {
        return Ok(ok(&dry(&app.handle.inspect_plugin(bytes.to_vec()).await?)));
    }
    Ok(uploaded(&app.handle.upload_plugin(bytes.to_vec()).await?))
}

/// `PUT /plugins/{name}/{version}`: as `POST`, for a component that must say the same name and version of itself.
pub(crate) async fn put(
    State(app): State<App>,
    Path((name, version)): Path<(String, String)>,
    query: Query,
    Component(bytes): Component,
) -> Result {
    let is_dry = query.only(&["dry_run"])?.flag("dry_run")?;
    let name: PluginName = name.parse()?;
    let found = app.handle.inspect_plugin(bytes.to_vec()).await?;
    if found.name != name || found.version.to_string() != version {
        let message = format!("the component says it is {}@{}, the path says otherwise", found.name, found.version);
        return Err(Failure::new(Code::PluginManifest, message).hint("PUT it under its own name and version, or POST it").into());
    }
    if is_dry {
        return Ok(ok(&dry(&found)));
    }
    Ok(uploaded(&app.handle.upload_plugin(bytes.to_vec()).await?))
}

fn uploaded(view: &PluginView) -> Response {
    let status = if view.is_known { StatusCode::OK } else { StatusCode::CREATED };
    let response = with(json(status, &plugin(view)), header::ETAG, &format!("\"{}\"", view.digest));
    with(response, header::LOCATION, &plugin_path(view))
}

fn dry(view: &PluginView) -> Value {
    let mut shown = plugin(view);
    if let Some(members) = shown.as_object_mut() {
        members.shift_remove("uploadedAt");
        members.shift_remove("links");
        members.insert("dryRun".to_owned(), Value::from(true));
    }
    shown
}

/// `GET /plugins/{name}/{version}/grants`.
pub(crate) async fn grants(State(app): State<App>, Path((name, version)): Path<(String, String)>) -> Result {
    let view = app.handle.plugin(&reference(&name, Some(&version))?)?;
    Ok(ok(&granted(&view)))
}

/// `PUT /plugins/{name}/{version}/grants`: what its connectors may use from now on. `{}` takes everything away.
pub(crate) async fn grant(State(app): State<App>, Path((name, version)): Path<(String, String)>, body: Json) -> Result {
    let grants = wire::grants(&body.value, "")?;
    Ok(ok(&granted(&app.handle.grant_plugin(&reference(&name, Some(&version))?, grants).await?)))
}

fn granted(view: &PluginView) -> Value {
    json!({
        "plugin": format!("{}@{}", view.name, view.version), "digest": view.digest.to_string(),
        "asked": view.capabilities, "grants": wire::grants_json(&view.grants),
    })
}

/// `DELETE /plugins/{name}`: the only version there is, or `name@version`, or a digest.
pub(crate) async fn delete(State(app): State<App>, Path(name): Path<String>) -> Result {
    let reference = reference(&name, None)?;
    if let PluginRef::Newest(name) = &reference {
        let versions = app.handle.plugins()?.iter().filter(|view| view.name == *name).count();
        if versions > 1 {
            let failure = Failure::new(Code::PluginInUse, format!("'{name}' has {versions} versions"));
            return Err(failure.hint(format!("delete one at a time: DELETE /api/v1/plugins/{name}/1.0.0")).into());
        }
    }
    remove(&app, &reference).await
}

/// `DELETE /plugins/{name}/{version}`.
pub(crate) async fn delete_version(State(app): State<App>, Path((name, version)): Path<(String, String)>) -> Result {
    remove(&app, &reference(&name, Some(&version))?).await
}

async fn remove(app: &App, reference: &PluginRef) -> Result {
    app.handle.delete_plugin(reference).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /plugins/{name}/try`.
pub(crate) async fn attempt(State(app): State<App>, Path(name): Path<String>, body: Json) -> Result {
    run(&app, &reference(&name, None)?, &body).await
}

/// `POST /plugins/{name}/{version}/try`.
pub(crate) async fn attempt_version(State(app): State<App>, Path((name, version)): Path<(String, String)>, body: Json) -> Result {
    run(&app, &reference(&name, Some(&version))?, &body).await
}

async fn run(app: &App, reference: &PluginRef, body: &Json) -> Result {
    let request = wire::TryRequest::read(&body.value)?;
    let answers = app.handle.try_plugin(reference, request).await?;
    Ok(ok(&json!({ "result": answers })))
}

/// An uploaded component: the whole body, or the first file of a form.
pub(crate) struct Component(Bytes);

impl FromRequest<App> for Component {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes_max = app.options.plugin_bytes_max;
        match body::media_type(request.headers()).as_deref() {
            Some("application/wasm" | "application/octet-stream") => {
                let (parts, body) = request.into_parts();
                let read = body::read(app, &parts.headers, body, bytes_max, Code::PluginTooLarge).await?;
                Ok(Self(read.bytes))
            }
            Some("multipart/form-data") => {
                let (parts, body) = request.into_parts();
                // The form's own lines come on top of the component.
                let read = body::read(app, &parts.headers, body, bytes_max.saturating_add(FORM_BYTES_MAX), Code::PluginTooLarge).await?;
                let form = Request::from_parts(parts, Body::from(read.bytes));
                let bytes = first_file(form, app).await?;
                if bytes.len() > bytes_max {
                    return Err(Failure::new(Code::PluginTooLarge, format!("the component is larger than {} MiB", bytes_max >> 20)).into());
                }
                Ok(Self(bytes))
            }
            _ => {
                body::drain(request.into_body()).await;
                let failure =
                    Failure::new(Code::RequestMediaType, "a component's media type must be application/wasm or multipart/form-data");
                Err(failure.hint("curl -H 'content-type: application/wasm' --data-binary @plugin.wasm …").into())
            }
        }
    }
}

/// What a form may add to the component that it carries, in bytes.
const FORM_BYTES_MAX: usize = 64 << 10;

async fn first_file(form: Request, app: &App) -> Result<Bytes, Failure> {
    let broken = |detail: &dyn std::fmt::Display| {
        tracing::debug!(error = %detail, "a form cannot be read");
        Failure::new(Code::RequestSyntax, "the multipart form cannot be read")
    };
    let mut form = Multipart::from_request(form, app).await.map_err(|error| broken(&error))?;
    while let Some(field) = form.next_field().await.map_err(|error| broken(&error))? {
        let is_file = field.file_name().is_some() || matches!(field.name(), Some("component" | "plugin" | "file"));
        if is_file {
            return field.bytes().await.map_err(|error| broken(&error));
        }
    }
    Err(Failure::new(Code::RequestField, "the form holds no file").hint("curl -F component=@plugin.wasm …"))
}
