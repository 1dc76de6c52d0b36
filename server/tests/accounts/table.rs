//! The guide shows every route with who may call it.

use std::{fmt::Write as _, fs, path::PathBuf};

use liteagent_server::{Access, Role, Route};

use super::client::Installation;

const BEGIN: &str = "<!-- routes -->\n";
const END: &str = "<!-- /routes -->";

fn who(access: Access) -> &'static str {
    let user = |role| match role {
        Role::Viewer => "viewer",
        Role::Editor => "editor",
        Role::Owner => "owner",
    };
    match access {
        Access::Open => "anyone",
        Access::SignIn => "anyone, 30 times a minute",
        Access::User(role) => user(role),
        Access::UserOrKey(Role::Viewer) => "viewer, API key",
        Access::UserOrKey(Role::Editor) => "editor, API key",
        Access::UserOrKey(Role::Owner) => "owner, API key",
    }
}

fn table(routes: &[Route]) -> String {
    let mut routes: Vec<&Route> = routes.iter().collect();
    routes.sort_by_key(|route| (route.path.clone(), route.method.to_string()));
    let mut text = "| route | who |\n|---|---|\n".to_owned();
    for Route { method, path, access } in routes {
        writeln!(text, "| `{method} {path}` | {} |", who(*access)).unwrap();
    }
    text
}

#[tokio::test]
async fn the_guide_shows_every_route() {
    let world = Installation::new().server().await;
    let table = table(world.server.table());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/access.md");
    let guide = fs::read_to_string(&path).unwrap();
    let (before, rest) = guide.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if shown == table {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "whoever changes a route says so by it")]
    let is_asked = std::env::var("LITEAGENT_NEW_ROUTES").is_ok();
    if is_asked {
        fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    panic!(
        "the table in docs/guides/access.md is stale:\nLITEAGENT_NEW_ROUTES=1 cargo nextest run --workspace -E \
         'test(the_guide_shows_every_route)' writes it\n{table}"
    );
}
