//! `template-transform`: text from a template.

use liteagent_engine::node::prelude::*;

/// Renders a template to text.
///
/// Use it for texts that several nodes read, and for prompts, mails and reports that are worth a name of their own.
/// `{% for %}`, `{% if %}` and the filters of the template language are at hand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateTransformConfig {
    /// The template. It may be `{ file: prompts/report.md }`.
    #[schemars(extend("x-liteagent-file" = "text"))]
    pub template: Template<Value>,
}

/// The text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TemplateTransformOutput {
    /// What the template gave. A value that is no text is written as the template language prints it.
    pub text: String,
}

/// See [`TemplateTransformConfig`].
pub struct TemplateTransform {
    config: TemplateTransformConfig,
}

impl Node for TemplateTransform {
    const TYPE: &'static str = "template-transform";
    const META: NodeMeta = NodeMeta::pure(Family::Data, &[]);
    type Config = TemplateTransformConfig;
    type Output = TemplateTransformOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let text = match ctx.render(&self.config.template)? {
            Value::String(text) => text.to_string(),
            other => other.to_string(),
        };
        Ok(Outcome::Done(TemplateTransformOutput { text }))
    }
}
