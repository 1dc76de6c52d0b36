//! `fail`: ends the run, or the pass of a container, with a message.

use liteagent_engine::node::prelude::*;

/// Fails with a message: the run ends, or the pass of the container that it stands in.
///
/// `on_error` of the container, `on_failure` and the caller see the message and the code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailConfig {
    /// What went wrong, for people.
    pub message: Template<String>,
    /// A code of your own that callers can branch on, such as `ORDER_UNKNOWN`. By default `LA2100`.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[A-Z][A-Z0-9_]{1,63}$"))]
    pub code: Option<String>,
}

/// Never: the node always fails.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FailOutput {}

/// See [`FailConfig`].
pub struct Fail {
    message: Template<String>,
    code: Code,
}

impl Node for Fail {
    const TYPE: &'static str = "fail";
    const META: NodeMeta = NodeMeta::pure(Family::Flow, EXAMPLES);
    type Config = FailConfig;
    type Output = FailOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let code = match config.code.as_deref() {
            None => codes::FAILED,
            Some(code) if is_own(code) => Code::interned(code),
            Some(code) => {
                let message = format!("expected a code of your own such as `ORDER_UNKNOWN`, found `{code}`");
                return Err(ConfigError::new(codes::FAIL_CODE, "/code", message)
                    .hint("use 2 to 64 capital letters, digits and `_`; `LA` and digits are taken"));
            }
        };
        Ok(Self { message: config.message, code })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        Err(NodeError::new(self.code, ErrorClass::Invalid, ctx.render(&self.message)?))
    }
}

fn is_own(code: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let ours = code.strip_prefix("LA").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    (2..=64).contains(&code.len())
        && code.starts_with(|first: char| first.is_ascii_uppercase())
        && code.bytes().all(allowed)
        && !ours
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Stops when too much data is lost",
        yaml: "\
type: fail
message: \"Only {{ inputs.left }} of {{ inputs.all }} rows are left: is this the right file?\"
",
        scope: "inputs: { left: 3, all: 900 }",
        gives: "{ error: LA2100, message: \"Only 3 of 900 rows are left: is this the right file?\" }",
    },
    Example {
        title: "A code that the caller knows",
        yaml: "\
type: fail
code: ORDER_UNKNOWN
message: \"There is no order {{ inputs.order }}.\"
",
        scope: "inputs: { order: \"70012\" }",
        gives: "{ error: ORDER_UNKNOWN, message: There is no order 70012. }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::testing::NodeTest;

    use super::*;

    #[test]
    fn codes_of_the_platform_and_other_spellings_are_refused() {
        for code in ["LA2100", "LA", "order", "A", "A B", "1A"] {
            let test = NodeTest::new(&crate::registry(), &format!("type: fail\nmessage: x\ncode: {code}"));
            assert_eq!(test.build().err().unwrap().code, codes::FAIL_CODE, "{code}");
        }
    }
}
