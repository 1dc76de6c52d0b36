//! `/api/audit`: who changed what.

use std::sync::Arc;

use axum::extract::State;
use liteagent_engine::time::iso;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    app::App,
    extract::{Json, Limit, Query},
    problem::Problem,
    routes::Routes,
    store::{AuditFilter, AuditRow},
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Owner), routes!(list))
}

/// Something that someone did.
#[derive(Serialize, ToSchema)]
struct Entry {
    /// Counts the entries.
    id: i64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The e-mail address of a user, `key:NAME`, `developer`, or `nobody`.
    who: String,
    /// What.
    #[schema(example = "users.create")]
    action: String,
    /// To what.
    target: String,
    /// From where.
    address: String,
    /// `done` or `refused`.
    outcome: String,
}

impl From<AuditRow> for Entry {
    fn from(row: AuditRow) -> Self {
        let AuditRow { id, at, who, action, target, address, outcome } = row;
        Self { id, at: iso(at), who, action, target, address, outcome }
    }
}

/// A page of the audit log.
#[derive(Serialize, ToSchema)]
struct AuditPage {
    /// The entries, newest first.
    entries: Vec<Entry>,
    /// What to send as `before` for the next page; `null` after the last.
    next: Option<i64>,
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct AuditQuery {
    /// Only those before this one.
    before: Option<i64>,
    /// Only what this user or key did.
    who: Option<String>,
    /// Only this action.
    action: Option<String>,
    /// Only what was done to this.
    target: Option<String>,
    /// How many at most: 1 to 1000, 100 by default.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Limit<100, 1000>,
}

/// Lists who changed what, newest first
///
/// Entries are kept for a year, unless `[retention]` of the configuration says otherwise.
#[utoipa::path(get, path = "/api/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = AuditPage)))]
async fn list(State(app): State<Arc<App>>, Query(query): Query<AuditQuery>) -> Result<Json<AuditPage>, Problem> {
    let AuditQuery { before, who, action, target, limit } = query;
    let limit = limit.0;
    let rows = app.store.audit(AuditFilter { before, who, action, target, limit }).await?;
    let next = (rows.len() == limit as usize).then(|| rows.last().map(|row| row.id)).flatten();
    Ok(Json(AuditPage { entries: rows.into_iter().map(Entry::from).collect(), next }))
}
