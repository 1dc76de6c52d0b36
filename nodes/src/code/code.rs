//! `code`: Python or JavaScript of the author, isolated.

use liteagent_engine::{
    capability::{CodeCall, CodeFailure, CodeLimits, CodeReply},
    node::prelude::*,
    types::{Misfit, fit_all},
};
use serde_json::Map;

use super::{check, size::is_small};

/// Runs code of your own, isolated: without files, network, environment or processes.
///
/// The code defines a function `main`, which may be `async`. It is called with the inputs (`main(rows, limit)` in Python,
/// `main({ rows, limit })` in JavaScript) and returns the outputs that `returns` declares, as a `dict` or an object. Each
/// call begins anew: nothing is left of an earlier one. What the code prints is kept in the journal beside the result,
/// for people. A result that is in the journal stays; before that, code that draws random numbers or reads the clock may
/// be run again after a crash, and nobody has seen what it gave.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeConfig {
    /// The language of the code.
    #[schemars(extend("x-liteagent-instead" = {
        "jinja2": "use a `template-transform` node: it renders templates",
        "python3": "write `python`",
        "py": "write `python`",
        "nodejs": "write `javascript`",
        "js": "write `javascript`",
        "typescript": "write `javascript`, without types",
    }))]
    pub language: Language,
    /// The code. It defines `main`. It is never a template: what it works on is passed in `inputs`. It may be
    /// `{ file: code/clean.py }`.
    #[schemars(extend("x-liteagent-file" = "text", "x-liteagent-literal" = true, "x-liteagent-snippet" = SNIPPET))]
    pub code: Option<String>,
    /// Instead of `code`: the file that holds it, `code/clean.py`, below the folder of the workflow or in `code`,
    /// `prompts` or `assets` of the project.
    #[schemars(extend("x-liteagent-file-of" = "code"))]
    pub file: Option<String>,
    /// What `main` is called with, by name.
    #[serde(default)]
    pub inputs: IndexMap<String, TemplateTree>,
    /// What `main` returns, by name, with its type: no more and no less. A name with a `?` or a default may be missing.
    pub returns: IndexMap<String, Type>,
    /// What a call may use. A call that exceeds a limit fails.
    #[serde(default)]
    pub limits: Limits,
}

/// A programming language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Python 3.14 with its standard library and some packages.
    Python,
    /// JavaScript, ES2025.
    JavaScript,
}

impl Language {
    /// The name in YAML.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
        }
    }
}

/// What a call may use; what is missing is the sandbox's default.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Elapsed time. 30 s if missing, at most 10 minutes.
    pub wall: Option<Duration>,
    /// Computing time. 10 s if missing, at most 5 minutes.
    pub cpu: Option<Duration>,
    /// Memory, the interpreter included: Python takes 50 MiB, JavaScript 5. 128 MiB if missing, at most 1 GiB.
    pub memory: Option<Size>,
    /// The JSON of the outputs. 8 MiB if missing, at most 64 MiB.
    pub output: Option<Size>,
}

/// What `returns` declares, by name.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct CodeOutput(#[schemars(with = "IndexMap<String, Value>")] Value);

/// See [`CodeConfig`].
pub struct Code {
    language: Language,
    text: Arc<str>,
    inputs: IndexMap<String, TemplateTree>,
    returns: Arc<IndexMap<String, Type>>,
    limits: CodeLimits,
}

/// What code begins with in an editor.
const SNIPPET: &str = "|\n  def main($?):\n      return {\"$?\": $?}";

impl Node for Code {
    const TYPE: &'static str = "code";
    const META: NodeMeta = NodeMeta {
        family: Family::Code,
        // Nothing outside can notice that it ran. What a crash takes before it is durable was seen by nobody, so it may
        // come out otherwise the next time.
        effect: Effect::Pure,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Code],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = CodeConfig;
    type Output = CodeOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let CodeConfig { language, code, file, inputs, returns, limits } = config;
        let code = match (code, file) {
            (Some(code), None) => code.into(),
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(codes::CODE_TEXT, "/file", "expected `code` or `file`, found both")
                    .hint("remove one of the two"));
            }
            (None, _) => {
                return Err(ConfigError::new(codes::CODE_TEXT, "", "expected `code` or `file`, found neither")
                    .label("has no code")
                    .hint("add `code: |` with a function `main` below it, or `file: code/NAME`"));
            }
        };
        Ok(Self { language, text: code, inputs, returns: Arc::new(returns), limits: limits.checked()? })
    }

    fn output_schema(&self) -> Option<Schema> {
        let properties: Map<_, _> =
            self.returns.iter().map(|(name, declared)| (name.clone(), declared.schema().to_value())).collect();
        let required: Vec<_> = self.returns.keys().collect();
        Some(schemars::json_schema!({
            "type": "object",
            "description": "What the code returns.",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }))
    }

    fn check(&self, known: &Known) -> Vec<ConfigFinding> {
        check::findings(&check::Subject {
            language: self.language,
            code: &self.text,
            inputs: self.inputs.keys().map(String::as_str).collect(),
            modules: &known.python,
        })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let inputs = self.inputs.iter().map(|(name, value)| Ok((name.as_str(), ctx.render_tree(value)?)));
        let inputs = Value::from_pairs(inputs.collect::<Result<Vec<_>, NodeError>>()?);
        let (language, code) = (self.language.as_str(), self.text.clone());
        let call = CodeCall { language, code, inputs, limits: self.limits };
        match ctx.code()?.run(call).await {
            Ok(CodeReply { outputs, stdout, stderr }) => {
                ctx.log(&stdout);
                ctx.log(&stderr);
                Ok(Outcome::Done(CodeOutput(self.fitted(outputs).await?)))
            }
            Err(failure) => {
                let CodeFailure { error, stdout, stderr, traceback } = *failure;
                ctx.log(&stdout);
                ctx.log(&stderr);
                ctx.log(traceback.as_deref().unwrap_or_default());
                Err(error)
            }
        }
    }
}

