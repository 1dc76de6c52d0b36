//! `loop`: rounds of a body of nodes, until a condition holds.

use liteagent_engine::{definition::NodeMap, diagnostic::Severity, node::prelude::*};

use crate::condition;

/// Runs a body of nodes again and again, until a condition holds.
///
/// Each round sees `state` and `round` (1, 2, 3 and so on) besides everything outside. When the nodes of a round are
/// done, `next` gives the new state, and `until` is read with it. Outside, only the node itself can be read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoopConfig {
    /// The state of the first round: a value by name.
    #[serde(default)]
    pub state: IndexMap<String, TemplateTree>,
    /// The body: nodes by id.
    pub nodes: NodeMap,
    /// What changes after a round: a value by name. The values are computed from the state of the round that ends;
    /// what is not named stays.
    #[serde(default)]
    #[schemars(extend("x-liteagent-inner" = true))]
    pub next: IndexMap<String, TemplateTree>,
    /// Read after each round with the new state: `true` ends the loop.
    #[schemars(extend("x-liteagent-inner" = true))]
    pub until: Template<bool>,
    /// How many rounds there may be.
    #[serde(default = "rounds")]
    #[schemars(range(min = 1, max = 100_000))]
    pub max_rounds: u32,
    /// What the loop gives, computed after the last round with the new state.
    #[serde(default)]
    #[schemars(extend("x-liteagent-inner" = true))]
    pub output: Option<TemplateTree>,
    /// What it means when `until` still does not hold after the last round: `fail`, or `stop` with what there is.
    #[serde(default)]
    pub on_limit: OnLimit,
}

/// What a loop does at its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLimit {
    /// It fails.
    #[default]
    Fail,
    /// It ends well, with the state and `output` of the last round.
    Stop,
}

fn rounds() -> u32 {
    10
}

/// How the loop ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LoopOutput {
    /// What `output` gave after the last round; `null` when the loop has none.
    pub output: Value,
    /// How many rounds there were.
    pub rounds: u32,
    /// The state after the last round.
    pub state: IndexMap<String, Value>,
}

/// See [`LoopConfig`].
pub struct Loop {
    config: LoopConfig,
}

impl Node for Loop {
    const TYPE: &'static str = "loop";
    const META: NodeMeta = NodeMeta { container: Some(Container::Rounds), ..NodeMeta::pure(Family::Flow, EXAMPLES) };
    type Config = LoopConfig;
    type Output = LoopOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if !(1..=100_000).contains(&config.max_rounds) {
            let message = format!("expected a number from 1 to 100000, found {}", config.max_rounds);
            return Err(ConfigError::new(codes::CONTAINER_LIMIT, "/max_rounds", message)
                .hint("set `max_rounds` to how many rounds there may be, for example `max_rounds: 20`"));
        }
        if let Some(name) = config.next.keys().find(|name| !config.state.contains_key(*name)) {
            let message = format!("`next` changes `{name}`, which `state` does not have");
            return Err(ConfigError::new(codes::LOOP_STATE, format!("/next/{name}"), message)
                .hint(format!("add a start value: `state: {{ {name}: ... }}`")));
        }
        Ok(Self { config })
    }

    fn output_schema(&self) -> Option<Schema> {
        let state: serde_json::Map<_, _> =
            self.config.state.keys().map(|name| (name.clone(), serde_json::json!({}))).collect();
        Some(schemars::json_schema!({
            "type": "object",
            "properties": {
                "output": { "description": "What `output` gave after the last round." },
                "rounds": { "type": "integer", "description": "How many rounds there were." },
                "state": {
                    "type": "object",
                    "description": "The state after the last round.",
                    "properties": state,
                    "required": self.config.state.keys().collect::<Vec<_>>(),
                    "additionalProperties": false,
                },
            },
            "required": ["output", "rounds", "state"],
            "additionalProperties": false,
        }))
    }

    fn check(&self, _: &Known) -> Vec<ConfigFinding> {
        let until = &self.config.until;
        let written = until.compiled().and_then(|template| condition::constant(template.source()));
        let Some(constant) = written.or_else(|| until.as_literal()?.as_bool()) else { return Vec::new() };
        let message = format!("`until` is always {constant}, whatever a round changes");
        let hint = "let `until` read `state` or a node of the body; for a fixed number of rounds write `round >= 5`";
        let error = ConfigError::new(codes::UNTIL_CONSTANT, "/until", message).hint(hint);
        vec![ConfigFinding { severity: Severity::Warning, error }]
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let state = self.config.state.iter().map(|(name, value)| Ok((name.as_str(), ctx.render_tree(value)?)));
        Ok(Outcome::Rounds { state: Value::from_pairs(state.collect::<Result<Vec<_>, NodeError>>()?) })
    }

    fn close_frame(&self, scope: &Arc<Scope>, frame: FrameInfo) -> Result<FrameClose, NodeError> {
        let config = &self.config;
        let next = config.next.iter().map(|(name, value)| Ok((name.clone(), value.render(scope)?)));
        let next = next.collect::<Result<Vec<_>, NodeError>>()?;

        let scope = &Arc::new(scope.with_locals([("state", changed(scope, &next))]));
        let at_limit = frame.index + 1 >= config.max_rounds;
        if !config.until.render(scope)? {
            if !at_limit {
                return Ok(FrameClose::Next(next));
            }
            if config.on_limit == OnLimit::Fail {
                return Err(self.limit());
            }
        }
        let output = config.output.as_ref().map(|output| output.render(scope)).transpose()?;
        Ok(FrameClose::Last(next, output.unwrap_or_default()))
    }
}

