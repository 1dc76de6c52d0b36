//! `/api/keys`: what programs call with.

use std::{num::NonZeroU32, sync::Arc};

use axum::{extract::State, http::StatusCode};
use chrono::DateTime;
use liteagent_engine::{
    capability::knowledge::Knowledge as _,
    codes,
    time::iso,
    units::{Millis, Money},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    accounts::{Accounts, Actor, secrets},
    app::App,
    extract::{Json, Path},
    problem::Problem,
    routes::Routes,
    store::{KeyLimits, KeyRow, KeyScope},
};

/// How many characters of a key are shown: enough to tell it from others, and far from enough to guess it.
const SHOWN: usize = 9;
/// The longest name of a key, in characters.
const LONGEST: usize = 100;

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::User(Role::Editor), routes!(list))
        .add(Access::User(Role::Editor), routes!(create))
        .add(Access::User(Role::Editor), routes!(revoke))
}

/// What the runs of an API key may use of models a day (UTC).
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DayBudget {
    /// Tokens of questions and answers.
    #[serde(default)]
    #[schema(minimum = 1)]
    tokens: Option<u64>,
    /// Money, by the price table.
    #[serde(default)]
    #[schema(example = "5.00 USD")]
    cost: Option<String>,
}

/// An API key, without the key.
#[derive(Serialize, ToSchema)]
struct Key {
    /// Its id.
    id: String,
    /// How it begins.
    #[schema(example = "la_Xk2mP0")]
    prefix: String,
    /// What its maker calls it.
    name: String,
    /// What it is for.
    scope: KeyScope,
    /// How many requests a minute it allows; `null` is any number.
    rate: Option<u32>,
    /// How many of its runs may go on at once; `null` is any number.
    runs: Option<u32>,
    /// What its runs may use of models a day, in place of what every key may.
    budget: DayBudget,
    /// Whether it only looks: it starts and changes nothing.
    read_only: bool,
    /// Who made it.
    created_by: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is refused; `null` is never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was last used, give or take a minute; `null` is never.
    #[schema(format = DateTime)]
    used_at: Option<String>,
}

impl From<KeyRow> for Key {
    fn from(row: KeyRow) -> Self {
        Self {
            id: row.id,
            prefix: row.prefix,
            name: row.name,
            scope: row.scope,
            rate: row.rate,
            runs: row.limits.runs,
            budget: DayBudget { tokens: row.limits.tokens, cost: row.limits.cost.map(|cost| Money(cost).to_string()) },
            read_only: row.read_only,
            created_by: row.created_by,
            created_at: iso(row.created_at),
            expires_at: row.expires_at.map(iso),
            used_at: row.used_at.map(iso),
        }
    }
}

/// API keys.
#[derive(Serialize, ToSchema)]
struct Keys {
    /// Those that were not revoked, newest first.
    keys: Vec<Key>,
}

/// Lists the API keys
#[utoipa::path(get, path = "/api/keys", tag = "keys", responses((status = 200, body = Keys)))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<Keys>, Problem> {
    Ok(Json(Keys { keys: app.store.keys().await?.into_iter().map(Key::from).collect() }))
}

/// An API key that shall be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What to call it: journals and the audit log show it.
    #[schema(example = "website")]
    name: String,
    /// What it is for.
    scope: KeyScope,
    /// From when on it is refused; never by default.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// How many requests a minute it allows; any number by default.
    #[schema(value_type = Option<u32>, minimum = 1)]
    rate: Option<NonZeroU32>,
    /// How many of its runs may go on at once, those that wait for a person among them; any number by default.
    #[schema(value_type = Option<u32>, minimum = 1)]
    runs: Option<NonZeroU32>,
    /// What its runs may use of models a day; by default as much as every key may.
    #[serde(default)]
    budget: DayBudget,
    /// Whether it only looks: at runs and conversations, or for passages. It starts and changes nothing then.
    #[serde(default)]
    read_only: bool,
}

/// An API key that was made.
#[derive(Serialize, ToSchema)]
struct Made {
    /// The key. It is shown once: only a hash of it is kept.
    key: String,
    #[serde(flatten)]
    row: Key,
}

