//! `iteration`: a body of nodes for each item of a list.

use liteagent_engine::{definition::NodeMap, node::prelude::*};

use crate::list;

/// Runs a body of nodes once for each item of a list.
///
/// The body sees `item` and `index` (from 0) besides everything outside. Outside, only the node itself can be read:
/// `each.output`. The order of `output` is that of the items, however they ran. No items give an empty list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IterationConfig {
    /// The list. `null` counts as an empty one.
    pub items: TemplateTree,
    /// How many items are worked on at once.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub parallel: u32,
    /// The body: nodes by id.
    pub nodes: NodeMap,
    /// What an item gives, once the nodes of its body are done.
    #[schemars(extend("x-liteagent-inner" = true))]
    pub output: TemplateTree,
    /// What a failed item means: `fail` stops the iteration, `keep` leaves `null` in its place, `drop` leaves it out.
    #[serde(default)]
    pub on_item_error: OnItemError,
}

fn one() -> u32 {
    1
}

/// What the items gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IterationOutput {
    /// What each item gave, in the order of the items.
    pub output: Vec<Value>,
    /// The items that failed, with `on_item_error: keep` or `drop`.
    pub errors: Vec<ItemError>,
}

/// An item that failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ItemError {
    /// Its place in the list, from 0.
    pub index: u32,
    /// The item.
    pub item: Value,
    /// Why it failed.
    pub error: ItemFailure,
}

/// Why an item failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ItemFailure {
    /// The stable code, `LA2100`.
    pub code: String,
    /// The class.
    pub class: ErrorClass,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it; `null` when nothing is known.
    pub hint: Option<String>,
    /// The path of the node that failed, `each[3].fetch`.
    pub node: Option<String>,
    /// How often the node was tried.
    pub attempts: u32,
}

/// See [`IterationConfig`].
pub struct Iteration {
    config: IterationConfig,
}

impl Node for Iteration {
    const TYPE: &'static str = "iteration";
    const META: NodeMeta = NodeMeta { container: Some(Container::Items), ..NodeMeta::pure(Family::Flow, EXAMPLES) };
    type Config = IterationConfig;
    type Output = IterationOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        if !(1..=1000).contains(&config.parallel) {
            let message = format!("expected a number from 1 to 1000, found {}", config.parallel);
            return Err(ConfigError::new(codes::CONTAINER_LIMIT, "/parallel", message)
                .hint("set `parallel` to how many items may be worked on at once, for example `parallel: 4`"));
        }
        list::check("items", &config.items)?;
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        Ok(Outcome::Items {
            items: list::read("items", ctx.render_tree(&self.config.items)?)?,
            parallel: self.config.parallel,
            on_item_error: self.config.on_item_error,
        })
    }

    fn close_frame(&self, scope: &Arc<Scope>, _: FrameInfo) -> Result<FrameClose, NodeError> {
        self.config.output.render(scope).map(FrameClose::Item)
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "A line for each order, four at once",
        yaml: "\
type: iteration
items: \"{{ inputs.orders }}\"
parallel: 4
on_item_error: keep
nodes:
  line:
    type: template-transform
    template: \"{{ index + 1 }}. {{ item.sku }}: {{ item.quantity }}\"
output: \"{{ line.text }}\"
",
        scope: "inputs: { orders: [{ sku: A1, quantity: 3 }, { sku: B2, quantity: 1 }] }",
        gives: "{ items: [{ sku: A1, quantity: 3 }, { sku: B2, quantity: 1 }], parallel: 4, on_item_error: keep }",
    },
    Example {
        title: "Only lists can be passed over",
        yaml: "\
type: iteration
items: \"{{ inputs.orders }}\"
nodes:
  line: { type: template-transform, template: \"{{ item }}\" }
output: \"{{ line.text }}\"
",
        scope: "inputs: { orders: A1 and B2 }",
        gives: "{ error: LA2102 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{
        testing::{NodeTest, TestNode},
        value,
    };

    use super::*;

    fn build(fields: &str) -> Result<TestNode, ConfigError> {
        let nodes = "nodes: { a: { type: answer, text: x } }";
        NodeTest::new(&crate::registry(), &format!("type: iteration\n{nodes}\n{fields}")).build()
    }

    #[tokio::test]
    async fn null_is_an_empty_list() {
        let node = build("items: '{{ none }}'\noutput: 1").unwrap();
        assert_eq!(node.outcome().await, value!({ "items": [], "parallel": 1, "on_item_error": "fail" }));
    }

    #[test]
    fn an_item_gives_what_its_body_computed() {
        let node = build("items: []\noutput: { n: '{{ index }}', text: '{{ a.text }}' }").unwrap();
        let closed = node.close_frame("index: 2\na: { text: hello }", 2).unwrap();
        let FrameClose::Item(output) = closed else { panic!("{closed:?}") };
        assert_eq!(output, value!({ "n": 2, "text": "hello" }));
    }

    #[test]
    fn limits_and_lists_are_checked_before_a_run() {
        let code = |fields| build(fields).err().unwrap().code;
        assert_eq!(code("items: []\noutput: 1\nparallel: 0"), codes::CONTAINER_LIMIT);
        assert_eq!(code("items: text\noutput: 1"), codes::NOT_A_LIST_CONFIG);
    }
}
