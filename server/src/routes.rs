//! Every route with who may call it, and the OpenAPI document that is made of them.

use std::sync::Arc;

use axum::{
    Extension, Router,
    http::{Method, StatusCode, Uri},
    middleware::from_fn_with_state,
};
use liteagent_engine::codes;
use utoipa::{
    OpenApi as _,
    openapi::{
        ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder, SecurityRequirement,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::{
    access::{Access, guard},
    accounts,
    app::App,
    docs, files, folder, health, models, openai, pages,
    problem::{Finding, Place, Problem},
    runs, secrets, triggers, workflows,
};

/// A route: what is called how, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: String,
    /// Who may call.
    pub access: Access,
}

/// The routes that were said so far.
pub(crate) struct Routes {
    router: OpenApiRouter<Arc<App>>,
    table: Vec<Route>,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "LiteAgent", description = "Workflows, runs, chat and schedules through an API."),
    components(schemas(Problem, Finding, Place))
)]
struct Document;

impl Routes {
    /// Every route of the server.
    pub(crate) fn all() -> Self {
        let routes = Self { router: OpenApiRouter::with_openapi(Document::openapi()), table: Vec::new() };
        [
            health::routes,
            pages::routes,
            docs::routes,
            accounts::routes,
            workflows::routes,
            folder::routes,
            runs::routes,
            models::routes,
            triggers::routes,
            secrets::routes,
            files::routes,
            openai::routes,
        ]
        .into_iter()
        .fold(routes, |routes, more| more(routes))
    }

    /// Adds routes that the same people may call.
    pub(crate) fn add(mut self, access: Access, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        let (schemas, mut paths, router) = routes;
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                describe(operation, access);
                self.table.push(Route { method, path: path.clone(), access });
            }
        }
        let router = router.layer(from_fn_with_state(access, guard));
        Self { router: self.router.routes((schemas, paths, router)), ..self }
    }

    /// The router over what requests share.
    pub(crate) fn router(self, app: Arc<App>) -> Router {
        let (router, _) = self.router.split_for_parts();
        let router = router.fallback(nothing_here).method_not_allowed_fallback(wrong_method);
        router.with_state(app.clone()).layer(Extension(app))
    }

    /// Every route with who may call it.
    pub(crate) fn table(self) -> Vec<Route> {
        self.table
    }

    /// The OpenAPI document.
    pub(crate) fn document(self) -> OpenApi {
        let mut document = self.router.into_openapi();
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.security_schemes.insert("bearer".to_owned(), bearer.into());
        // What matches several segments is an ordinary parameter in the document.
        let paths = std::mem::take(&mut document.paths.paths);
        document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
        document
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, item.get.as_mut()),
        (Method::PUT, item.put.as_mut()),
        (Method::POST, item.post.as_mut()),
        (Method::DELETE, item.delete.as_mut()),
        (Method::PATCH, item.patch.as_mut()),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation?)))
}

/// Adds what holds for every operation: who may call it, and how it fails.
fn describe(operation: &mut Operation, access: Access) {
    let text = operation.description.take().unwrap_or_default();
    operation.description = Some(format!("{text}\n\n{}", access.described()).trim().to_owned());
    if !access.is_open() {
        operation.security = Some(vec![SecurityRequirement::new("bearer", [""; 0])]);
    }
    let problem = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(problem)).build();
    let response = ResponseBuilder::new().description("It failed").content("application/problem+json", content).build();
    operation.responses.responses.insert("default".to_owned(), response.into());
}

async fn nothing_here(uri: Uri) -> Problem {
    Problem::missing(codes::NO_ROUTE, format!("there is nothing at `{}`", uri.path()))
        .hint("see /docs for what there is")
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("`{}` does not take {method}", uri.path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, codes::NO_ROUTE, detail)
        .hint("use a method that the header `Allow` of this answer names")
}

/// Every route of the server, with who may call it.
pub fn routes() -> Vec<Route> {
    Routes::all().table()
}

/// The OpenAPI document of the server.
pub fn document() -> OpenApi {
    Routes::all().document()
}
