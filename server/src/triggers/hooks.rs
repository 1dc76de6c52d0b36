//! `/hooks`: requests that start runs; `/api/webhooks`: which ones.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest as _, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use liteagent_engine::{
    bundle::Bundle,
    codes,
    definition::{Durability, HookReply, Trigger, WebhookTrigger},
    engine::{EngineError, Start},
    id::{Digest, RunId},
    store::Idempotency,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::Access,
    app::App,
    extract::{Json, Path},
    operation::NotBegun,
    problem::Problem,
    routes::Routes,
    workflows::Published,
};

mod api;
mod reply;
mod request;
mod verify;

/// The longest id of a delivery.
const LONGEST_ID: usize = 255;

pub(super) fn routes(routes: Routes) -> Routes {
    api::routes(routes.add(Access::Open, routes!(hook)))
}

/// Which webhook a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct HookPath {
    /// The `path` of the trigger.
    path: String,
}

/// A run that was started.
#[derive(Serialize, ToSchema)]
struct HookStarted {
    /// The id of the run.
    run: String,
}

/// Starts a run by the webhook of a published workflow
///
/// The trigger says which method it takes, how the sender proves who it is, and whether the answer comes at once (202 with
/// the id of the run) or from the node `webhook-reply`. A run that fails before it replied: 500 with the id of the run. One that
/// takes longer than its `timeout`, or than the server waits: 504. One that ends without a reply: 200 with its outputs.
#[utoipa::path(method(get, post, put, patch, delete), path = "/hooks/{*path}", tag = "hooks", params(HookPath),
    request_body(content((Object = "application/json"), (String = "text/plain"), (Object = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Object), (status = 202, body = HookStarted)))]
async fn hook(State(app): State<Arc<App>>, Path(HookPath { path }): Path<HookPath>, request: Request) -> Response {
    let answer = match answer(&app, &path, request).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    };
    guarded(answer)
}

/// What a workflow answers is shown by no browser as a page of this server.
fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn answer(app: &Arc<App>, path: &str, request: Request) -> Result<Response, Problem> {
    let hook = find(app, path, request.method())?;
    let (parts, body) = request.into_parts();
    let body = Bytes::from_request(Request::from_parts(parts.clone(), body), app).await.map_err(|rejection| {
        Problem::new(rejection.status(), codes::REQUEST_BODY, rejection.body_text()).hint("send a smaller body")
    })?;

    let webhook = &hook.trigger.webhook;
    let secret = webhook.auth.secret().map(|name| hook.secret(app, name)).transpose()?;
    let signed =
        verify::verify(&webhook.auth, secret.as_deref(), &parts.headers, &body, app.clock.now()).map_err(|why| {
            Problem::new(StatusCode::UNAUTHORIZED, codes::HOOK_REFUSED, why)
                .hint("sign the request as the `auth` of the webhook says, with the same secret")
        })?;
    let delivery = request::delivery(webhook, &parts.headers, signed)?;
    let trigger = request::trigger(&hook.name, webhook, &parts, &body)?;

    let bundle = hook.published.bundle.clone();
    let run = RunId::random();
    let start = Start::triggered(bundle, run, &hook.trigger.inputs, trigger, app.clock.now()).map_err(|error| {
        Problem::invalid(error.code, format!("the request does not give what the workflow needs: {}", error.message))
            .hint("send the members that the inputs of the trigger read")
    })?;
    let is_kept = hook.published.bundle.entry().is_some_and(|entry| entry.durability == Durability::Step);
    let idempotency = delivery.filter(|_| is_kept).map(|key| Idempotency {
        caller: format!("hook:{}", hook.name),
        key,
        body: Digest::of(&[parts.uri.to_string().as_bytes(), b"\n", &body].concat()),
    });
    let run = app.begin(None, Start { idempotency, ..start }).await.map_err(|why| match why {
        NotBegun::Engine(error) => outside(&hook, error),
        spent @ NotBegun::Spent(_) => spent.into(),
    })?;
    match webhook.reply {
        HookReply::Now => Ok((StatusCode::ACCEPTED, Json(HookStarted { run: run.to_string() })).into_response()),
        HookReply::Wait => {
            let timeout = hook.published.bundle.entry().and_then(|entry| entry.timeout).map(|timeout| timeout.0);
            // The run itself ends at its timeout; a little later its end is known here.
            const LATER: Duration = Duration::from_secs(1);
            let most = timeout.map_or(app.settings.wait, |timeout| (timeout + LATER).min(app.settings.wait));
            reply::wait(app, &hook.published.bundle, run, most).await
        }
    }
}

