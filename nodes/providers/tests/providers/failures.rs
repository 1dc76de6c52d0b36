//! Every failure has a code, a class, a hint, and never a key in it.

use futures::StreamExt as _;
use liteagent_engine::{
    capability::model::Models as _,
    codes,
    error::{Code, ErrorClass},
};
use rstest::rstest;
use serde_json::json;

use super::world::{Server, World, delta, finish, question};

#[rstest]
#[case(
    401,
    r#"{"error":{"message":"Incorrect API key provided: sk-secret","code":"invalid_api_key"}}"#,
    codes::PROVIDER_WRONG_KEY,
    ErrorClass::Unauthenticated,
    "LITEAGENT_SECRET_KEY"
)]
#[case(
    403,
    r#"{"error":{"message":"no access"}}"#,
    codes::PROVIDER_NOT_ALLOWED,
    ErrorClass::Forbidden,
    "allow `m` for the key"
)]
#[case(
    404,
    r#"{"error":{"message":"no such model","code":"model_not_found"}}"#,
    codes::MODEL_UNKNOWN,
    ErrorClass::NotFound,
    "liteagent models list"
)]
#[case(
    400,
    r#"{"error":{"message":"maximum context length is 8","code":"context_length_exceeded"}}"#,
    codes::PROVIDER_CONTEXT,
    ErrorClass::LimitExceeded,
    "a smaller `history`"
)]
#[case(
    400,
    r#"{"error":{"message":"filtered","code":"content_filter"}}"#,
    codes::PROVIDER_FILTERED,
    ErrorClass::Forbidden,
    "name a second model"
)]
#[case(
    429,
    r#"{"error":{"message":"no quota","code":"insufficient_quota"}}"#,
    codes::PROVIDER_CREDIT,
    ErrorClass::LimitExceeded,
    "add credit"
)]
#[case(
    400,
    r#"{"error":{"message":"what is this"}}"#,
    codes::PROVIDER_REQUEST,
    ErrorClass::Invalid,
    "`extra` under `[providers.x]`"
)]
#[case(302, "", codes::PROVIDER_ANSWER, ErrorClass::Unavailable, "`base_url` under `[providers.x]`")]
#[case(200, "nonsense", codes::PROVIDER_ANSWER, ErrorClass::Unavailable, "`base_url` under `[providers.x]`")]
#[tokio::test]
async fn a_refusal_is_told_once_and_for_all(
    #[case] status: u16,
    #[case] body: &str,
    #[case] code: Code,
    #[case] class: ErrorClass,
    #[case] hint: &str,
) {
    let mut world = World::openai("").await;
    let asked = world.ask(question("Hi"));
    world.server.next().await.answer(status, &[], body).await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.class), (code, class), "{error}");
    assert!(error.hint.as_deref().unwrap().contains(hint), "{error:?}");
    assert!(!format!("{error:?}").contains("sk-secret"), "{error:?}");
    assert!(world.server.is_quiet(), "it is not tried again");
}

#[tokio::test]
async fn a_call_without_a_key_is_not_sent() {
    let toml = |line: &str, address| format!("[providers.openai]\nbase_url = \"http://{address}/v1\"\n{line}");
    for (line, hint) in
        [("key = \"ABSENT\"", "set `LITEAGENT_SECRET_ABSENT`"), ("", "`key` under `[providers.openai]`")]
    {
        let server = Server::start().await;
        let toml = toml(line, server.address);
        let mut world = World::at(server, &toml, &[("OPENAI_API_KEY", "sk-mine")]).await;
        let mut request = question("Hi");
        request.models = vec!["openai/m".to_owned()];
        let error = world.ask(request).await.unwrap().unwrap_err();
        assert_eq!((error.code, error.class), (codes::PROVIDER_NO_KEY, ErrorClass::Unauthenticated));
        assert!(error.hint.as_deref().unwrap().contains(hint), "{error:?}");
        assert!(world.server.is_quiet());
    }
}

#[rstest]
#[case(503)]
#[case(529)]
#[case(500)]
#[tokio::test]
async fn a_provider_that_cannot_serve_is_asked_three_times(#[case] status: u16) {
    let mut world = World::openai("").await;
    let asked = world.ask(question("Hi"));
    for wait in [None, Some(500), Some(2_000)] {
        if let Some(wait) = wait {
            pass_millis(&world, wait).await;
        }
        let after: &[(&str, &str)] = if wait == Some(500) { &[("retry-after", "2")] } else { &[] };
        world.server.next().await.answer(status, after, r#"{"error":{"message":"busy"}}"#).await;
    }
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.class), (codes::PROVIDER_OVERLOADED, ErrorClass::Unavailable));
}

