//! What each code of a problem means: the pages that `type` of a problem points to.

use crate::error::{Result, status};
use crate::render::title;
use crate::reply::ok;
use axum::extract::Path;
use axum::response::Response;
use azora_spec::{Code, Failure, wire::closest};
use serde_json::{Value, json};

/// Every code.
pub(crate) async fn list() -> Response {
    ok(&json!({ "problems": Code::ALL.iter().map(|code| shown(*code)).collect::<Vec<_>>() }))
}

/// One code.
pub(crate) async fn one(Path(code): Path<String>) -> Result {
    let failure = || {
        let failure = Failure::new(Code::RouteUnknown, "no problem has this code");
        match closest(&code, Code::ALL.iter().map(|code| code.as_str())) {
            Some(known) => failure.hint(format!("did you mean '{known}'?")),
            None => failure.hint("GET /api/v1/problems lists them"),
        }
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
