//! Scenarios of the API, over the real router: each file in `scenarios/` is a sequence of requests and what they are answered.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, path::Path};

use axum::{
    body::Body,
    http::{Request, header},
};
use liteagent_engine::value::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use self::common::{KEY, Reply, World};

mod common;

/// A file of steps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What it shows.
    #[serde(rename = "scenario")]
    title: String,
    /// What the models answer, one call after the other.
    #[serde(default)]
    models: Vec<Value>,
    steps: Vec<Step>,
}

/// A request, and what it is answered. `${name}` stands for what an earlier step kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// `GET /api/runs`.
    request: String,
    /// The token or key; that of the developer by default, none when it is empty.
    key: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A body that is JSON.
    json: Option<Json>,
    /// A body that is YAML.
    yaml: Option<String>,
    /// The status of the answer.
    status: u16,
    /// What the answer holds at least: objects may have more members.
    expect: Option<Json>,
    /// The answer as server-sent events: their names, in order, without `record`.
    events: Option<Vec<String>>,
    /// Texts that the body contains.
    #[serde(default)]
    contains: Vec<String>,
    /// Texts that the last question to a model contains.
    #[serde(default)]
    asked: Vec<String>,
    /// Headers of the answer.
    #[serde(default)]
    answers: BTreeMap<String, String>,
    /// What is kept for later steps: names with JSON pointers into the answer.
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

#[rstest::rstest]
#[tokio::test]
async fn scenario(#[files("tests/scenarios/*.yaml")] path: std::path::PathBuf) {
    let text = std::fs::read_to_string(&path).unwrap();
    let scenario: Scenario = serde_saphyr::from_str(&text).unwrap();
    let world = World::new(scenario.models.clone()).await;
    let mut kept = BTreeMap::new();
    for (number, step) in (1..).zip(&scenario.steps) {
        let place = format!("{}, step {number} of \"{}\": {}", shown(&path), scenario.title, step.request);
        let reply = world.ask(step.request(&kept)).await;
        step.check(&reply, &kept, &place);
        step.check_asked(&world, &place);
        step.keep(&reply, &mut kept, &place);
    }
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

type Kept = BTreeMap<String, String>;

/// A text with what was kept in it.
fn filled(text: &str, kept: &Kept) -> String {
    kept.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}

fn filled_json(json: &Json, kept: &Kept) -> Json {
    serde_json::from_str(&filled(&json.to_string(), kept)).unwrap()
}

impl Step {
    fn request(&self, kept: &Kept) -> Request<Body> {
        let (method, path) = self.request.split_once(' ').expect("a request is a method and a path");
        let mut request = Request::builder().method(method).uri(filled(path, kept));
        match self.key.as_deref() {
            None => request = request.header(header::AUTHORIZATION, format!("Bearer {KEY}")),
            Some("") => {}
            Some(key) => request = request.header(header::AUTHORIZATION, format!("Bearer {}", filled(key, kept))),
        }
        for (name, value) in &self.headers {
            request = request.header(name, filled(value, kept));
        }
        let (kind, body) = match (&self.json, &self.yaml) {
            (Some(json), None) => ("application/json", filled_json(json, kept).to_string()),
            (None, Some(yaml)) => ("application/yaml", filled(yaml, kept)),
            (None, None) => return request.body(Body::empty()).unwrap(),
            (Some(_), Some(_)) => panic!("a request has one body"),
        };
        let has_kind = self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        if !has_kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        request.body(Body::from(body)).unwrap()
    }

    fn check(&self, reply: &Reply, kept: &Kept, place: &str) {
        assert_eq!(reply.status.as_u16(), self.status, "{place}\n{}", reply.body);
        if let Some(expected) = &self.expect {
            let found: Json = serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{place}: {error}"));
            if let Err(difference) = holds(&found, &filled_json(expected, kept), "") {
                panic!("{place}\n{difference}\nin {found:#}");
            }
        }
        if let Some(expected) = &self.events {
            let names = reply.body.lines().filter_map(|line| line.strip_prefix("event: "));
            let names: Vec<&str> = names.filter(|name| *name != "record").collect();
            assert_eq!(names, *expected, "{place}\n{}", reply.body);
        }
        for text in &self.contains {
            assert!(reply.body.contains(&filled(text, kept)), "{place}: `{text}` is not in\n{}", reply.body);
        }
        for (name, value) in &self.answers {
            let found = reply.headers.get(name).and_then(|value| value.to_str().ok());
            assert_eq!(found, Some(&*filled(value, kept)), "{place}: header `{name}`");
        }
    }

    fn check_asked(&self, world: &World, place: &str) {
        let asked = world.models.asked().last().map(|request| format!("{:?}", request.messages)).unwrap_or_default();
        for text in &self.asked {
            assert!(asked.contains(text), "{place}: `{text}` is not in {asked}");
        }
    }

    fn keep(&self, reply: &Reply, kept: &mut Kept, place: &str) {
        for (name, pointer) in &self.keep {
            let found: Json = serde_json::from_str(&reply.body).unwrap();
            let value = found.pointer(pointer).unwrap_or_else(|| panic!("{place}: there is no {pointer} in {found:#}"));
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            kept.insert(name.clone(), text);
        }
    }
}

/// Whether a value holds what is expected; `"*"` is anything.
fn holds(found: &Json, expected: &Json, at: &str) -> Result<(), String> {
    match (found, expected) {
        (_, Json::String(any)) if any == "*" => Ok(()),
        (Json::Object(found), Json::Object(expected)) => expected.iter().try_for_each(|(name, expected)| {
            let at = format!("{at}/{name}");
            let found = found.get(name).ok_or_else(|| format!("{at} is missing"))?;
            holds(found, expected, &at)
        }),
        (Json::Array(found), Json::Array(expected)) if found.len() == expected.len() => {
            let mut pairs = found.iter().zip(expected).enumerate();
            pairs.try_for_each(|(index, (found, expected))| holds(found, expected, &format!("{at}/{index}")))
        }
        _ if found == expected => Ok(()),
        _ => Err(format!("{at}: expected {expected}, found {found}")),
    }
}
