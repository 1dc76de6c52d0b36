//! What starts runs besides callers: schedules, webhooks, and the ends of other runs.
//!
//! - `schedules`: every schedule of the installation, from definitions and from the API;
//! - `due`: which firings of a schedule are due, by its policies; pure;
//! - `fire`: the run of a firing, which exists once, whoever fires it and as often;
//! - `scheduler`: looks at all schedules, again and again;
//! - `api`: `/api/schedules`;
//! - `hooks`: `/hooks`;
//! - `after`: runs that begin after others.

use std::sync::Arc;

use liteagent_engine::bundle::Bundle;

use crate::{problem::Problem, routes::Routes, workflows::Published};

mod after;
mod api;
mod due;
mod fire;
mod hooks;
pub(crate) mod scheduler;
mod schedules;

pub(crate) fn routes(routes: Routes) -> Routes {
    after::routes(hooks::routes(api::routes(routes)))
}

/// Refuses a version whose triggers cannot be published beside those of the others.
pub(crate) fn check(bundle: &Bundle, published: &[Arc<Published>]) -> Result<(), Problem> {
    hooks::check_free(bundle, published)?;
    after::check_cycle(bundle, published)
}