/// Makes an API key
///
/// It allows to start, see and steer runs of one workflow, or to use one knowledge base, and nothing else.
#[utoipa::path(post, path = "/api/keys", tag = "keys", request_body = NewKey,
    responses((status = 201, body = Made)))]
async fn create(
    State(app): State<Arc<App>>,
    actor: Actor,
    Json(body): Json<NewKey>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    match &body.scope {
        KeyScope::Workflow(name) if app.store.workflow(name).await?.is_none() => {
            return Err(crate::workflows::unknown(name));
        }
        KeyScope::KnowledgeBase(name) => drop(app.bases().await?.base(name).await?),
        KeyScope::Workflow(_) => {}
    }
    let made = app.accounts.make_key(body, &actor).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Which key a path is about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Id {
    /// The id of the key, which is not the key.
    id: String,
}

/// Revokes an API key
///
/// It is refused at once by this server, and within 10 seconds by others.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "keys", params(Id), responses((status = 204)))]
async fn revoke(State(app): State<Arc<App>>, actor: Actor, Path(Id { id }): Path<Id>) -> Result<StatusCode, Problem> {
    app.accounts.revoke_key(&id, &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Accounts {
    async fn make_key(&self, new: NewKey, actor: &Actor) -> Result<Made, Problem> {
        let now = self.clock.now();
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > LONGEST || name.chars().any(char::is_control) {
            let detail = format!("`name`: expected 1 to {LONGEST} visible characters, found `{}`", new.name);
            return Err(Problem::invalid(codes::REQUEST_BODY, detail).hint("name what the key is used in"));
        }
        let expires_at = new.expires_at.map(|text| moment(&text, now)).transpose()?;
        let limits = KeyLimits { runs: new.runs.map(NonZeroU32::get), ..limits(&new.budget)? };
        let key = secrets::random_key();
        let row = KeyRow {
            id: secrets::id("key"),
            prefix: key.chars().take(SHOWN).collect(),
            name,
            scope: new.scope,
            rate: new.rate.map(NonZeroU32::get),
            limits,
            created_by: actor.who.clone(),
            created_at: now,
            expires_at,
            revoked_at: None,
            used_at: None,
            read_only: new.read_only,
        };
        let entry = self.entry(actor, "keys.create", &row.id);
        self.store.add_key(row.clone(), secrets::hash(&key), entry).await?;
        Ok(Made { key, row: row.into() })
    }

    async fn revoke_key(&self, id: &str, actor: &Actor) -> Result<(), Problem> {
        let revoked = self.store.revoke_key(id, self.entry(actor, "keys.revoke", id)).await?;
        self.forget_key(id);
        if revoked {
            return Ok(());
        }
        Err(Problem::missing(codes::NO_KEY, format!("there is no API key of the id `{id}`"))
            .hint("list them with GET /api/keys"))
    }
}

/// What a key may use a day.
fn limits(budget: &DayBudget) -> Result<KeyLimits, Problem> {
    let wrong = |detail: String| {
        Problem::invalid(codes::REQUEST_BODY, detail)
            .hint("write `\"budget\": {\"tokens\": 100000, \"cost\": \"5.00 USD\"}`")
    };
    if budget.tokens == Some(0) {
        return Err(wrong("`budget.tokens`: expected at least 1, found 0".to_owned()));
    }
    let cost = budget.cost.as_deref().map(Money::parse).transpose();
    let cost = cost.map_err(|error| wrong(format!("`budget.cost`: {error}")))?;
    Ok(KeyLimits { runs: None, tokens: budget.tokens, cost: cost.map(|cost| cost.0) })
}

/// A time that is still to come.
fn moment(text: &str, now: Millis) -> Result<Millis, Problem> {
    let at = DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_millis()).filter(|at| *at > now);
    at.ok_or_else(|| {
        let detail = format!("`expires_at`: expected a time to come, found `{text}`");
        Problem::invalid(codes::REQUEST_BODY, detail).hint("write it as `2027-01-31T00:00:00Z`")
    })
}