impl Loop {
    fn limit(&self) -> NodeError {
        let message = format!("`until` did not hold after {} rounds", self.config.max_rounds);
        NodeError::new(codes::LOOP_LIMIT, ErrorClass::LimitExceeded, message)
            .hint("raise `max_rounds`, or set `on_limit: stop` to go on with what there is")
    }
}

/// The state of the round that ends, with what `next` gave.
fn changed(scope: &Scope, next: &[(String, Value)]) -> Value {
    let state = scope.locals.iter().rev().find(|(name, _)| &**name == "state");
    let mut members = state.and_then(|(_, state)| state.as_object()).cloned().unwrap_or_default();
    for (name, value) in next {
        members.insert(name.as_str().into(), value.clone());
    }
    Value::Object(Arc::new(members))
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Counts to a limit",
        yaml: "\
type: loop
state: { n: \"{{ inputs.start }}\" }
nodes:
  step: { type: template-transform, template: \"n is {{ state.n }} in round {{ round }}\" }
next: { n: \"{{ state.n + 1 }}\" }
until: \"{{ state.n >= 5 }}\"
max_rounds: 20
output: \"{{ step.text }}\"
",
        scope: "inputs: { start: 3 }",
        gives: "{ state: { n: 3 } }",
    },
    Example {
        title: "The start of the state can fail like any template",
        yaml: "\
type: loop
state: { draft: \"{{ inputs.missing.draft }}\" }
nodes:
  better: { type: template-transform, template: \"{{ state.draft }}!\" }
next: { draft: \"{{ better.text }}\" }
until: \"{{ state.draft | length > 10 }}\"
on_limit: stop
",
        scope: "inputs: {}",
        gives: "{ error: LA2001 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{
        testing::{NodeTest, TestNode},
        value,
    };

    use super::*;

    fn build(fields: &str) -> Result<TestNode, ConfigError> {
        let nodes = "nodes: { a: { type: answer, text: x } }";
        NodeTest::new(&crate::registry(), &format!("type: loop\n{nodes}\n{fields}")).build()
    }

    const COUNT: &str = "\
state: { n: 0, last: 0 }
next: { n: '{{ state.n + 1 }}', last: '{{ state.n }}' }
until: '{{ state.n == 3 }}'
max_rounds: 5
output: '{{ state.last }} to {{ state.n }} in round {{ round }}'
";

    #[test]
    fn next_sees_the_old_state_and_until_and_output_the_new_one() {
        let node = build(COUNT).unwrap();
        let closed = node.close_frame("state: { n: 1, last: 0 }\nround: 2", 1).unwrap();
        let FrameClose::Next(next) = closed else { panic!("{closed:?}") };
        assert_eq!(next, [("n".to_owned(), value!(2)), ("last".to_owned(), value!(1))]);

        let closed = node.close_frame("state: { n: 2, last: 1 }\nround: 3", 2).unwrap();
        let FrameClose::Last(_, output) = closed else { panic!("{closed:?}") };
        assert_eq!(output, value!("2 to 3 in round 3"));
    }

    #[test]
    fn the_last_round_fails_or_stops() {
        let never = "state: { n: 0 }\nuntil: '{{ state.n > 0 }}'\nmax_rounds: 2\n";
        let failed = build(never).unwrap().close_frame("state: { n: 0 }\nround: 2", 1).unwrap_err();
        assert_eq!((failed.code, failed.class), (codes::LOOP_LIMIT, ErrorClass::LimitExceeded));

        let stops = build(&format!("{never}on_limit: stop")).unwrap();
        assert!(matches!(stops.close_frame("state: { n: 0 }\nround: 1", 0).unwrap(), FrameClose::Next(_)));
        assert!(matches!(stops.close_frame("state: { n: 0 }\nround: 2", 1).unwrap(), FrameClose::Last(..)));
    }

    #[test]
    fn an_end_that_never_changes_is_found() {
        for (until, findings) in [("'{{ true }}'", 1), ("false", 1), ("'{{ round >= 5 }}'", 0)] {
            let node = build(&format!("until: {until}")).unwrap();
            assert_eq!(node.node.check(&Known::default()).len(), findings, "{until}");
        }
    }

    #[test]
    fn what_next_changes_must_have_a_start() {
        let error = build("next: { n: 1 }\nuntil: '{{ true }}'").err().unwrap();
        assert_eq!((error.code, error.field.as_str()), (codes::LOOP_STATE, "/next/n"));
        let error = build("until: '{{ true }}'\nmax_rounds: 0").err().unwrap();
        assert_eq!(error.code, codes::CONTAINER_LIMIT);
    }
}
