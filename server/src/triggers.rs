//! What starts runs besides callers: schedules and webhooks.
//!
//! - `schedules`: every schedule of the installation, from definitions and from the API;
//! - `due`: which firings of a schedule are due, by its policies; pure;
//! - `fire`: the run of a firing, which exists once, whoever fires it and as often;
//! - `scheduler`: looks at all schedules, again and again;
//! - `api`: `/api/schedules`;
//! - `hooks`: `/hooks`.

use crate::routes::Routes;

mod api;
mod due;
mod fire;
pub(crate) mod hooks;
pub(crate) mod scheduler;
mod schedules;

pub(crate) fn routes(routes: Routes) -> Routes {
    hooks::routes(api::routes(routes))
}