async fn pass_millis(world: &World, millis: i64) {
    use liteagent_engine::time::Clock as _;
    let at = world.clock.now() + millis;
    while world.clock.next_wake() != Some(at) {
        tokio::task::yield_now().await;
    }
    world.clock.advance_to(at);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let toml = "[providers.x]\nbase_url = \"http://127.0.0.1:9/v1\"";
    let world = World::at(Server::start().await, toml, &[]).await;
    let asked = world.ask(question("Hi"));
    pass_millis(&world, 500).await;
    pass_millis(&world, 1_000).await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!(error.code, codes::PROVIDER_UNREACHABLE);
    assert!(error.message.contains("http://127.0.0.1:9/v1"), "{error}");
    // The exception of the guard is for configured addresses; no other can be reached by a redirect or a name.
    let mut elsewhere = question("Hi");
    elsewhere.models = vec!["nobody/m".to_owned()];
    assert_eq!(world.ask(elsewhere).await.unwrap().unwrap_err().code, codes::PROVIDER_UNKNOWN);
}

#[tokio::test]
async fn silence_ends_a_call_before_and_within_an_answer() {
    let mut world = World::openai("first_token = \"30s\"\nbetween_tokens = \"10s\"").await;
    // No head of an answer.
    let asked = world.ask(question("Hi"));
    let silent = world.server.next().await;
    world.pass(30).await;
    let error = asked.await.unwrap().unwrap_err();
    assert_eq!((error.code, error.class), (codes::PROVIDER_STALLED, ErrorClass::Timeout));
    assert!(error.hint.unwrap().contains("`first_token`"));
    drop(silent);

    // A head, and signs of life, but no token.
    let asked = world.ask(question("Hi"));
    let mut call = world.server.next().await;
    call.stream().await;
    call.chunk(": still here\n\n").await;
    world.pass(30).await;
    assert_eq!(asked.await.unwrap().unwrap_err().code, codes::PROVIDER_STALLED);
    call.hung_up().await;

    // Tokens, and then none.
    let router = world.router.clone();
    let asked = tokio::spawn(async move { router.chat(question("Hi")).await });
    let mut call = world.server.next().await;
    call.stream().await;
    call.event(delta(json!({ "content": "Hi" }))).await;
    let mut stream = asked.await.unwrap().unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let rest = tokio::spawn(async move { stream.collect::<Vec<_>>().await });
    world.pass(10).await;
    let rest = rest.await.unwrap();
    assert_eq!(rest.last().unwrap().as_ref().unwrap_err().code, codes::PROVIDER_STALLED);
}

#[tokio::test]
async fn an_error_within_the_answer_ends_it() {
    for (event, code) in [
        (r#"{"error":{"message":"The server had an error","type":"server_error"}}"#, codes::PROVIDER_OVERLOADED),
        (r#"{"object":"error","message":"broken","type":"BadRequestError","code":400}"#, codes::PROVIDER_REQUEST),
        (r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#, codes::PROVIDER_FILTERED),
        (r#"{"choices":[{"delta":{"refusal":"I won't"},"finish_reason":"stop"}]}"#, codes::PROVIDER_FILTERED),
        ("{\"choices\": [", codes::PROVIDER_ANSWER),
    ] {
        let mut world = World::openai("models.m = { input = 1.0, output = 1.0 }").await;
        let asked = world.ask(question("Hi"));
        let mut call = world.server.next().await;
        call.stream().await;
        call.event(delta(json!({ "content": "He" }))).await;
        call.chunk(format!("data: {event}\n\n")).await;
        call.end().await;
        let said = asked.await.unwrap().unwrap();
        assert_eq!((said.text.as_str(), said.error.unwrap().code), ("He", code), "{event}");
        assert!(said.spent.unwrap().cost > 0, "what was used before is told");
        assert!(world.server.is_quiet(), "after the first token nothing is tried again");
    }
}

#[tokio::test]
async fn a_provider_that_fails_again_and_again_is_left_alone() {
    let mut world = World::openai("").await;
    for _ in 0..5 {
        let asked = world.ask(question("Hi"));
        world.server.next().await.answer(200, &[], "nonsense").await;
        assert_eq!(asked.await.unwrap().unwrap_err().code, codes::PROVIDER_ANSWER);
    }
    let error = world.ask(question("Hi")).await.unwrap().unwrap_err();
    assert_eq!((error.code, error.retry_after.map(|wait| wait.as_secs())), (codes::PROVIDER_RESTING, Some(10)));
    assert!(world.server.is_quiet());

    // One call tries whether it is back, and no other.
    world.clock.advance(std::time::Duration::from_secs(10));
    let trial = world.ask(question("Hi"));
    let call = world.server.next().await;
    assert_eq!(world.ask(question("Hi")).await.unwrap().unwrap_err().code, codes::PROVIDER_RESTING);
    call.events([delta(json!({ "content": "Hi" })), finish("stop")]).await;
    trial.await.unwrap().unwrap();
    let asked = world.ask(question("Hi"));
    world.server.next().await.events([delta(json!({ "content": "Hi" })), finish("stop")]).await;
    asked.await.unwrap().unwrap();
}
