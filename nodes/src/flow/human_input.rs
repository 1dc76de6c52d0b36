//! `human-input`: a person answers a form.

use liteagent_engine::{
    node::prelude::*,
    time,
    types::{Misfit, fit_all},
};

use crate::port;

/// Asks a person, and waits for the answer.
///
/// The person sees the message, fills in the form and chooses an action; its port opens. The run takes no memory
/// while it waits. With the common field `timeout`, the port `timeout` opens when nobody answers in time. An answer
/// that does not fit the form is refused, and the node goes on waiting.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HumanInputConfig {
    /// What the person is asked.
    #[schemars(extend("x-liteagent-file" = "text"))]
    pub message: Template<String>,
    /// Who is asked: a person, a group or an address. Anyone who may see the run, when it is missing.
    #[serde(default)]
    pub to: Option<Template<String>>,
    /// The fields of the form by name, each with its type. Without it, only an action is chosen.
    #[serde(default)]
    pub form: IndexMap<String, Type>,
    /// The actions by port, each with the label of its button.
    #[schemars(extend("minProperties" = 1))]
    pub actions: IndexMap<String, String>,
    /// The call of a tool that is to be approved: shown beside the message, whatever that says.
    #[serde(default)]
    #[schemars(skip)]
    pub call: Option<TemplateTree>,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HumanInputOutput {
    /// The action that was chosen; `null` when nobody answered in time.
    pub action: Option<String>,
    /// The values of the form by name; `null` when nobody answered in time.
    #[schemars(with = "Option<IndexMap<String, Value>>")]
    pub form: Value,
    /// Who answered; `null` when nobody is known.
    pub by: Option<String>,
    /// When the wait ended: `2026-03-01T09:00:00.000Z`.
    pub at: String,
}

/// See [`HumanInputConfig`].
pub struct HumanInput {
    config: HumanInputConfig,
}

impl Node for HumanInput {
    const TYPE: &'static str = "human-input";
    const META: NodeMeta = NodeMeta::pure(Family::Flow, EXAMPLES);
    type Config = HumanInputConfig;
    type Output = HumanInputOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.actions.is_empty() {
            return Err(ConfigError::new(codes::NO_ACTIONS, "/actions", "expected at least one action, found none")
                .hint("add an action such as `actions: { approve: Approve }`"));
        }
        port::check("actions", config.actions.keys(), &["error", "timeout"])?;
        Ok(Self { config })
    }

    fn waits(&self) -> bool {
        true
    }

    fn ports(&self) -> Vec<String> {
        self.config.actions.keys().cloned().chain(["timeout".to_owned()]).collect()
    }

    fn output_schema(&self) -> Option<Schema> {
        let form: serde_json::Map<_, _> =
            self.config.form.iter().map(|(name, of)| (name.clone(), of.schema().into())).collect();
        let actions = self.config.actions.keys().map(|name| Some(name.as_str())).chain([None]).collect::<Vec<_>>();
        Some(schemars::json_schema!({
            "type": "object",
            "properties": {
                "action": { "type": ["string", "null"], "enum": actions, "description": "The action that was chosen." },
                "form": {
                    "type": ["object", "null"],
                    "description": "The values of the form by name; null when nobody answered in time.",
                    "properties": form,
                    "additionalProperties": false,
                },
                "by": { "type": ["string", "null"], "description": "Who answered." },
                "at": { "type": "string", "description": "When the wait ended." },
            },
            "required": ["action", "form", "by", "at"],
            "additionalProperties": false,
        }))
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        self.ask(ctx, None)
    }

    async fn resume(&self, ctx: &NodeCtx, event: Resume) -> Result<Outcome<Self::Output>, NodeError> {
        match event {
            Resume::Signal { payload, by, at } => match self.read(&payload) {
                Ok((action, form)) => {
                    let output = HumanInputOutput { action: Some(action.clone()), form, by, at: time::iso(at) };
                    Ok(Outcome::Port(action, output))
                }
                Err(problem) => self.ask(ctx, Some(problem)),
            },
            Resume::TimedOut { at } => {
                let output = HumanInputOutput { action: None, form: Value::Null, by: None, at: time::iso(at) };
                Ok(Outcome::Port("timeout".to_owned(), output))
            }
            Resume::ChildEnded { .. } => Err(NodeError::internal("expected an answer or a time, found a child run")),
        }
    }
}

impl HumanInput {
    /// The question; with a problem, what was wrong with the last answer.
    fn ask(&self, ctx: &NodeCtx, problem: Option<String>) -> Result<Outcome<HumanInputOutput>, NodeError> {
        let value = |json| Value::from_serialize(json).map_err(|error| NodeError::internal(error.to_string()));
        let to = self.config.to.as_ref().map(|to| ctx.render(to)).transpose()?;
        let mut ask = vec![
            ("message", Value::from(ctx.render(&self.config.message)?)),
            ("to", to.map_or(Value::Null, Value::from)),
            ("form", value(&serde_json::json!(self.config.form))?),
            ("actions", value(&serde_json::json!(self.config.actions))?),
        ];
        if let Some(call) = &self.config.call {
            ask.push(("call", ctx.render_tree(call)?));
        }
        ask.extend(problem.map(|problem| ("problem", Value::from(problem))));
        Ok(Outcome::Wait(Wait { signal: None, until: None, ask: Value::from_pairs(ask) }))
    }

