//! `llm`: a question to a language model.

use liteagent_engine::{
    capability::model::{ChatRequest, Finish, Message, Sampling, ToolCall, ToolUse},
    node::{prelude::*, schema_of},
    usage::UsageReport,
};

use self::message::Messages;
use super::{
    ask::{Question, ask},
    choice::ModelChoice,
    react,
    structured::{self, Returns},
    tools::{ToolSet, Tools, called},
};

mod citations;
mod message;

/// Asks a language model.
///
/// People see the text as it comes, unless `returns` is given. With `returns` the answer is a JSON object of that form: the
/// provider holds the model to it where it can, and what does not fit is asked for once more. Which model answers is
/// decided by `model`; without it by the alias `default`, so that a workflow runs wherever some model is there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlmConfig {
    /// The model: `provider/model`, an alias, or a list of which the next is asked when one cannot answer.
    pub model: Option<ModelChoice>,
    /// The models that a template in `model` may name.
    #[serde(default)]
    pub allow: Vec<String>,
    /// What is said, oldest first. Each entry has exactly one key. Or a template that gives such a list, in which
    /// `message` of an earlier answer and `messages` of a `tool-calls` may stand as well.
    pub messages: Messages,
    /// What the model may call. Which calls it asks for stands in `calls`; `tool-calls` makes them, and an `agent` does
    /// both until there is an answer.
    #[serde(default)]
    pub tools: Tools,
    /// Passages that the answer is to come from: texts, or documents as `knowledge-retrieval` gives them. The model sees
    /// them numbered, as `[1]`, before the last message of the user.
    pub context: Option<Template<Value>>,
    /// The members of `data`, with their types. The answer is then a JSON object.
    pub returns: Option<IndexMap<String, Type>>,
    /// How freely words are chosen: 0 takes the likeliest. The default is the provider's.
    #[schemars(range(min = 0.0, max = 2.0))]
    pub temperature: Option<f64>,
    /// Only the likeliest words that make up this share.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub top_p: Option<f64>,
    /// The most tokens of an answer. A longer one ends there, and `finish` is `length`.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// Texts that end the answer; they are not part of it.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub stop: Vec<String>,
    /// The same seed gives mostly the same answer, where the provider knows seeds.
    pub seed: Option<i64>,
    /// Against words that came already, the more the more often they came.
    #[schemars(range(min = -2.0, max = 2.0))]
    pub frequency_penalty: Option<f64>,
    /// Against words that came already.
    #[schemars(range(min = -2.0, max = 2.0))]
    pub presence_penalty: Option<f64>,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LlmOutput {
    /// What the model said.
    pub text: String,
    /// The members that `returns` declares; `null` without it.
    pub data: Value,
    /// What the model thought before it answered; empty where its provider does not tell.
    pub reasoning: String,
    /// The tools that it wants to call.
    pub calls: Vec<CallOutput>,
    /// The answer as a message, to be passed on with the next question.
    #[schemars(with = "Value")]
    pub message: Message,
    /// The passages that the text names by their number, in the order in which they are named.
    pub citations: Vec<Value>,
    /// Why it stopped: `stop`, `length` (cut off at the most tokens) or `tools`.
    #[schemars(with = "String", extend("enum" = ["stop", "length", "tools"]))]
    pub finish: Finish,
    /// The model that answered, `provider/model`.
    pub model: String,
    /// What it used.
    pub usage: UsageReport,
}

/// A call of a tool.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CallOutput {
    /// Unique within the answer.
    pub id: String,
    /// The name of the tool.
    pub name: String,
    /// Its arguments: an object, or the text that the model wrote when that is no JSON object.
    pub arguments: Value,
}

impl From<ToolCall> for CallOutput {
    fn from(call: ToolCall) -> Self {
        let parsed =
            serde_json::from_str::<serde_json::Value>(&call.arguments).ok().filter(serde_json::Value::is_object);
        let arguments = match parsed {
            Some(object) => object.into(),
            // Without arguments many models write nothing at all.
            None if call.arguments.trim().is_empty() => Value::object(),
            None => call.arguments.into(),
        };
        Self { id: call.id, name: call.name, arguments }
    }
}

/// See [`LlmConfig`].
pub struct Llm {
    config: LlmConfig,
    sampling: Sampling,
    tools: ToolSet,
}

impl Node for Llm {
    const TYPE: &'static str = "llm";
    const META: NodeMeta = NodeMeta {
        family: Family::Model,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: true,
        requires: &[Capability::Models],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = LlmConfig;
    type Output = LlmOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        ModelChoice::check(config.model.as_ref(), &config.allow)?;
        config.messages.check()?;
        let tools = ToolSet::new(&config.tools, "/tools")?;
        let sampling = Sampling {
            temperature: config.temperature,
            top_p: config.top_p,
            max_tokens: config.max_tokens,
            stop: config.stop.clone(),
            seed: config.seed,
            frequency_penalty: config.frequency_penalty,
            presence_penalty: config.presence_penalty,
        };
        Ok(Self { config, sampling, tools })
    }

    fn check(&self, known: &Known) -> Vec<ConfigFinding> {
        self.tools.check("/tools", known)
    }

