//! `answer`: text for the caller.

use liteagent_engine::node::{ANSWER, prelude::*};

/// Gives a text to the caller while the run goes on.
///
/// Its text is shown as it comes, in the order of the template. Several answers of a run follow each other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerConfig {
    /// The text. It may be `{ file: prompts/answer.md }`.
    #[schemars(extend("x-liteagent-file" = "text"))]
    pub text: Template<String>,
}

/// The text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AnswerOutput {
    /// What was said.
    #[schemars(with = "String")]
    pub text: Value,
}

/// See [`AnswerConfig`].
pub struct Answer {
    config: AnswerConfig,
}

impl Node for Answer {
    const TYPE: &'static str = ANSWER;
    const META: NodeMeta = NodeMeta { streams: true, ..NodeMeta::pure(Family::Flow, EXAMPLES) };
    type Config = AnswerConfig;
    type Output = AnswerOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    fn answer(&self) -> Option<&Template<String>> {
        Some(&self.config.text)
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let text = ctx.render(&self.config.text)?;
        if !text.is_empty() {
            ctx.emit(&text);
        }
        Ok(Outcome::Done(AnswerOutput { text: text.into() }))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Says what is in the cart",
        yaml: "\
type: answer
text: \"In your cart: {{ put.cart | join(', ') }}\"
",
        scope: "put: { cart: [bell, pump] }",
        gives: "{ output: { text: \"In your cart: bell, pump\" } }",
    },
    Example {
        title: "Nothing is said when a value is missing",
        yaml: "\
type: answer
text: \"Hello {{ inputs.name }}\"
",
        scope: "inputs: {}",
        gives: "{ error: LA2001 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{
        template::{Compiled, Template},
        testing::NodeTest,
        value,
    };

    #[tokio::test]
    async fn the_engine_shows_what_the_node_gives() {
        let node = NodeTest::new(&crate::registry(), "type: answer\ntext: 'Hi {{ inputs.name }}'");
        let node = node.scope("inputs: { name: Ada }").build().unwrap();
        assert_eq!(node.outcome().await, value!({ "output": { "text": "Hi Ada" } }));
        assert_eq!(node.emitted(), ["Hi Ada"]);
        let shown = node.node.answer().and_then(Template::compiled).map(Compiled::source);
        assert_eq!(shown, Some("Hi {{ inputs.name }}"));
    }
}