    /// The action and the checked form of `{ action, form }`, or what is wrong with it.
    fn read(&self, payload: &Value) -> Result<(String, Value), String> {
        let actions = || self.config.actions.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let members = payload
            .as_object()
            .ok_or_else(|| format!("expected an object with `action` and `form`, found {}", payload.kind()))?;
        if let Some(name) = members.keys().find(|name| !["action", "form"].contains(&&***name)) {
            return Err(format!("expected an object with `action` and `form`, found `{name}`"));
        }
        let action = match members.get("action") {
            Some(Value::String(action)) if self.config.actions.contains_key(&**action) => action.to_string(),
            Some(Value::String(action)) => return Err(format!("expected one of {}, found `{action}`", actions())),
            Some(other) => return Err(format!("expected one of {} as `action`, found {}", actions(), other.kind())),
            None => return Err(format!("expected one of {} as `action`, found nothing", actions())),
        };
        let form = members.get("form").filter(|form| !form.is_null()).cloned().unwrap_or_else(Value::object);
        let form = fit_all(&self.config.form, form).map_err(|misfits| describe(&misfits))?;
        Ok((action, form))
    }
}

fn describe(misfits: &[Misfit]) -> String {
    let line = |misfit: &Misfit| match misfit.pointer.trim_start_matches('/') {
        "" => misfit.message.clone(),
        place => format!("`{}`: {}", place.replace('/', "."), misfit.message),
    };
    misfits.iter().map(line).collect::<Vec<_>>().join("; ")
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A purchase is approved",
        yaml: "\
type: human-input
message: \"{{ inputs.vendor }} asks {{ inputs.amount }} EUR.\"
to: manager@example.org
form:
  note: { type: string, optional: true }
actions: { approve: Approve, reject: Reject }
timeout: 1d
",
        scope: "inputs: { vendor: Bolt, amount: 80 }",
        gives: "\
wait:
  ask:
    message: Bolt asks 80 EUR.
    to: manager@example.org
    actions: { approve: Approve, reject: Reject }
",
    },
    Example {
        title: "The port `timeout` exists already",
        yaml: "\
type: human-input
message: Shall we go on?
actions: { timeout: Later }
",
        scope: "",
        gives: "{ error: LA1101 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{
        testing::{NodeTest, TestNode},
        value,
    };

    use super::*;

    fn node() -> TestNode {
        let yaml = "type: human-input\nmessage: Go?\nform: { text: string }\nactions: { yes: Yes, no: No }";
        NodeTest::new(&crate::registry(), yaml).build().unwrap()
    }

    fn answer(payload: Value) -> Resume {
        Resume::Signal { payload, by: Some("ada".to_owned()), at: 0 }
    }

    #[tokio::test]
    async fn an_answer_opens_the_port_of_its_action() {
        let node = node();
        assert_eq!(node.node.ports(), ["yes", "no", "timeout"]);
        let given = node.resume(answer(value!({ "action": "yes", "form": { "text": "fine" } }))).await;
        let at = "1970-01-01T00:00:00.000Z";
        let output = value!({ "action": "yes", "form": { "text": "fine" }, "by": "ada", "at": at });
        assert_eq!(given, Value::from_pairs([("port", Value::from("yes")), ("output", output)]));

        let late = node.resume(Resume::TimedOut { at: 0 }).await;
        let output = value!({ "action": null, "form": null, "by": null, "at": at });
        assert_eq!(late, Value::from_pairs([("port", Value::from("timeout")), ("output", output)]));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_fit_is_refused_and_the_node_waits_on() {
        let node = node();
        let wrong = [
            value!("yes"),
            value!({ "form": { "text": "x" } }),
            value!({ "action": "maybe", "form": { "text": "x" } }),
            value!({ "action": 1, "form": { "text": "x" } }),
            value!({ "action": "yes", "form": { "text": "x" }, "extra": 1 }),
            value!({ "action": "yes", "form": { "text": 7 } }),
            value!({ "action": "yes" }),
        ];
        let mut problems = Vec::new();
        for payload in wrong {
            let outcome = node.resume(answer(payload)).await;
            let ask = outcome.get("wait").and_then(|wait| wait.get("ask")).unwrap();
            assert_eq!(ask.get("message"), Some(&value!("Go?")));
            problems.push(ask.get("problem").unwrap().as_str().unwrap().to_owned());
        }
        insta::assert_snapshot!(problems.join("\n"));
    }
}
