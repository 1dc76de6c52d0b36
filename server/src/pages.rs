//! The plain pages that the server gives itself, so that `/` is never empty-handed: sign-in, workflows, a form to run one.
//! They are three files in the program, and need nothing from elsewhere.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Redirect},
};
use utoipa_axum::routes;

use crate::{access::Access, routes::Routes};

/// What the page may do: its own script and style, calls to this server, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .add(Access::Open, routes!(root))
        .add(Access::Open, routes!(welcome))
        .add(Access::Open, routes!(script))
        .add(Access::Open, routes!(style))
}

/// Leads to where people begin
#[utoipa::path(get, path = "/", tag = "pages", responses((status = 303)))]
async fn root() -> Redirect {
    Redirect::to("/welcome")
}

/// The page where people begin: sign-in, workflows, a form to run one
#[utoipa::path(get, path = "/welcome", tag = "pages",
    responses((status = 200, body = String, content_type = "text/html")))]
async fn welcome() -> impl IntoResponse {
    file("text/html; charset=utf-8", include_str!("pages/welcome.html"))
}

/// The script of the page
#[utoipa::path(get, path = "/welcome.js", tag = "pages",
    responses((status = 200, body = String, content_type = "text/javascript")))]
async fn script() -> impl IntoResponse {
    file("text/javascript; charset=utf-8", include_str!("pages/welcome.js"))
}

/// The style of the page
#[utoipa::path(get, path = "/welcome.css", tag = "pages",
    responses((status = 200, body = String, content_type = "text/css")))]
async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("pages/welcome.css"))
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let header = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let policy = header(header::CONTENT_SECURITY_POLICY, POLICY);
    // The next release may bring other files under these names.
    ([header(header::CONTENT_TYPE, kind), header(header::CACHE_CONTROL, "no-cache"), policy], text)
}
