//! Links to files: who has one needs nothing else, until it expires.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac as _};
use liteagent_engine::{
    codes,
    id::RunId,
    time::iso,
    units::{Duration, Millis},
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{
    File,
    api::Id,
    content::{RunFile, reply},
    inputs::name_files,
    no_file,
};
use crate::{
    access::{Access, Caller, Role},
    app::App,
    extract::{Json, Path, Query},
    problem::Problem,
    routes::Routes,
    runs::visible,
    secrets::SecretKeys,
};

const PURPOSE: &str = "liteagent: links to files, 1";
/// How long a link works, at most and by default.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const USUAL: Duration = Duration::from_secs(60 * 60);

/// The keys that links are signed with, the current one first.
pub(crate) struct Links(Vec<[u8; 32]>);

impl Links {
    pub(crate) fn new(keys: &SecretKeys) -> Self {
        Self(keys.all().map(|key| key.derive(PURPOSE)).collect())
    }

    fn mac(key: &[u8; 32], id: &str, of: &str, expires: i64) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(key).expect("every length of a key is taken");
        mac.chain_update(format!("{id}\n{of}\n{expires}"))
    }

    /// The signature of a link; `None` without a key.
    fn sign(&self, id: &str, of: &str, expires: i64) -> Option<String> {
        let key = self.0.first()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode(Self::mac(key, id, of, expires).finalize().into_bytes()))
    }

    fn is_good(&self, id: &str, of: &str, expires: i64, signature: &str) -> bool {
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else { return false };
        self.0.iter().any(|key| Self::mac(key, id, of, expires).verify_slice(&signature).is_ok())
    }
}

pub(super) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::UserOrKey(Role::Editor), routes!(link))
        .add(Access::UserOrKey(Role::Editor), routes!(link_of_run))
        .add(Access::UserOrKey(Role::Editor), routes!(links_of_outputs))
        .add(Access::Open, routes!(open))
}

/// How long a link shall work.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct LinkBody {
    /// A time such as `15m`, at most `7d`; an hour by default.
    #[schema(value_type = Option<String>, example = "1h")]
    expires_in: Option<Duration>,
}

/// A link to a file.
#[derive(Serialize, ToSchema)]
struct Link {
    /// The path of the link, with its signature.
    url: String,
    /// When it stops working; that of an upload also when the upload is deleted.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Makes a link to an upload
///
/// Whoever has it can read the file until it expires.
#[utoipa::path(post, path = "/api/files/{id}/link", tag = "files", params(Id), request_body = LinkBody,
    responses((status = 201, body = Link)))]
async fn link(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(Id { id }): Path<Id>,
    Json(body): Json<LinkBody>,
) -> Result<(StatusCode, Json<Link>), Problem> {
    let owner = caller.space();
    let row = app.upload(&owner, &id).await?;
    Ok((StatusCode::CREATED, Json(app.link(&row.file.id, &Of::Owner(owner), &body)?)))
}

/// Makes a link to a file of a run
///
/// Whoever has it can read the file until it expires.
#[utoipa::path(post, path = "/api/runs/{id}/files/{file}/link", tag = "files", params(RunFile), request_body = LinkBody,
    responses((status = 201, body = Link)))]
async fn link_of_run(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(path): Path<RunFile>,
    Json(body): Json<LinkBody>,
) -> Result<(StatusCode, Json<Link>), Problem> {
    let file = app.file_of_run(&caller, &path).await?;
    Ok((StatusCode::CREATED, Json(app.link(&file.id, &Of::Run(path.id), &body)?)))
}

/// A file with a link to it.
#[derive(Serialize, ToSchema)]
struct Linked {
    /// The file.
    file: File,
    #[serde(flatten)]
    link: Link,
}

/// Links to files.
#[derive(Serialize, ToSchema)]
struct LinkList {
    /// In the order in which the outputs name the files.
    links: Vec<Linked>,
}

/// Makes links to the files among the outputs of a run
///
/// A run that has not ended has none.
#[utoipa::path(post, path = "/api/runs/{id}/links", tag = "files", params(Id), request_body = LinkBody,
    responses((status = 201, body = LinkList)))]
async fn links_of_outputs(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(Id { id }): Path<Id>,
    Json(body): Json<LinkBody>,
) -> Result<(StatusCode, Json<LinkList>), Problem> {
    let run = visible(&app, &caller, &id).await?.id;
    let outputs = app.engine.view(run).await?.and_then(|view| view.end).map(|end| end.outputs);
    let mut named = Vec::new();
    if let Some(outputs) = &outputs {
        name_files(outputs, "", &mut named);
    }
    let mut links: Vec<Linked> = Vec::new();
    for (_, file) in named {
        // A value may stand twice, and one that only looks like a file has no content.
        if links.iter().all(|linked| linked.file.id != file)
            && let Some(file) = app.files.find(run, &file).await?
        {
            let link = app.link(&file.id, &Of::Run(run.to_string()), &body)?;
            links.push(Linked { file: file.into(), link });
        }
    }
    Ok((StatusCode::CREATED, Json(LinkList { links })))
}

