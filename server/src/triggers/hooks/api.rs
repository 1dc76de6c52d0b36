//! `/api/webhooks`.

use std::sync::Arc;

use axum::extract::State;
use liteagent_engine::definition::{HookAuth, HookReply, Trigger};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    app::App,
    extract::{Json, Query},
    problem::Problem,
    routes::Routes,
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Viewer), routes!(list))
}

/// The webhooks of published workflows.
#[derive(Serialize, ToSchema)]
struct Webhooks {
    /// The webhooks, by path and method.
    webhooks: Vec<WebhookReply>,
}

/// A webhook.
#[derive(Serialize, ToSchema)]
struct WebhookReply {
    /// Where requests are sent: `/hooks/` and the `path` of the trigger.
    path: String,
    /// The method of the requests.
    method: &'static str,
    /// The workflow whose runs it starts.
    workflow: String,
    /// The name of the trigger there.
    name: String,
    /// How senders prove who they are: `hmac`, `bearer` or `none`.
    auth: &'static str,
    /// The name of the secret that this needs.
    secret: Option<String>,
    /// What they are answered: `now` or `wait`.
    reply: &'static str,
    /// Whether it takes requests.
    enabled: bool,
}

/// Which webhooks.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct WebhookQuery {
    /// Only those of this workflow.
    workflow: Option<String>,
}

/// Lists the webhooks of published workflows
#[utoipa::path(get, path = "/api/webhooks", tag = "hooks", params(WebhookQuery), responses((status = 200, body = Webhooks)))]
async fn list(State(app): State<Arc<App>>, Query(query): Query<WebhookQuery>) -> Result<Json<Webhooks>, Problem> {
    let mut webhooks = Vec::new();
    for published in app.workflows.all_published() {
        let workflow = &published.row.workflow;
        if query.workflow.as_ref().is_some_and(|wanted| wanted != workflow) {
            continue;
        }
        for (name, trigger) in published.bundle.entry().into_iter().flat_map(|entry| &entry.triggers) {
            let Trigger::Webhook(trigger) = trigger else { continue };
            let hook = &trigger.webhook;
            webhooks.push(WebhookReply {
                path: format!("/hooks/{}", hook.path),
                method: hook.method.as_str(),
                workflow: workflow.clone(),
                name: name.clone(),
                auth: match hook.auth {
                    HookAuth::Hmac { .. } => "hmac",
                    HookAuth::Bearer { .. } => "bearer",
                    HookAuth::None(_) => "none",
                },
                secret: hook.auth.secret().map(str::to_owned),
                reply: match hook.reply {
                    HookReply::Now => "now",
                    HookReply::Wait => "wait",
                },
                enabled: trigger.enabled,
            });
        }
    }
    webhooks.sort_by(|one, other| (&one.path, one.method).cmp(&(&other.path, other.method)));
    Ok(Json(Webhooks { webhooks }))
}
