//! Every route with who may call it, and the OpenAPI document that is made of them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Router,
    http::{Method, StatusCode, Uri},
    middleware::from_fn_with_state,
};
use liteagent_engine::codes;
use utoipa::{
    OpenApi as _,
    openapi::{
        AllOf, ContentBuilder, Object, OpenApi, Ref, RefOr, ResponseBuilder, Schema, SecurityRequirement,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::{
    access::{Access, guard},
    accounts, agents,
    app::App,
    conversations, docs, files, folder, health, knowledge, models, openai, operation, pages,
    problem::{Finding, Place, Problem},
    queues, runs, secrets, sockets, triggers, workflows,
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
    components(schemas(Problem, Finding, Place, openai::Failed))
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
            agents::routes,
            conversations::routes,
            knowledge::routes,
            sockets::routes,
            models::routes,
            triggers::routes,
            secrets::routes,
            files::routes,
            openai::routes,
            operation::routes,
            queues::routes,
        ]
        .into_iter()
        .fold(routes, |routes, more| more(routes))
    }

    /// Adds routes that the same people may call.
    pub(crate) fn add(mut self, access: Access, routes: UtoipaMethodRouter<Arc<App>>) -> Self {
        let (schemas, mut paths, router) = routes;
        for (path, item) in &mut paths.paths {
            for (method, operation) in operations(item) {
                describe(operation, path, access);
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
        flatten(&mut components.schemas);
        // What matches several segments is an ordinary parameter in the document.
        let paths = std::mem::take(&mut document.paths.paths);
        document.paths.paths = paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect();
        document
    }
}

/// Makes one object of what is an object with the members of others: each of those is closed, and would refuse the rest.
fn flatten(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let all = schemas.clone();
    for schema in schemas.values_mut() {
        let RefOr::T(Schema::AllOf(AllOf { items, description, .. })) = schema else { continue };
        let parts: Vec<_> = items.iter().filter_map(|item| object(item, &all)).collect();
        if parts.len() < items.len() {
            continue;
        }
        let mut whole = Object::default();
        whole.description = description.take();
        for part in parts {
            whole.properties.extend(part.properties.clone());
            whole.required.extend(part.required.iter().cloned());
            whole.additional_properties = whole.additional_properties.or_else(|| part.additional_properties.clone());
        }
        *schema = RefOr::T(Schema::Object(whole));
    }
}

fn object<'s>(schema: &'s RefOr<Schema>, all: &'s BTreeMap<String, RefOr<Schema>>) -> Option<&'s Object> {
    match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        RefOr::T(_) => None,
        RefOr::Ref(named) => match all.get(named.ref_location.strip_prefix("#/components/schemas/")?)? {
            RefOr::T(Schema::Object(object)) => Some(object),
            _ => None,
        },
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
fn describe(operation: &mut Operation, path: &str, access: Access) {
    let text = operation.description.take().unwrap_or_default();
    operation.description = Some(format!("{text}\n\n{}", access.described()).trim().to_owned());
    if !access.is_open() {
        operation.security = Some(vec![SecurityRequirement::new("bearer", [""; 0])]);
    }
    let content = |schema| ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name(schema)))).build();
    let failed =
        ResponseBuilder::new().description("It failed").content("application/problem+json", content("Problem"));
    let failed = if openai::is_of(path) { failed.content("application/json", content("Failed")) } else { failed };
    operation.responses.responses.insert("default".to_owned(), failed.build().into());
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
