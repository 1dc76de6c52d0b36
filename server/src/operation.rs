//! Operating an installation: what is kept how long, what may be used, who is forgotten, and runs that came out of a backup.
//!
//! - `settings`: what the configuration says of that;
//! - `begin`: how every run of the server begins: budgets and limits are looked at;
//! - `sweep`: what is deleted in the background;
//! - `api`: `/api/installation`, `/api/runs/release`, `/api/forget`.

use crate::routes::Routes;

pub(crate) use self::begin::{NotBegun, Spent};
pub use self::settings::{Budgets, Retention};

mod api;
mod begin;
mod settings;
mod sweep;

pub(crate) fn routes(routes: Routes) -> Routes {
    api::routes(routes)
}
