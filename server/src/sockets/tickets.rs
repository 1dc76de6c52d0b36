//! Tickets: what stands for a token or key in a URL, once, for a moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Extension, body::Bytes, extract::State, http::StatusCode};
use liteagent_engine::{codes, time::iso, units::Millis};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::{
    access::{Access, Role},
    accounts::{self, Shown},
    app::App,
    extract::Json,
    problem::Problem,
    routes::Routes,
    store::TokenHash,
};

/// How tickets begin.
const TICKET: &str = "lt_";
/// How long a ticket works.
const WORKS: Millis = 30_000;
/// The most tickets that are out.
const MOST: usize = 10_000;

pub(super) fn routes(routes: Routes) -> Routes {
    routes.add(Access::UserOrKey(Role::Viewer), routes!(make))
}

/// The tickets that are out, by their hashes.
#[derive(Default)]
pub(crate) struct Tickets(Mutex<HashMap<TokenHash, Ticket>>);

struct Ticket {
    shown: Shown,
    /// The only path that it opens; `None` is all.
    path: Option<String>,
    until: Millis,
}

impl Tickets {
    /// A new ticket for what somebody showed; `None` when too many are out.
    fn make(&self, shown: Shown, path: Option<String>, now: Millis) -> Option<String> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() >= MOST {
            tickets.retain(|_, ticket| now < ticket.until);
        }
        if tickets.len() >= MOST {
            return None;
        }
        let secret = accounts::secret(TICKET);
        tickets.insert(accounts::hash(&secret), Ticket { shown, path, until: now + WORKS });
        Some(secret)
    }

    /// What was shown for a ticket that opens a path; it works no more.
    ///
    /// # Errors
    /// When it does not work.
    pub(crate) fn take(&self, secret: &str, path: &str, now: Millis) -> Result<Shown, Problem> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&accounts::hash(secret));
        let why = match taken {
            None => "the ticket is not known: it was used before, or comes from another server",
            Some(ticket) if now >= ticket.until => "the ticket is older than 30 seconds",
            Some(Ticket { path: Some(own), .. }) if own != path => "the ticket is for another path",
            Some(ticket) => return Ok(ticket.shown),
        };
        Err(Problem::new(StatusCode::UNAUTHORIZED, codes::TICKET, why).hint("ask for a new one: POST /api/tickets"))
    }
}

/// What a ticket is for.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TicketBody {
    /// The only path that it opens; every one that takes tickets by default.
    #[schema(example = "/api/ws")]
    path: Option<String>,
}

/// A ticket.
#[derive(Serialize, ToSchema)]
struct TicketReply {
    /// What to send as `?ticket=`. It works once.
    #[schema(example = "lt_Xk2mP0")]
    ticket: String,
    /// Until when it works.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// Makes a ticket
///
/// It stands for the caller's token or key where a browser can send no header: as `?ticket=` of `GET /api/ws` and
/// `GET /api/runs/{id}/events`, once, within 30 seconds. The body may be left out.
#[utoipa::path(post, path = "/api/tickets", tag = "streams", request_body = Option<TicketBody>,
    responses((status = 201, body = TicketReply)))]
async fn make(
    State(app): State<Arc<App>>,
    Extension(shown): Extension<Shown>,
    body: Bytes,
) -> Result<(StatusCode, Json<TicketReply>), Problem> {
    let TicketBody { path } = if body.is_empty() {
        TicketBody::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            Problem::invalid(codes::REQUEST_BODY, format!("expected `{{\"path\": ...}}` or no body: {error}"))
                .hint("send `{\"path\": \"/api/ws\"}`")
        })?
    };
    let now = app.clock.now();
    let ticket = app.tickets.make(shown, path, now).ok_or_else(|| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, codes::RATE_LIMITED, format!("{MOST} tickets are out"))
            .hint("ask for a ticket right before it is used")
            .retry_after(WORKS.unsigned_abs() / 1_000)
    })?;
    Ok((StatusCode::CREATED, Json(TicketReply { ticket, expires_at: iso(now + WORKS) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_works_once_for_its_path_and_for_half_a_minute() {
        let tickets = Tickets::default();
        let make = |path: Option<&str>| tickets.make(Shown::Developer, path.map(str::to_owned), 0).unwrap();
        let (one, other, late) = (make(None), make(Some("/api/ws")), make(None));
        assert_eq!(tickets.take(&one, "/api/runs/x/events", 1).ok(), Some(Shown::Developer));
        assert!(tickets.take(&one, "/api/runs/x/events", 1).is_err(), "once");
        assert!(tickets.take(&other, "/api/runs/x/events", 1).is_err(), "for its path");
        assert!(tickets.take(&other, "/api/ws", 1).is_err(), "and not after that");
        assert!(tickets.take(&late, "/api/ws", WORKS).is_err(), "in time");
        assert!(tickets.take("lt_guess", "/api/ws", 1).is_err());
    }

    #[test]
    fn only_so_many_are_out() {
        let tickets = Tickets::default();
        for _ in 0..MOST {
            tickets.make(Shown::Developer, None, 0).unwrap();
        }
        assert_eq!(tickets.make(Shown::Developer, None, 1), None);
        assert!(tickets.make(Shown::Developer, None, WORKS).is_some());
    }
}
