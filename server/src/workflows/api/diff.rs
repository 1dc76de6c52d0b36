//! What changed between two versions of a workflow.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use serde::{Deserialize, Serialize};
use similar::TextDiff;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{NameAndVersion, stored};
use crate::{
    access::{Access, Role},
    app::App,
    extract::{Json, Path, Query},
    problem::Problem,
    routes::Routes,
    store::Source,
};

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::User(Role::Viewer), routes!(diff))
}

/// Which version it is compared with.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct DiffQuery {
    /// The older version; by default the one before.
    from: Option<u32>,
}

/// What changed between two versions.
#[derive(Serialize, ToSchema)]
struct Diff {
    /// The older version; 0 is none.
    from: u32,
    /// The newer version.
    to: u32,
    /// A unified diff of the definition and its files; empty when nothing differs.
    diff: String,
}

/// Shows what changed between two versions
#[utoipa::path(get, path = "/api/workflows/{name}/versions/{version}/diff", tag = "workflows",
    params(NameAndVersion, DiffQuery), responses((status = 200, body = Diff)))]
async fn diff(
    State(app): State<Arc<App>>,
    Path(NameAndVersion { name, version }): Path<NameAndVersion>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<Diff>, Problem> {
    let new = stored(&app, &name, version).await?.source;
    let from = query.from.unwrap_or(version.saturating_sub(1));
    let old = if from == 0 { Source::default() } else { stored(&app, &name, from).await?.source };
    Ok(Json(Diff { from, to: version, diff: unified(&name, &old, &new) }))
}

fn unified(name: &str, old: &Source, new: &Source) -> String {
    let one = |path: &str, old: &str, new: &str| {
        let diff = TextDiff::from_lines(old, new);
        diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string()
    };
    let of = |source: &Source, path: &String| source.files.get(path).cloned().unwrap_or_default();
    let paths: BTreeSet<&String> = old.files.keys().chain(new.files.keys()).collect();
    let files = paths.into_iter().map(|path| one(path, &of(old, path), &of(new, path)));
    std::iter::once(one(&format!("{name}.yaml"), &old.text, &new.text)).chain(files).collect()
}
