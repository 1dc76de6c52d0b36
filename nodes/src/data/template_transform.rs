//! `template-transform`: text from a template.

use liteagent_engine::node::prelude::*;

/// Renders a template to text.
///
/// Use it for a text that several nodes read, and for prompts, mails and reports that deserve a name of their own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateTransformConfig {
    /// The template. It may be `{ file: prompts/report.md }`.
    #[schemars(extend("x-liteagent-file" = "text"))]
    pub template: Template<String>,
}

/// The text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateTransformOutput {
    /// What the template gave.
    #[schemars(with = "String")]
    pub text: Value,
}

/// See [`TemplateTransformConfig`].
pub struct TemplateTransform {
    config: TemplateTransformConfig,
}

impl Node for TemplateTransform {
    const TYPE: &'static str = "template-transform";
    const META: NodeMeta = NodeMeta::pure(Family::Data, EXAMPLES);
    type Config = TemplateTransformConfig;
    type Output = TemplateTransformOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        Ok(Outcome::Done(TemplateTransformOutput { text: ctx.render(&self.config.template)?.into() }))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A line for each item",
        yaml: "\
type: template-transform
template: |-
  {% for order in inputs.orders %}{{ order.sku }}: {{ order.quantity }}
  {% endfor %}
",
        scope: "inputs: { orders: [{ sku: A1, quantity: 3 }, { sku: B2, quantity: 1 }] }",
        gives: "{ output: { text: \"A1: 3\\nB2: 1\\n\" } }",
    },
    Example {
        title: "A value that is missing is an error, never an empty text",
        yaml: "\
type: template-transform
template: \"Dear {{ inputs.name }}\"
",
        scope: "inputs: {}",
        gives: "{ error: LA2001 }",
    },
];
