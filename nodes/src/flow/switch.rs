//! `switch`: the case with the same value opens its port.

use liteagent_engine::{node::prelude::*, template};

use super::if_else::case_schema;
use crate::{compare, port};

/// Opens the port of the case that equals the value, or the port `else`.
///
/// Values of different types are never equal: `"1"` is not `1`. Numbers are compared by their value: `1.0` is `1`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchConfig {
    /// The value that is looked up.
    pub value: TemplateTree,
    /// A literal by port: text, a number, a boolean, `null`, a list or an object. No templates.
    #[schemars(extend("minProperties" = 1))]
    pub cases: IndexMap<String, Value>,
}

/// Which case it was.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SwitchOutput {
    /// The port that was opened.
    #[schemars(with = "String")]
    pub case: Value,
}

/// See [`SwitchConfig`].
pub struct Switch {
    value: TemplateTree,
    cases: Vec<(Arc<str>, Value)>,
}

impl Node for Switch {
    const TYPE: &'static str = "switch";
    const META: NodeMeta = NodeMeta::pure(Family::Flow, EXAMPLES);
    type Config = SwitchConfig;
    type Output = SwitchOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.cases.is_empty() {
            return Err(ConfigError::new(codes::NO_CASES, "/cases", "expected at least one case, found none")
                .hint("add a case such as `german: de`"));
        }
        port::check("cases", config.cases.keys(), &["else", "error", "timeout"])?;
        for (position, (name, literal)) in config.cases.iter().enumerate() {
            if literal.as_str().is_some_and(template::is_template) {
                return Err(ConfigError::new(
                    codes::CASE_NOT_LITERAL,
                    format!("/cases/{name}"),
                    format!("expected a literal for `{name}`, found the template `{literal}`"),
                )
                .hint("use `if-else` for cases that are computed"));
            }
            let same = config.cases.iter().take(position).find(|(_, earlier)| compare::equal(earlier, literal));
            if let Some((earlier, _)) = same {
                return Err(ConfigError::new(
                    codes::CASE_NEVER_TAKEN,
                    format!("/cases/{name}"),
                    format!("the case `{name}` is never taken: `{earlier}` before it has the same value {literal}"),
                )
                .hint(format!("remove `{name}`, or change its value")));
            }
        }
        let cases = config.cases.into_iter().map(|(name, literal)| (name.into(), literal)).collect();
        Ok(Self { value: config.value, cases })
    }

    fn ports(&self) -> Vec<String> {
        self.cases.iter().map(|(name, _)| name.to_string()).chain(["else".to_owned()]).collect()
    }

    fn output_schema(&self) -> Option<Schema> {
        Some(case_schema(&Node::ports(self)))
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let value = ctx.render_tree(&self.value)?;
        let case = self.cases.iter().find(|(_, literal)| compare::equal(literal, &value));
        let name = case.map_or_else(|| Arc::from("else"), |(name, _)| name.clone());
        Ok(Outcome::Port(name.to_string(), SwitchOutput { case: Value::String(name) }))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A language by its code",
        yaml: "\
type: switch
value: \"{{ inputs.language }}\"
cases:
  german: de
  english: en
",
        scope: "inputs: { language: en }",
        gives: "{ port: english, output: { case: english } }",
    },
    Example {
        title: "Text is not a number",
        yaml: "\
type: switch
value: \"{{ inputs.status }}\"
cases:
  found: 200
  missing: 404
",
        scope: "inputs: { status: \"404\" }",
        gives: "{ port: else, output: { case: else } }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::testing::NodeTest;

    use super::*;

    #[test]
    fn cases_that_cannot_be_taken_are_refused() {
        let code = |cases: &str| {
            let yaml = format!("type: switch\nvalue: 1\ncases: {cases}");
            NodeTest::new(&crate::registry(), &yaml).build().err().unwrap().code
        };
        assert_eq!(code("{ a: 1, b: 1.0 }"), codes::CASE_NEVER_TAKEN);
        assert_eq!(code("{ a: '{{ inputs.x }}' }"), codes::CASE_NOT_LITERAL);
        assert_eq!(code("{ timeout: 1 }"), codes::PORT_NAME);
        assert_eq!(code("{}"), codes::NO_CASES);
    }
}