/// What a file is looked for in.
enum Of {
    /// The uploads of an owner.
    Owner(String),
    /// The files of a run.
    Run(String),
}

impl Of {
    fn signed(&self) -> String {
        match self {
            Self::Owner(owner) => format!("of={owner}"),
            Self::Run(run) => format!("run={run}"),
        }
    }

    fn in_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        match self {
            Self::Owner(owner) => query.append_pair("of", owner),
            Self::Run(run) => query.append_pair("run", run),
        };
        query.finish()
    }
}

impl App {
    fn link(&self, id: &str, of: &Of, body: &LinkBody) -> Result<Link, Problem> {
        let time = body.expires_in.unwrap_or(USUAL);
        if time.millis() <= 0 || time > LONGEST {
            let detail = format!("`expires_in`: expected a time of at most `{LONGEST}`, found `{time}`");
            return Err(Problem::invalid(codes::REQUEST_BODY, detail).hint("write it as `15m`, `1h` or `7d`"));
        }
        // Whole seconds: what people see in a link is short.
        let expires = (self.clock.now() + time.millis()) / 1_000;
        let signature = self.links.sign(id, &of.signed(), expires).ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                codes::SERVER_SECRET,
                "links need `SECRET_KEY`, and it is not set",
            )
        })?;
        let url = format!("/files/{id}?{}&expires={expires}&signature={signature}", of.in_query());
        Ok(Link { url, expires_at: iso(expires * 1_000) })
    }
}

/// What a link carries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct LinkQuery {
    /// Whose upload it is.
    of: Option<String>,
    /// The run whose file it is.
    run: Option<String>,
    /// Until when the link works, in seconds since 1970.
    expires: i64,
    /// Proves that this server made the link.
    signature: String,
}

/// Gives the content of a file by a link
#[utoipa::path(get, path = "/files/{id}", tag = "files", params(Id, LinkQuery),
    responses((status = 200, content_type = "*/*"), (status = 206, description = "A part")))]
async fn open(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Path(Id { id }): Path<Id>,
    Query(query): Query<LinkQuery>,
) -> Result<Response, Problem> {
    let refused = |why: &str| {
        Problem::new(StatusCode::FORBIDDEN, codes::LINK_REFUSED, why)
            .hint("ask whoever gave you the link for another one")
    };
    let of = match (query.of, query.run) {
        (Some(owner), None) => Of::Owner(owner),
        (None, Some(run)) => Of::Run(run),
        _ => return Err(refused("the link is not whole")),
    };
    if !app.links.is_good(&id, &of.signed(), query.expires, &query.signature) {
        return Err(refused("the link was not made by this server, or was changed"));
    }
    let now: Millis = app.clock.now();
    if query.expires.saturating_mul(1_000) <= now {
        return Err(refused("the link has expired"));
    }
    let file = match of {
        Of::Owner(owner) => app.upload(&owner, &id).await?.file,
        Of::Run(run) => {
            let run: RunId = run.parse().map_err(|_| refused("the link is not whole"))?;
            app.files.find(run, &id).await?.ok_or_else(|| no_file(&id))?
        }
    };
    reply(&app, file, &headers).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::SecretKey;

    #[test]
    fn a_link_is_good_for_what_it_was_made_for_and_after_a_change_of_keys() {
        let key =
            |text: &str| SecretKey::new("SECRET_KEY", &format!("{text}-0123456789-abcdefghijklmnopqrstuvw")).unwrap();
        let (old, new) = (key("one"), key("two"));
        let links = |current: &SecretKey, previous: Option<&SecretKey>| {
            Links::new(&SecretKeys { current: Some(current.clone()), previous: previous.cloned() })
        };
        let signature = links(&old, None).sign("file_1", "run=r", 100).unwrap();
        assert!(links(&old, None).is_good("file_1", "run=r", 100, &signature));
        assert!(links(&new, Some(&old)).is_good("file_1", "run=r", 100, &signature));
        assert!(!links(&new, None).is_good("file_1", "run=r", 100, &signature));
        for (id, of, expires, signature) in [
            ("file_2", "run=r", 100, &*signature),
            ("file_1", "of=r", 100, &*signature),
            ("file_1", "run=r", 101, &*signature),
            ("file_1", "run=r", 100, ""),
            ("file_1", "run=r", 100, "AAAA"),
            ("file_1", "run=r", 100, "not base64!"),
        ] {
            assert!(!links(&old, None).is_good(id, of, expires, signature), "{id} {of} {expires} {signature}");
        }
        assert!(Links::new(&SecretKeys::default()).sign("file_1", "run=r", 1).is_none());
    }
}
