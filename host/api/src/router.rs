//! The whole URL table, on one screen, and the layers around it.

use crate::routes::{cache, connectors, dataframe, datasets, health, jobs, lambda, plugins, problems, seed, sql};
use crate::{App, openapi, render};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
use tower_http::catch_panic::CatchPanicLayer;

/// All routes over one [`App`].
pub fn router(app: App) -> Router {
    let seed = Router::new()
        .route("/health", get(seed::health))
        .route("/spark/init", post(seed::init))
        .route("/spark/stop", post(seed::stop))
        .route("/cluster/status", get(seed::status))
        .route("/ingest", post(seed::ingest))
        .route("/rdd/process", post(seed::process))
        .route("/dataframe/create", post(dataframe::create))
        .route("/streaming/start", post(seed::start));
    let operations = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/version", get(health::version))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document));
    let api = Router::new()
        .route("/jobs", get(jobs::list).post(jobs::submit))
        .route("/jobs/{id}", get(jobs::one).delete(jobs::delete))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/events", get(jobs::events))
        .route("/jobs/{id}/request", get(jobs::request))
        .route("/jobs/{id}/result", get(jobs::result))
        .route("/lambda/explain", post(lambda::explain))
        .route("/plugins", get(plugins::list).post(plugins::upload))
        .route("/plugins/{name}", get(plugins::one).delete(plugins::delete))
        .route("/plugins/{name}/try", post(plugins::attempt))
        .route("/plugins/{name}/{version}", put(plugins::put).get(plugins::version).delete(plugins::delete_version))
        .route("/plugins/{name}/{version}/grants", get(plugins::grants).put(plugins::grant))
        .route("/plugins/{name}/{version}/try", post(plugins::attempt_version))
        .route("/cache", get(cache::list).delete(cache::clear))
        .route("/cache/{id}", delete(cache::delete))
        .route("/datasets", get(datasets::list))
        .route("/datasets/{name}", get(datasets::one).patch(datasets::change).delete(datasets::delete))
        .route("/datasets/{name}/preview", get(datasets::preview))
        .route("/datasets/{name}/rows", get(datasets::rows))
        .route("/datasets/{name}/statistics", get(datasets::statistics))
        .route("/sql", post(sql::run))
        .route("/connectors", get(connectors::list))
        .route("/connectors/{name}", get(connectors::one))
        .route("/connectors/{name}/validate", post(connectors::validate))
        .route("/connectors/{name}/preview", post(connectors::preview))
        .route("/problems", get(problems::list))
        .route("/problems/{code}", get(problems::one));
    Router::new()
        .merge(seed)
        .merge(operations)
        .nest("/api/v1", api)
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(render::panicked))
        .layer(from_fn_with_state(app.clone(), render::render))
        .with_state(app)
}
