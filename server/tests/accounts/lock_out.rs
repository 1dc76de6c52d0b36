//! Pauses after wrong passwords.

use std::time::Duration;

use serde_json::json;

use super::client::{Client, Installation, PASSWORD, code};
use crate::common::{Reply, World};

async fn try_as(world: &World, email: &str, password: &str, from: &str) -> Reply {
    let client = Client { headers: vec![("x-forwarded-for", from.to_owned())], ..Client::nobody() };
    client.send(world, "POST /api/auth/sign-in", json!({ "email": email, "password": password })).await
}

/// A server that believes the proxy of the tests, with an owner.
async fn world(installation: &Installation) -> World {
    installation
        .server_with(|settings| {
            settings.proxies = vec!["127.0.0.0/8".parse().unwrap()];
            settings.limits.sign_in = None;
        })
        .await
}

fn outcome(reply: &Reply) -> (u16, String, Option<&str>) {
    let retry = reply.headers.get("retry-after").and_then(|value| value.to_str().ok());
    (reply.status.as_u16(), code(reply), retry)
}

fn wrong() -> (u16, String, Option<&'static str>) {
    (401, "LA4103".to_owned(), None)
}

fn paused(seconds: &str) -> (u16, String, Option<&str>) {
    (429, "LA4104".to_owned(), Some(seconds))
}

#[tokio::test]
async fn wrong_passwords_make_a_growing_pause_for_the_account_that_a_restart_does_not_end() {
    let installation = Installation::new();
    let first = world(&installation).await;
    Client::first_owner(&first, "ada@example.org").await;
    // Whether there is such a user is not told.
    for email in ["ada@example.org", "nobody@example.org"] {
        let attempt = async |world: &World, password| try_as(world, email, password, "203.0.113.1").await;
        for _ in 0..6 {
            assert_eq!(outcome(&attempt(&first, "wrong password").await), wrong());
        }
        assert_eq!(outcome(&attempt(&first, PASSWORD).await), paused("1"));
        installation.clock.advance(Duration::from_secs(1));
        assert_eq!(outcome(&attempt(&first, "wrong password").await), wrong());
        let second = world(&installation).await;
        assert_eq!(outcome(&attempt(&second, PASSWORD).await), paused("2"));
        assert_eq!(outcome(&try_as(&second, email, PASSWORD, "203.0.113.99").await), paused("2"));
        installation.clock.advance(Duration::from_secs(2));
    }
    // Who knows the password begins anew.
    assert_eq!(try_as(&first, "ada@example.org", PASSWORD, "203.0.113.1").await.status, 200);
    for _ in 0..6 {
        assert_eq!(outcome(&try_as(&first, "ada@example.org", "wrong password", "203.0.113.1").await), wrong());
    }
}

#[tokio::test]
async fn wrong_passwords_of_many_accounts_make_a_pause_for_the_address() {
    let installation = Installation::new();
    let world = world(&installation).await;
    Client::first_owner(&world, "ada@example.org").await;
    for number in 0..21 {
        let email = format!("user{number}@example.org");
        assert_eq!(outcome(&try_as(&world, &email, "wrong password", "2001:db8::1").await), wrong());
    }
    assert_eq!(outcome(&try_as(&world, "ada@example.org", PASSWORD, "2001:db8::2").await), paused("1"));
    assert_eq!(try_as(&world, "ada@example.org", PASSWORD, "203.0.113.1").await.status, 200);
}
