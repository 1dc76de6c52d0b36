//! The routes of accounts.

use axum::{extract::FromRequestParts, http::request::Parts};

use super::Actor;
use crate::{access::Caller, front::Address, problem::Problem, routes::Routes};

mod audit;
mod auth;
mod keys;
mod users;

pub(super) fn routes(routes: Routes) -> Routes {
    [auth::routes, users::routes, keys::routes, audit::routes].into_iter().fold(routes, |routes, more| more(routes))
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let who = parts.extensions.get::<Caller>().map_or_else(|| "nobody".to_owned(), Caller::name);
        Ok(Self { who, address: Address::of(&parts.extensions) })
    }
}
