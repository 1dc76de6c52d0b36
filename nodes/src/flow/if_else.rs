//! `if-else`: the first case that is true opens its port.

use liteagent_engine::{diagnostic::Severity, node::prelude::*};

use crate::{condition::Case, port};

/// Opens the port of the first case that is true, or the port `else`.
///
/// The cases are tried in the order of the file, and none is evaluated after the first that is true. Nodes behind a
/// port name it: `needs: [route.urgent]`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IfElseConfig {
    /// The cases by port. Each is a template that gives `true` or `false`, or an object with `all` or `any` of some
    /// comparisons, as imported files have them.
    #[schemars(extend("minProperties" = 1))]
    pub cases: IndexMap<String, Case>,
}

/// Which case it was.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IfElseOutput {
    /// The port that was opened.
    #[schemars(with = "String")]
    pub case: Value,
}

/// See [`IfElseConfig`].
pub struct IfElse {
    cases: Vec<(Arc<str>, Case)>,
}

impl Node for IfElse {
    const TYPE: &'static str = "if-else";
    const META: NodeMeta = NodeMeta::pure(Family::Flow, EXAMPLES);
    type Config = IfElseConfig;
    type Output = IfElseOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.cases.is_empty() {
            return Err(ConfigError::new(codes::NO_CASES, "/cases", "expected at least one case, found none")
                .hint("add a case such as `urgent: \"{{ inputs.priority > 7 }}\"`"));
        }
        port::check("cases", config.cases.keys(), &["else", "error", "timeout"])?;
        for (name, case) in &config.cases {
            case.check(&format!("/cases/{name}"))?;
        }
        Ok(Self { cases: config.cases.into_iter().map(|(name, case)| (name.into(), case)).collect() })
    }

    fn ports(&self) -> Vec<String> {
        self.cases.iter().map(|(name, _)| name.to_string()).chain(["else".to_owned()]).collect()
    }

    fn output_schema(&self) -> Option<Schema> {
        Some(case_schema(&Node::ports(self)))
    }

    fn check(&self, _: &Known) -> Vec<ConfigFinding> {
        let Some(position) = self.cases.iter().position(|(_, case)| case.constant() == Some(true)) else {
            return Vec::new();
        };
        let always = &self.cases[position].0;
        let never = self.cases[position + 1..].iter().map(|(name, _)| {
            ConfigError::new(
                codes::CASE_NEVER_TAKEN,
                format!("/cases/{name}"),
                format!("the case `{name}` is never taken: `{always}` before it is always true"),
            )
            .hint(format!("remove `{name}`, or give `{always}` a condition"))
        });
        never.map(|error| ConfigFinding { severity: Severity::Warning, error }).collect()
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        for (name, case) in &self.cases {
            if case.holds(ctx)? {
                return Ok(Outcome::Port(name.to_string(), IfElseOutput { case: Value::String(name.clone()) }));
            }
        }
        Ok(Outcome::Port("else".to_owned(), IfElseOutput { case: Value::from("else") }))
    }
}

/// The output of a node that only says which of its ports it opened.
pub(crate) fn case_schema(ports: &[String]) -> Schema {
    schemars::json_schema!({
        "type": "object",
        "properties": { "case": { "type": "string", "enum": ports, "description": "The port that was opened." } },
        "required": ["case"],
        "additionalProperties": false,
    })
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The first true case wins",
        yaml: "\
type: if-else
cases:
  large: \"{{ inputs.amount >= 1000 }}\"
  small: \"{{ inputs.amount > 0 }}\"
",
        scope: "inputs: { amount: 4000 }",
        gives: "{ port: large, output: { case: large } }",
    },
    Example {
        title: "No case is true",
        yaml: "\
type: if-else
cases:
  german: \"{{ inputs.language == 'de' }}\"
",
        scope: "inputs: { language: en }",
        gives: "{ port: else, output: { case: else } }",
    },
    Example {
        title: "Comparisons of an imported file",
        yaml: "\
type: if-else
cases:
  refund:
    any:
      - { value: \"{{ inputs.text }}\", operator: contains, to: refund }
      - { value: \"{{ inputs.orders }}\", operator: \"≥\", to: \"3\" }
",
        scope: "inputs: { text: I want my money, orders: 3 }",
        gives: "{ port: refund, output: { case: refund } }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{testing::NodeTest, value};

    use super::*;

    fn node(yaml: &str) -> NodeTest {
        NodeTest::new(&crate::registry(), &format!("type: if-else\n{yaml}"))
    }

    #[tokio::test]
    async fn a_case_that_is_no_boolean_fails() {
        let outcome = node("cases: { a: '{{ inputs.n }}' }").scope("inputs: { n: 1 }").run().await;
        assert!(outcome.get("error").is_some(), "{outcome}");
    }

    #[tokio::test]
    async fn nothing_is_evaluated_after_the_first_true_case() {
        let outcome = node("cases: { a: '{{ true }}', b: '{{ inputs.absent.at_all }}' }").run().await;
        assert_eq!(outcome.get("port"), Some(&value!("a")));
    }

    #[test]
    fn names_of_ports_that_exist_already_are_refused() {
        for name in ["else", "error", "timeout", "a.b", "''"] {
            let error = node(&format!("cases: {{ {name}: '{{{{ true }}}}' }}")).build().err().unwrap();
            assert_eq!(error.code, codes::PORT_NAME, "{name}");
        }
        assert_eq!(node("cases: {}").build().err().unwrap().code, codes::NO_CASES);
    }

    #[test]
    fn a_case_behind_one_that_is_always_true_is_found() {
        let test = node("cases: { a: '{{ true }}', b: '{{ inputs.x }}' }").build().unwrap();
        let findings = test.node.check(&Known::default());
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].error.field, "/cases/b");
    }
}