    fn output_schema(&self) -> Option<Schema> {
        let returns = self.config.returns.as_ref()?;
        let mut schema = schema_of::<LlmOutput>();
        *schema.pointer_mut("/properties/data")? = structured::schema(returns);
        Some(schema)
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let config = &self.config;
        let models = ModelChoice::names(config.model.as_ref(), &config.allow, ctx)?;
        let mut messages = config.messages.render(ctx, &models).await?;
        let passages = match &config.context {
            Some(context) => citations::given(&ctx.render(context)?)?,
            None => Vec::new(),
        };
        message::add_passages(&mut messages, &passages);
        if self.tools.of_caller().is_some() {
            messages.extend(called(ctx)?);
        }
        let returns: Option<&Returns> = config.returns.as_ref();
        let mut request = ChatRequest { models, messages, sampling: self.sampling.clone(), ..ChatRequest::default() };
        let in_words = !self.tools.is_empty() && self.give_tools(ctx, &mut request, returns).await?;
        let answer = ask(ctx, Question { request, returns, live: returns.is_none(), in_words }).await?;
        let said = Message::Assistant {
            text: answer.text.clone(),
            calls: answer.calls.clone(),
            opaque: answer.end.opaque.clone(),
        };
        let passages = if config.context.is_some() { passages } else { citations::retrieved(&ctx.scope) };
        Ok(Outcome::Done(LlmOutput {
            citations: citations::named(&answer.text, &passages),
            text: answer.text,
            data: answer.data,
            reasoning: answer.reasoning,
            calls: answer.calls.into_iter().map(CallOutput::from).collect(),
            message: said,
            finish: answer.end.finish,
            model: answer.end.model,
            usage: answer.end.usage.report(),
        }))
    }
}

impl Llm {
    /// Gives the model what it may call, in the way in which it calls. Whether that is in words.
    async fn give_tools(
        &self,
        ctx: &NodeCtx,
        request: &mut ChatRequest,
        returns: Option<&Returns>,
    ) -> Result<bool, NodeError> {
        let known = ctx.models()?;
        // One that is not there says so when it is asked.
        let ways = request.models.iter().map(|name| known.describe(name).map_or(ToolUse::Native, |model| model.tools));
        let way = ways.max().unwrap_or(ToolUse::Native);
        let is_first = !request.messages.iter().any(|message| matches!(message, Message::Tool { .. }));
        let models = || request.models.join("`, `");
        match way {
            ToolUse::Native => request.tools = self.tools.specs(ctx).await?,
            ToolUse::InWords => {
                if is_first {
                    ctx.log(&format!("`{}` cannot call tools: it is told in words how to ask for them", models()));
                }
                let tools = self.tools.specs(ctx).await?;
                request.messages = react::tell(std::mem::take(&mut request.messages), &tools, returns);
                // Services take four at most; what is written beyond is left out in any case.
                if request.sampling.stop.len() < 4 {
                    request.sampling.stop.push(react::STOP.to_owned());
                }
            }
            // It is not confused by them.
            ToolUse::No if is_first => {
                ctx.log(&format!("`{}` cannot be trusted with tools: the answer comes without them", models()));
            }
            ToolUse::No => {}
        }
        Ok(way == ToolUse::InWords)
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A question and its answer",
        yaml: "\
type: llm
messages:
  - system: You answer in one sentence.
  - user: \"{{ inputs.question }}\"
",
        scope: "\
inputs: { question: Why is the sky blue? }
fakes: { models: [{ text: Air scatters blue light the most. }] }
",
        gives: "output: { text: Air scatters blue light the most., finish: stop, calls: [] }",
    },
    Example {
        title: "An answer of a declared form; what does not fit is asked for once more",
        yaml: "\
type: llm
model: [openai/gpt-4.1-mini, local/smollm2-135m-instruct]
temperature: 0
messages:
  - user: \"Which sum is due? {{ inputs.invoice }}\"
returns:
  total: { type: number, description: The sum that is due }
  currency: { type: string, enum: [EUR, USD] }
",
        scope: "\
inputs: { invoice: \"Total 40 EUR\" }
fakes: { models: [{ text: It is 40 EUR. }, { json: { total: 40, currency: EUR } }] }
",
        gives: "output: { data: { total: 40, currency: EUR } }",
    },
    Example {
        title: "Passages that the answer names are its citations",
        yaml: "\
type: llm
context: \"{{ search.documents }}\"
messages:
  - system: Answer from the passages only, and name them as [1].
  - history: { last: 6 }
  - user: \"{{ inputs.message }}\"
",
        scope: "\
inputs: { message: How many days off do I have? }
search: { documents: [{ content: Lunch is at noon. }, { content: You have 30 days off., title: Holidays }] }
fakes:
  history: [{ message: Hello, answer: Good morning. }]
  models: [{ text: \"You have 30 days [2].\" }]
",
        gives: "output: { citations: [{ number: 2, content: You have 30 days off., title: Holidays }] }",
    },
    Example {
        title: "The model asks for calls of tools",
        yaml: "\
type: llm
messages: [{ user: \"{{ inputs.question }}\" }]
tools:
  sums: { builtin: calculator }
",
        scope: "\
inputs: { question: What is 2 + 2? }
fakes: { models: [{ call: { sums: { expression: 2 + 2 } } }] }
",
        gives: "output: { finish: tools, calls: [{ id: call_1, name: sums, arguments: { expression: 2 + 2 } }] }",
    },
    Example {
        title: "The caller of the run brings tools, and calls them itself",
        yaml: "\
type: llm
messages: [{ user: \"{{ inputs.message }}\" }]
tools:
  theirs: { caller: true }
",
        scope: "\
inputs: { message: Is it open? }
trigger: { tools: [{ name: hours, description: When it is open., parameters: { type: object } }] }
fakes: { models: [{ call: { hours: { day: today } } }] }
",
        gives: "output: { finish: tools, calls: [{ id: call_1, name: hours, arguments: { day: today } }] }",
    },
    Example {
        title: "The model may not be there",
        yaml: "\
type: llm
messages: [{ user: Hello }]
",
        scope: "fakes: { models: [{ error: LA2401 }] }",
        gives: "{ error: LA2401 }",
    },
];

#[cfg(test)]
mod tests;
