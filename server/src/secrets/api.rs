//! `/api/secrets`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{extract::State, http::StatusCode};
use liteagent_engine::{capability::SecretSource, codes, time::iso};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{SecretChange, SecretInfo, VaultError, vault::Set};
use crate::{
    access::{Access, Role},
    accounts::Actor,
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::User(Role::Owner), routes!(list))
        .add(Access::User(Role::Owner), routes!(put))
        .add(Access::User(Role::Owner), routes!(delete))
}

/// A secret, without its value.
#[derive(Serialize, ToSchema)]
struct Secret {
    /// Its name.
    #[schema(example = "SHOP_TOKEN")]
    name: String,
    /// Where the value comes from that counts.
    source: Source,
    /// Whether the vault has a value too that does not count: the environment and `.env` win.
    shadows_vault: bool,
    /// Where it may be sent; `null` is anywhere.
    #[schema(example = json!(["shop.example.org"]))]
    hosts: Option<Vec<String>>,
    /// Which workflows may declare it; `null` is all.
    #[schema(example = json!(["shop/*"]))]
    workflows: Option<Vec<String>>,
    /// The published workflows that declare it.
    used_by: Vec<String>,
    /// What it is for.
    description: Option<String>,
    /// Why the value in the vault cannot be read, if it cannot.
    problem: Option<String>,
    /// When it was put into the vault.
    #[schema(format = DateTime)]
    created_at: Option<String>,
    /// Who did that.
    created_by: Option<String>,
    /// When it last changed in the vault.
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    /// Who changed it.
    updated_by: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// The environment of the server.
    Environment,
    /// The file `.env`.
    DotEnv,
    /// The vault.
    Vault,
    /// Nowhere: workflows declare it, and cannot run.
    Missing,
}

impl From<SecretSource> for Source {
    fn from(source: SecretSource) -> Self {
        match source {
            SecretSource::Environment => Self::Environment,
            SecretSource::File => Self::DotEnv,
            SecretSource::Vault => Self::Vault,
        }
    }
}

impl Secret {
    fn of(info: SecretInfo, used_by: Vec<String>) -> Self {
        let SecretInfo { name, source, hosts, workflows, stored } = info;
        let shadows_vault = source != SecretSource::Vault && stored.is_some();
        let (created, updated) = stored.as_ref().map(|stored| (stored.created.clone(), stored.updated.clone())).unzip();
        let (created_at, created_by) = created.map(|(at, by)| (iso(at), by)).unzip();
        let (updated_at, updated_by) = updated.map(|(at, by)| (iso(at), by)).unzip();
        let (description, problem) = stored.map(|stored| (stored.description, stored.problem)).unwrap_or_default();
        Self {
            name,
            source: source.into(),
            shadows_vault,
            hosts,
            workflows,
            used_by,
            description,
            problem,
            created_at,
            created_by,
            updated_at,
            updated_by,
        }
    }

    /// One that workflows declare and nobody has.
    fn missing(name: String, used_by: Vec<String>) -> Self {
        Self {
            name,
            source: Source::Missing,
            shadows_vault: false,
            hosts: None,
            workflows: None,
            used_by,
            description: None,
            problem: None,
            created_at: None,
            created_by: None,
            updated_at: None,
            updated_by: None,
        }
    }
}

/// The secrets.
#[derive(Serialize, ToSchema)]
struct SecretList {
    /// By name.
    secrets: Vec<Secret>,
}

impl App {
    /// The published workflows that declare each secret.
    fn declared(&self) -> BTreeMap<String, Vec<String>> {
        let mut declared: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for published in self.workflows.all_published() {
            for name in published.bundle.workflows.values().flat_map(|definition| &definition.secrets) {
                declared.entry(name.clone()).or_default().insert(published.row.workflow.clone());
            }
        }
        declared.into_iter().map(|(name, workflows)| (name, workflows.into_iter().collect())).collect()
    }
}

/// Lists the secrets
///
/// Those of the vault, of the environment and of `.env`, and those that published workflows declare and nobody has. No value is
/// ever shown.
#[utoipa::path(get, path = "/api/secrets", tag = "secrets", responses((status = 200, body = SecretList)))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<SecretList>, Problem> {
    app.vault.refresh().await?;
    let mut declared = app.declared();
    let known = app.vault.list().into_iter().map(|info| {
        let used_by = declared.remove(&info.name).unwrap_or_default();
        Secret::of(info, used_by)
    });
    let mut secrets: Vec<Secret> = known.collect();
    secrets.extend(declared.into_iter().map(|(name, used_by)| Secret::missing(name, used_by)));
    secrets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(SecretList { secrets }))
}

/// A secret, or what changes of it. What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "`null` says something else than a member that is not there")]
struct PutSecret {
    /// The value, which is shown to nobody ever again: at most 64 KiB. A new secret needs one.
    #[schema(write_only)]
    value: Option<String>,
    /// Where it may be sent: `api.example.org`, `*.example.org` for every host below, `localhost:8080`; `null` is anywhere. More
    /// hosts than before need the value again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["shop.example.org"]))]
    hosts: Option<Option<Vec<String>>>,
    /// Which workflows may declare it: `shop/order`, `shop/*` for every one below; `null` is all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, example = json!(["shop/*"]))]
    workflows: Option<Option<Vec<String>>>,
    /// What it is for.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
}

/// Tells `null` from a member that is not there.
#[expect(clippy::option_option, reason = "it is what it is for")]
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Which secret a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Name {
    /// Its name.
    name: String,
}

/// Puts a secret into the vault, or changes it there
///
/// Nodes that act from now on use it, also those of runs that go on. Where the environment or `.env` has a value too, that one counts:
/// `shadows_vault` says so.
#[utoipa::path(put, path = "/api/secrets/{name}", tag = "secrets", params(Name), request_body = PutSecret,
    responses((status = 200, body = Secret), (status = 201, description = "It is new", body = Secret)))]
async fn put(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(Name { name }): Path<Name>,
    Json(body): Json<PutSecret>,
) -> Result<(StatusCode, Json<Secret>), Problem> {
    let PutSecret { value, hosts, workflows, description } = body;
    let set = app.vault.set(&name, SecretChange { value, hosts, workflows, description }, &actor).await?;
    let status = if set == Set::Added { StatusCode::CREATED } else { StatusCode::OK };
    let used_by = app.declared().remove(&name).unwrap_or_default();
    let info = app.vault.list().into_iter().find(|info| info.name == name);
    // Another request may have deleted it meanwhile.
    let secret = info.map_or_else(|| Secret::missing(name, used_by.clone()), |info| Secret::of(info, used_by.clone()));
    Ok((status, Json(secret)))
}

/// Deletes a secret from the vault
///
/// A run that needs it from now on fails.
#[utoipa::path(delete, path = "/api/secrets/{name}", tag = "secrets", params(Name), responses((status = 204)))]
async fn delete(
    State(app): State<Arc<App>>,
    actor: Actor,
    Path(Name { name }): Path<Name>,
) -> Result<StatusCode, Problem> {
    app.vault.delete(&name, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<VaultError> for Problem {
    fn from(error: VaultError) -> Self {
        let refused = match error {
            VaultError::Store(error) => return error.into(),
            VaultError::Refused(refused) => refused,
        };
        let status = match refused.code {
            codes::NO_SECRET => StatusCode::NOT_FOUND,
            codes::SECRET_VALUE_NEEDED | codes::SECRET_UNREADABLE => StatusCode::CONFLICT,
            codes::SERVER_SECRET => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        let problem = Self::new(status, refused.code, refused.message);
        match refused.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}
