//! `/api/installation`, `/api/runs/release`, `/api/forget`.

use std::sync::Arc;

use axum::extract::State;
use liteagent_engine::{
    codes,
    id::RunId,
    store::{Installation, ReleaseHeld},
    time::iso,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    accounts::Actor,
    app::App,
    extract::Json,
    problem::Problem,
    routes::Routes,
};

/// So many runs are released in one transaction.
const BATCH: u32 = 1_000;
/// So many runs are named in an answer.
const SHOWN: usize = 1_000;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::User(Role::Viewer), routes!(show))
        .add(Access::User(Role::Owner), routes!(release))
        .add(Access::User(Role::Owner), routes!(forget_subject))
}

/// Which installation this is.
#[derive(Serialize, ToSchema)]
struct InstallationReply {
    /// Its id; the same after a restore.
    id: String,
    /// Counts its lives: one more with each restore.
    epoch: u64,
    /// When it was last made from a backup; `null` is never.
    #[schema(format = DateTime)]
    restored_at: Option<String>,
    /// When a backup of it was last finished; `null` is never.
    #[schema(format = DateTime)]
    backup_at: Option<String>,
}

/// Shows which installation this is, and when it was backed up
#[utoipa::path(get, path = "/api/installation", tag = "operation", responses((status = 200, body = InstallationReply)))]
async fn show(State(app): State<Arc<App>>) -> Result<Json<InstallationReply>, Problem> {
    let Installation { id, epoch, restored_at, backup_at } = app.stores.journal.installation().await?;
    Ok(Json(InstallationReply { id, epoch, restored_at: restored_at.map(iso), backup_at: backup_at.map(iso) }))
}

/// Which held runs go on: `ids`, or `all`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    /// These, with the runs that they started; at most 1000.
    #[schema(example = json!(["run_01kgd0a9qse7xv3m2bn4t5w6y8"]))]
    ids: Option<Vec<String>>,
    /// All of them.
    #[serde(default)]
    all: bool,
    /// With `all`: only those of this workflow, with the runs that they started.
    workflow: Option<String>,
}

impl ReleaseBody {
    fn which(self) -> Result<ReleaseHeld, Problem> {
        let wrong = |detail: &str| {
            Err(Problem::invalid(codes::REQUEST_BODY, detail)
                .hint("send `{\"ids\": [...]}`, `{\"all\": true}`, or `{\"all\": true, \"workflow\": \"NAME\"}`"))
        };
        match (self.ids, self.all, self.workflow) {
            (None, true, workflow) => Ok(ReleaseHeld::All { workflow }),
            (Some(ids), false, None) if ids.len() <= BATCH as usize => {
                let runs = ids.iter().map(|id| id.parse::<RunId>()).collect::<Result<_, _>>();
                runs.map(ReleaseHeld::Runs).map_err(|error| {
                    Problem::invalid(codes::REQUEST_BODY, format!("`ids`: {error}"))
                        .hint("list held runs with GET /api/runs?status=held")
                })
            }
            (Some(ids), false, None) => wrong(&format!("expected at most {BATCH} `ids`, found {}", ids.len())),
            (None, false, _) => wrong("expected `ids` or `all`, found neither"),
            (Some(_), true, _) => wrong("expected `ids` or `all`, found both"),
            (Some(_), false, Some(_)) => wrong("`workflow` goes together with `all` alone"),
        }
    }
}

/// What was released.
#[derive(Serialize, ToSchema)]
struct Released {
    /// How many runs.
    released: u64,
    /// The first thousand of them, oldest first.
    runs: Vec<String>,
}

/// Lets held runs go on
///
/// After a restore, runs that had not ended are held: nobody takes them, and what is sent to them waits. Cancel those that
/// must not go on before they are released: POST /api/runs/{id}/cancel. Ids of runs that are not held change nothing.
#[utoipa::path(post, path = "/api/runs/release", tag = "operation", request_body = ReleaseBody,
    responses((status = 200, body = Released)))]
async fn release(
    State(app): State<Arc<App>>,
    actor: Actor,
    Json(body): Json<ReleaseBody>,
) -> Result<Json<Released>, Problem> {
    let target = match (&body.ids, &body.workflow) {
        (Some(ids), _) => format!("{} ids", ids.len()),
        (None, Some(workflow)) => workflow.clone(),
        (None, None) => "all".to_owned(),
    };
    let which = body.which()?;
    // Before it is done: what is done to runs is stored elsewhere.
    app.store.record(actor.entry(app.clock.now(), "runs.release", target)).await?;
    let mut reply = Released { released: 0, runs: Vec::new() };
    loop {
        let runs = app.stores.journal.release_held(&which, BATCH).await?;
        reply.released += runs.len() as u64;
        reply.runs.extend(runs.iter().take(SHOWN - reply.runs.len()).map(ToString::to_string));
        if runs.len() < BATCH as usize {
            break;
        }
    }
    app.engine.poll().await?;
    Ok(Json(reply))
}

/// Who is forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ForgetBody {
    /// As the `subject` of runs says it.
    #[schema(example = "customer-17")]
    subject: String,
}

/// What was deleted.
#[derive(Serialize, ToSchema)]
struct ForgottenReply {
    /// Runs, with their journals, inboxes and files.
    runs: u64,
    /// Conversations that they belonged to.
    conversations: u64,
    /// Cached outputs that they filled.
    outputs: u64,
    /// Large values and contents of files that nothing else names.
    blobs: u64,
}

/// Deletes everything that is kept about a subject
///
/// Nothing is deleted while one of its runs has not ended. The audit log says that somebody was forgotten, and not who. Backups
/// that were taken before still hold what they hold.
#[utoipa::path(post, path = "/api/forget", tag = "operation", request_body = ForgetBody,
    responses((status = 200, body = ForgottenReply)))]
async fn forget_subject(
    State(app): State<Arc<App>>,
    actor: Actor,
    Json(ForgetBody { subject }): Json<ForgetBody>,
) -> Result<Json<ForgottenReply>, Problem> {
    const NAMED: usize = 10;
    if subject.is_empty() {
        return Err(Problem::invalid(codes::REQUEST_BODY, "`subject`: expected a text, found an empty one")
            .hint("send the subject that runs were started with"));
    }
    app.store.record(actor.entry(app.clock.now(), "subjects.forget", "a subject")).await?;
    match app.stores.forget(&subject).await? {
        Ok(forgotten) => Ok(Json(ForgottenReply {
            runs: forgotten.runs,
            conversations: forgotten.conversations,
            outputs: forgotten.outputs,
            blobs: forgotten.blobs.len() as u64,
        })),
        Err(open) => {
            let named: Vec<String> = open.iter().take(NAMED).map(ToString::to_string).collect();
            let detail =
                format!("nothing was forgotten: {} of its runs have not ended: {}", open.len(), named.join(", "));
            Err(Problem::conflict(codes::RUN_STATE, detail)
                .hint("wait for them, or end each with POST /api/runs/{id}/cancel, and forget then"))
        }
    }
}