/// A webhook of a published workflow.
struct Hook {
    published: Arc<Published>,
    name: String,
    trigger: WebhookTrigger,
}

impl Hook {
    fn secret(&self, app: &App, name: &str) -> Result<Arc<str>, Problem> {
        app.engine.secret(name, &self.published.row.workflow).map_err(|error| outside(self, error))
    }
}

/// The webhooks of a workflow that take requests.
fn hooks(bundle: &Bundle) -> impl Iterator<Item = (&String, &WebhookTrigger)> {
    let triggers = bundle.entry().into_iter().flat_map(|entry| &entry.triggers);
    triggers.filter_map(|(name, trigger)| match trigger {
        Trigger::Webhook(webhook) if webhook.enabled => Some((name, webhook)),
        _ => None,
    })
}

fn find(app: &App, path: &str, method: &Method) -> Result<Hook, Problem> {
    let mut others = Vec::new();
    for published in app.workflows.all_published() {
        for (name, trigger) in hooks(&published.bundle).filter(|(_, trigger)| trigger.webhook.path == path) {
            if trigger.webhook.method.as_str() == method.as_str() {
                let (name, trigger) = (name.clone(), trigger.clone());
                return Ok(Hook { published: published.clone(), name, trigger });
            }
            others.push(trigger.webhook.method.as_str());
        }
    }
    if others.is_empty() {
        return Err(Problem::missing(codes::NO_HOOK, format!("no webhook takes `/hooks/{path}`"))
            .hint("publish the workflow whose trigger has this `path`"));
    }
    let detail = format!("the webhook `/hooks/{path}` does not take {method}");
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, codes::NO_HOOK, detail)
        .hint(format!("send it with {}", others.join(" or "))))
}

/// Refuses a version whose webhooks take what those of another published workflow take.
pub(crate) fn check_free<'a>(
    bundle: &Bundle,
    published: impl IntoIterator<Item = &'a Arc<Published>>,
) -> Result<(), Problem> {
    for other in published.into_iter().filter(|other| other.row.workflow != bundle.entry) {
        for (name, hook) in hooks(bundle).map(|(name, trigger)| (name, &trigger.webhook)) {
            let is_same = |(_, taken): &(&String, &WebhookTrigger)| {
                taken.webhook.path == hook.path && taken.webhook.method == hook.method
            };
            if let Some((taken, _)) = hooks(&other.bundle).find(is_same) {
                let (method, path) = (hook.method.as_str(), &hook.path);
                let detail = format!(
                    "the trigger `{name}` takes {method} /hooks/{path}, which the trigger `{taken}` of `{}` takes already",
                    other.row.workflow
                );
                return Err(Problem::conflict(codes::HOOK_TAKEN, detail)
                    .hint("choose another `path`, or publish the workflow without this trigger"));
            }
        }
    }
    Ok(())
}

/// Why a run was not started, as strangers may know it. The rest is for the operator.
fn outside(hook: &Hook, error: EngineError) -> Problem {
    match error {
        EngineError::Inputs { .. } | EngineError::Full(_) | EngineError::Busy { .. } | EngineError::KeyConflict(_) => {
            error.into()
        }
        other => {
            tracing::error!(workflow = hook.published.row.workflow, trigger = hook.name, error = %other, "a webhook failed");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, codes::HOOK_UNREADY, "the webhook cannot start its run now")
                .hint("the log of the server says why; send the request again later")
                .retry_after(30)
        }
    }
}
