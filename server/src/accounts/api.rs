//! The routes of accounts.

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};

use super::Actor;
use crate::{access::Caller, front::Address, routes::Routes};

mod audit;
mod auth;
mod keys;
mod users;

pub(super) fn routes(routes: Routes) -> Routes {
    [auth::routes, users::routes, keys::routes, audit::routes].into_iter().fold(routes, |routes, more| more(routes))
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let caller = parts.extensions.get::<Caller>();
        let who = caller.map_or_else(|| "nobody".to_owned(), Caller::name);
        Ok(Self { who, address: Address::of(&parts.extensions), is_owner: caller.is_some_and(Caller::is_owner) })
    }
}
