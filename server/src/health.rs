//! Whether the server lives, and whether it is ready for requests.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::{extract::State, http::StatusCode};
use futures::future::join_all;
use liteagent_engine::{codes, id::RunId};
use serde::Serialize;
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::{access::Access, app::App, extract::Json, problem::Problem, routes::Routes};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes.add(Access::Open, routes!(live)).add(Access::Open, routes!(ready))
}

/// How it stands with the server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
    /// The release.
    version: &'static str,
}

impl Health {
    pub(crate) const OK: Self = Self { status: "ok", version: env!("CARGO_PKG_VERSION") };
}

/// How it stands with the server, and with what it uses besides its database.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// `ok`.
    status: &'static str,
    /// The release.
    version: &'static str,
    /// What it uses besides. Without one of them it still serves what needs none of it.
    dependencies: Vec<Standing>,
}

/// How it stands with something that the server uses. The log says why.
#[derive(Clone, Serialize, ToSchema)]
struct Standing {
    /// Its name.
    #[schema(example = "sandbox")]
    name: &'static str,
    /// `ok` or `degraded`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Something that a server uses besides its database.
#[async_trait]
pub trait Dependency: Send + Sync {
    /// A word for it.
    fn name(&self) -> &'static str;
    /// Whether it can be used now.
    ///
    /// # Errors
    /// Why not.
    async fn check(&self) -> Result<(), String>;
}

/// What the server uses, and how it stood when that was last looked at.
pub(crate) struct Dependencies {
    all: Vec<Arc<dyn Dependency>>,
    looked: Mutex<Option<(Instant, Vec<Standing>)>>,
}

impl Dependencies {
    /// How long a look is good: anyone may ask.
    const GOOD: Duration = Duration::from_secs(10);
    /// How long a look may take.
    const PATIENCE: Duration = Duration::from_secs(2);

    pub(crate) fn new(all: Vec<Arc<dyn Dependency>>) -> Self {
        Self { all, looked: Mutex::default() }
    }

    async fn standing(&self) -> Vec<Standing> {
        let mut looked = self.looked.lock().await;
        if let Some((at, standing)) = &*looked
            && at.elapsed() < Self::GOOD
        {
            return standing.clone();
        }
        let standing = join_all(self.all.iter().map(|dependency| Self::look(&**dependency))).await;
        *looked = Some((Instant::now(), standing.clone()));
        standing
    }

    async fn look(dependency: &dyn Dependency) -> Standing {
        let name = dependency.name();
        let checked = timeout(Self::PATIENCE, dependency.check()).await;
        let status = match checked.unwrap_or_else(|_| Err("it does not answer".to_owned())) {
            Ok(()) => "ok",
            Err(why) => {
                tracing::warn!(dependency = name, why, "something that the server uses is away");
                "degraded"
            }
        };
        Standing { name, status }
    }
}

/// Whether the process lives
///
/// Asks nothing that it depends on: a restart would not mend that.
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Health)))]
async fn live() -> Json<Health> {
    Json(Health::OK)
}

/// Whether the server takes requests
///
/// It does when its stores answer within 10 seconds, and it is not about to stop. What it uses besides is shown, and does not
/// count.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses((status = 200, body = Ready)))]
async fn ready(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    const MOST: Duration = Duration::from_secs(10);
    if app.is_stopping() {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, codes::STOPPING, "the server is about to stop")
            .hint("send the request to another server"));
    }
    let late = |_| {
        let detail = format!("the store did not answer within {} s", MOST.as_secs());
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, codes::STORE, detail)
    };
    // One row of each: of the server, and of runs.
    let stores = async { tokio::try_join!(app.store.ping(), app.stores.journal.run(RunId(Uuid::nil()))) };
    timeout(MOST, stores).await.map_err(late)??;
    let Health { status, version } = Health::OK;
    let mut dependencies = app.dependencies.standing().await;
    if !app.vault.unreadable().is_empty() {
        dependencies.push(Standing { name: "secrets", status: "degraded" });
    }
    Ok(Json(Ready { status, version, dependencies }))
}
