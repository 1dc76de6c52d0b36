//! `json`: reads, queries and reshapes JSON.

use liteagent_engine::node::prelude::*;
use serde_json_path::JsonPath;

use crate::each::Each;

/// Reads, queries and reshapes JSON.
///
/// `value` is what it works on; with `parse`, it is text that holds JSON. `query` finds values in it, and `shape` makes
/// something new of each of them. Without `query`, `shape` is applied to the whole value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonConfig {
    /// The value, or with `parse` the text.
    pub value: TemplateTree,
    /// Reads the value as text that holds JSON.
    #[serde(default)]
    pub parse: bool,
    /// A JSONPath (RFC 9535) such as `$.items[?@.price < 10].name`. The result is the list of what it finds. No
    /// template: what changes belongs in `where` of a `list-operator`.
    #[serde(default)]
    pub query: Option<String>,
    /// Gives only the first thing that `query` finds, `null` when it finds nothing.
    #[serde(default)]
    pub first: bool,
    /// What each result becomes; it sees the result as `item` and its place as `index`.
    #[serde(default)]
    #[schemars(extend("x-liteagent-item" = ["item", "index"]))]
    pub shape: Option<TemplateTree>,
}

/// The result.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JsonOutput {
    /// What was found or made.
    pub value: Value,
}

/// See [`JsonConfig`].
pub struct Json {
    config: JsonConfig,
    query: Option<Arc<JsonPath>>,
}

impl Node for Json {
    const TYPE: &'static str = "json";
    const META: NodeMeta = NodeMeta { inline: false, ..NodeMeta::pure(Family::Data, EXAMPLES) };
    type Config = JsonConfig;
    type Output = JsonOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if config.first && config.query.is_none() {
            return Err(ConfigError::new(
                codes::NOTHING_TO_DO,
                "/first",
                "`first` needs a `query` that finds something",
            )
            .hint("add a `query`, or remove `first`"));
        }
        let query = config.query.as_deref().map(JsonPath::parse).transpose().map_err(|error| {
            let message = format!("expected a JSONPath such as `$.items[*].name`, found {error}");
            ConfigError::new(codes::JSON_PATH, "/query", message)
                .hint("begin with `$`, and write names as `.name` or `['a name']`")
        })?;
        Ok(Self { config, query: query.map(Arc::new) })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let value = ctx.render_tree(&self.config.value)?;
        let value = if self.config.parse { parse(&value)? } else { value };
        let value = match &self.query {
            None => self.shaped(ctx, &[value]).await?.pop().unwrap_or_default(),
            Some(query) => {
                let mut found = self.find(query.clone(), value).await?;
                if self.config.first {
                    found.truncate(1);
                }
                let mut found = self.shaped(ctx, &found).await?;
                if self.config.first { found.pop().unwrap_or_default() } else { Value::from(found) }
            }
        };
        Ok(Outcome::Done(JsonOutput { value }))
    }
}

impl Json {
    /// A query may visit every value many times, so it does not run where others wait for it.
    async fn find(&self, query: Arc<JsonPath>, value: Value) -> Result<Vec<Value>, NodeError> {
        let found = tokio::task::spawn_blocking(move || {
            let json = value.to_json();
            query.query(&json).all().into_iter().map(|found| Value::from(found.clone())).collect()
        });
        found.await.map_err(|error| NodeError::internal(format!("the query stopped: {error}")))
    }

    async fn shaped(&self, ctx: &NodeCtx, values: &[Value]) -> Result<Vec<Value>, NodeError> {
        let Some(shape) = &self.config.shape else { return Ok(values.to_vec()) };
        let mut shaped = Vec::with_capacity(values.len());
        let mut each = Each::new(ctx);
        for value in values {
            shaped.push(shape.render(each.next(value).await)?);
        }
        Ok(shaped)
    }
}

fn parse(value: &Value) -> Result<Value, NodeError> {
    let text = value.as_str().ok_or_else(|| bad(format!("expected a text that holds JSON, found {}", value.kind())))?;
    serde_json::from_str(text).map_err(|error| bad(format!("expected a text that holds JSON, found {error}")))
}

fn bad(message: String) -> NodeError {
    NodeError::new(codes::BAD_JSON, ErrorClass::Invalid, message)
        .hint("remove `parse: true` when the value is read already, as `json` of an `http-request` is")
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Finds and reshapes",
        yaml: "\
type: json
value: \"{{ fetch.body }}\"
parse: true
query: $.items[?@.price < 10]
shape: { name: \"{{ item.name }}\", cents: \"{{ (item.price * 100) | int }}\" }
",
        scope: "fetch: { body: '{ \"items\": [{ \"name\": \"bell\", \"price\": 4.5 }, { \"name\": \"bike\", \"price\": 300 }] }' }",
        gives: "{ output: { value: [{ name: bell, cents: 450 }] } }",
    },
    Example {
        title: "The first of several, or null",
        yaml: "\
type: json
value: \"{{ inputs.order }}\"
query: $.lines[*].sku
first: true
",
        scope: "inputs: { order: { lines: [] } }",
        gives: "{ output: { value: null } }",
    },
    Example {
        title: "A text that is not JSON",
        yaml: "\
type: json
value: \"{{ fetch.body }}\"
parse: true
",
        scope: "fetch: { body: <html> }",
        gives: "{ error: LA2109 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{testing::NodeTest, value};

    use super::*;

    async fn run(fields: &str) -> Value {
        NodeTest::new(&crate::registry(), &format!("type: json\n{fields}")).run().await
    }

    #[tokio::test]
    async fn values_that_were_read_are_not_read_again() {
        assert_eq!(run("value: { a: 1 }\nparse: true").await.get("error"), Some(&value!("LA2109")));
        assert_eq!(run("value: { a: [1, 2] }\nquery: $.a[1]").await, value!({ "output": { "value": [2] } }));
        let shaped = run("value: [1, 2]\nshape: { all: '{{ item }}', n: '{{ item | length }}' }").await;
        assert_eq!(shaped, value!({ "output": { "value": { "all": [1, 2], "n": 2 } } }));
    }

    #[tokio::test]
    async fn queries_are_read_before_a_run() {
        assert_eq!(run("value: 1\nquery: items[").await.get("error"), Some(&value!("LA1114")));
        assert_eq!(run("value: 1\nfirst: true").await.get("error"), Some(&value!("LA1112")));
    }
}