impl Code {
    /// The outputs as `returns` declares them; large ones are looked at beside the executor, which must not stand still.
    async fn fitted(&self, outputs: Value) -> Result<Value, NodeError> {
        if is_small(&outputs) {
            return fit(&self.returns, outputs);
        }
        let returns = self.returns.clone();
        tokio::task::spawn_blocking(move || fit(&returns, outputs))
            .await
            .map_err(|error| NodeError::internal(format!("checking outputs of code broke off: {error}")))?
    }
}

fn fit(returns: &IndexMap<String, Type>, outputs: Value) -> Result<Value, NodeError> {
    let extra = outputs.as_object().and_then(|all| all.keys().find(|name| !returns.contains_key(&***name)).cloned());
    fit_all(returns, outputs).map_err(|misfits| misfit(&misfits, extra.as_deref()))
}

/// So many misfits are told at once.
const MOST_MISFITS: usize = 3;

/// Says which keys do not fit, what was expected and what was found.
fn misfit(misfits: &[Misfit], extra: Option<&str>) -> NodeError {
    let told = misfits.iter().take(MOST_MISFITS).map(|misfit| {
        let key = misfit.pointer.trim_start_matches('/').replace('/', ".").replace("~1", "/").replace("~0", "~");
        match misfit.message.strip_prefix("unknown name ") {
            Some(_) => format!("`{key}` is not declared"),
            None => format!("`{key}`: {}", misfit.message),
        }
    });
    let more = misfits.len().saturating_sub(MOST_MISFITS);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let told = told.collect::<Vec<_>>().join("; ");
    let message = format!("what `main` returned does not fit `returns`: {told}{more}");
    let hint = misfits.first().and_then(|first| first.hint.clone()).filter(|_| extra.is_none());
    NodeError::new(codes::CODE_OUTPUTS, ErrorClass::Invalid, message).hint(match (extra, hint) {
        (Some(name), _) => format!("add `{name}: any` to `returns`, or do not return it"),
        (None, Some(hint)) => hint,
        (None, None) => {
            "mend what `main` returns, or the types in `returns`; `?` behind a type lets it be null".to_owned()
        }
    })
}

impl Limits {
    /// The limits as the sandbox gets them; none may be nothing.
    fn checked(self) -> Result<CodeLimits, ConfigError> {
        let Self { wall, cpu, memory, output } = self;
        let times =
            [("wall", wall), ("cpu", cpu)].map(|(name, time)| (name, time.is_some_and(|time| time.0.is_zero())));
        let sizes = [("memory", memory), ("output", output)].map(|(name, size)| (name, size == Some(Size(0))));
        if let Some((name, _)) = times.into_iter().chain(sizes).find(|(_, is_nothing)| *is_nothing) {
            let message = format!("expected something in `limits.{name}`, found 0: no code runs with that");
            return Err(ConfigError::new(codes::CODE_LIMITS, format!("/limits/{name}"), message)
                .hint("give it more, or remove the line for the default"));
        }
        Ok(CodeLimits { wall, cpu, memory, output })
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Python: each input is an argument of `main`",
        yaml: "\
type: code
language: python
inputs:
  orders: \"{{ inputs.orders }}\"
returns: { total: number, customers: \"string[]\" }
code: |
  def main(orders):
      customers = sorted({order[\"customer\"] for order in orders})
      return {\"total\": sum(order[\"amount\"] for order in orders), \"customers\": customers}
",
        scope: "\
inputs:
  orders: [{ customer: Grace, amount: 2.5 }, { customer: Ada, amount: 4 }, { customer: Grace, amount: 1 }]
",
        gives: "output: { total: 7.5, customers: [Ada, Grace] }",
    },
    Example {
        title: "JavaScript: `main` gets one object with every input",
        yaml: "\
type: code
language: javascript
inputs:
  rows: \"{{ inputs.rows }}\"
  key: email
returns:
  rows: { type: array, items: { type: object } }
limits: { cpu: 2s, memory: 32MiB }
code: |
  export function main({ rows, key }) {
    const seen = new Map(rows.map((row) => [row[key].toLowerCase(), row]));
    return { rows: [...seen.values()] };
  }
",
        scope: "\
inputs:
  rows: [{ id: 1, email: ada@example.org }, { id: 2, email: grace@example.org }, { id: 3, email: Ada@example.org }]
",
        gives: "\
output: { rows: [{ id: 3, email: Ada@example.org }, { id: 2, email: grace@example.org }] }
",
    },
    Example {
        title: "An error of the code fails the node, with its line",
        yaml: "\
type: code
language: python
inputs: { amount: \"{{ inputs.amount }}\" }
returns: { cents: integer }
code: |
  def main(amount):
      return {\"cents\": round(float(amount) * 100)}
",
        scope: "inputs: { amount: a lot }",
        gives: "\
error: LA2301
message: \"ValueError: could not convert string to float: 'a lot' (line 2)\"
",
    },
    Example {
        title: "What `main` returns is what `returns` says",
        yaml: "\
type: code
language: javascript
returns: { name: string, age: integer }
code: |
  const main = () => ({ name: \"Ada\", age: \"36\", born: 1815 });
",
        scope: "{}",
        gives: "\
error: LA2305
message: \"what `main` returned does not fit `returns`: `born` is not declared; `age`: expected an integer, found the string `36`\"
",
    },
];
