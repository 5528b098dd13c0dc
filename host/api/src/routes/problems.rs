//! What each code of a problem means: the pages that `type` of a problem points to.

use crate::error::{Result, status};
use crate::render::title;
use crate::reply::ok;
use axum::extract::Path;
use axum::response::Response;
use azora_spec::{Code, Failure, wire::meant};
use serde_json::{Value, json};

/// Every code.
pub(crate) async fn list() -> Response {
    ok(&json!({ "problems": Code::ALL.iter().map(|code| shown(*code)).collect::<Vec<_>>() }))
}

/// One code.
pub(crate) async fn one(Path(code): Path<String>) -> Result {
    let failure = || {
        let failure = Failure::new(Code::RouteUnknown, "no problem has this code");
        let all = || "GET /api/v1/problems lists them".to_owned();
        failure.hint(meant(&code, Code::ALL.iter().map(|code| code.as_str())).unwrap_or_else(all))
    };
    let code = Code::parse(&code).ok_or_else(failure)?;
    Ok(ok(&shown(code)))
}

fn shown(code: Code) -> Value {
    json!({
        "code": code.as_str(), "title": title(code), "status": status(&Failure::new(code, "")).as_u16(),
        "blame": code.blame().as_str(), "meaning": code.meaning(),
    })
}
