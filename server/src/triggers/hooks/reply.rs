//! Waiting for what a run replies: its journal says it, wherever the run goes on.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use liteagent_engine::{
    bundle::Bundle,
    codes,
    definition::{Definition, NodeDef, NodeMap},
    engine::Settled,
    event::{Event, Payload, RunStatus},
    id::RunId,
    node::WEBHOOK_REPLY,
    stream::StreamEvent,
    value::Value,
    view::ViewStatus,
};

use crate::{app::App, extract::Json, problem::Problem};

/// What a run replies, at most so much later.
pub(super) async fn wait(app: &Arc<App>, bundle: &Bundle, run: RunId, most: Duration) -> Result<Response, Problem> {
    let entry = bundle.entry();
    match tokio::time::timeout(most, follow(app, entry, run)).await {
        Ok(response) => response,
        Err(_) => Err(too_late(run)),
    }
}

async fn follow(app: &Arc<App>, entry: Option<&Definition>, run: RunId) -> Result<Response, Problem> {
    let mut stream = app.engine.stream(run, None).await?;
    while let Some(item) = stream.next().await? {
        let StreamEvent::Record { record } = item.event else { continue };
        if let Event::NodeSucceeded { node, output, .. } = record.event
            && entry.is_some_and(|entry| is_reply(entry, &node))
        {
            return Ok(response(&loaded(app, run, &node, output).await?));
        }
    }
    let Settled::Ended(end) = app.engine.settled(run).await? else { return Err(too_late(run)) };
    match (end.status, end.error) {
        (RunStatus::Succeeded, _) => Ok((StatusCode::OK, Json(end.outputs)).into_response()),
        (_, Some(error)) if error.code == codes::RUN_TIMEOUT.0 => Err(too_late(run)),
        _ => {
            let detail = "the run failed before it replied";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, codes::HOOK_RUN_FAILED, detail)
                .hint("who operates the server finds the cause in the run")
                .about(run))
        }
    }
}

fn too_late(run: RunId) -> Problem {
    Problem::new(StatusCode::GATEWAY_TIMEOUT, codes::HOOK_LATE, "the run has not replied in time")
        .hint("raise `timeout` of the workflow, or answer at once: `reply: now`")
        .about(run)
}

/// The output of a node that has ended; a large one is not in its record.
async fn loaded(app: &App, run: RunId, node: &str, output: Payload) -> Result<Value, Problem> {
    if let Payload::Value(output) = output {
        return Ok(output);
    }
    let view = app.engine.view(run).await?;
    let seen = view.and_then(|mut view| view.nodes.shift_remove(node));
    match seen.map(|seen| seen.status) {
        Some(ViewStatus::Succeeded { output, .. }) => Ok(output),
        _ => Ok(Value::Null),
    }
}

/// What a `webhook-reply` says, as a response.
fn response(reply: &Value) -> Response {
    let status = reply.get("status").and_then(Value::as_i64).and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let has_body = !matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED);
    let (kind, body) = match (reply.get("json"), reply.get("body").and_then(Value::as_str)) {
        (Some(json), _) if has_body => {
            (Some("application/json"), serde_json::to_string(json).expect("a value has a JSON form"))
        }
        (_, Some(text)) if has_body => (Some("text/plain; charset=utf-8"), text.to_owned()),
        _ => (None, String::new()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let headers = reply.get("headers").and_then(Value::as_object).into_iter().flatten();
    for (name, value) in headers {
        // The node has looked at them; what a header cannot hold was refused there.
        let name = HeaderName::try_from(&**name);
        let value = HeaderValue::from_bytes(value.as_str().unwrap_or_default().as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Whether the node at a path such as `each[3].reply` answers the request. Those in composites and in calls of tools do not.
fn is_reply(entry: &Definition, path: &str) -> bool {
    let handlers = [("on_failure.", &entry.on_failure), ("finally.", &entry.finally)];
    let handler = handlers.iter().find_map(|(prefix, nodes)| Some((path.strip_prefix(prefix)?, nodes.as_ref()?)));
    let (path, nodes) = handler.unwrap_or((path, &entry.nodes));
    kind_at(nodes, path).as_deref() == Some(WEBHOOK_REPLY)
}

fn kind_at(nodes: &NodeMap, path: &str) -> Option<String> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let id = first.split('[').next().unwrap_or(first);
    let node: &NodeDef = nodes.0.get(id)?;
    match rest {
        None => Some(node.kind.clone()),
        Some(rest) => {
            let inner: NodeMap = serde_json::from_value(node.config.get("nodes")?.clone()).ok()?;
            kind_at(&inner, rest)
        }
    }
}
