//! `list-operator`: filters, sorts and cuts a list.

use std::cmp::Ordering;

use liteagent_engine::node::prelude::*;

use crate::{compare, each::Each, list};

/// Filters, sorts and cuts a list, in this order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListOperatorConfig {
    /// The list. `null` counts as an empty one.
    pub items: TemplateTree,
    /// Keeps the items for which this is `true`; it sees `item` and `index`.
    #[serde(default, rename = "where")]
    #[schemars(extend("x-liteagent-item" = ["item", "index"]))]
    pub keep: Option<Template<bool>>,
    /// What the items are sorted by: the path of a member such as `user.name`, or a template that sees `item` and
    /// `index`. Numbers, texts and booleans have an order, each kind for itself. Items that are equal keep theirs.
    #[serde(default)]
    #[schemars(extend("x-liteagent-item" = ["item", "index"]))]
    pub sort_by: Option<Template<Value>>,
    /// Smallest first, or greatest first.
    #[serde(default)]
    pub order: Option<Order>,
    /// How many items are left out at the beginning.
    #[serde(default)]
    pub offset: Option<Template<u64>>,
    /// How many items there are at most.
    #[serde(default)]
    pub limit: Option<Template<u64>>,
}

/// The order of a sorted list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Smallest first.
    Asc,
    /// Greatest first.
    Desc,
}

/// What is left of the list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListOperatorOutput {
    /// The items.
    #[schemars(with = "Vec<Value>")]
    pub items: Value,
    /// How many they are.
    pub count: u64,
    /// The first of them; `null` when there is none.
    pub first: Value,
    /// The last of them; `null` when there is none.
    pub last: Value,
}

/// See [`ListOperatorConfig`].
pub struct ListOperator {
    config: ListOperatorConfig,
}

impl Node for ListOperator {
    const TYPE: &'static str = "list-operator";
    const META: NodeMeta = NodeMeta { inline: false, ..NodeMeta::pure(Family::Data, EXAMPLES) };
    type Config = ListOperatorConfig;
    type Output = ListOperatorOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        list::check("items", &config.items)?;
        if config.order.is_some() && config.sort_by.is_none() {
            return Err(ConfigError::new(codes::LIST_OPTIONS, "/order", "`order` needs `sort_by`")
                .hint("add `sort_by: name`, or `sort_by: \"{{ item }}\"` for a list of numbers or texts"));
        }
        if let Some(literal) = config.sort_by.as_ref().and_then(Template::as_literal)
            && literal.as_str().is_none_or(str::is_empty)
        {
            let message = format!("expected the path of a member or a template, found {}", literal.kind());
            return Err(ConfigError::new(codes::LIST_OPTIONS, "/sort_by", message)
                .hint("write `sort_by: name`, or a template that sees `item`"));
        }
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let items = list::read("items", ctx.render_tree(&self.config.items)?)?;
        let items = self.filter(ctx, items).await?;
        let items = self.sort(ctx, items).await?;
        let items = self.cut(ctx, items)?;
        Ok(Outcome::Done(ListOperatorOutput {
            count: items.len() as u64,
            first: items.first().cloned().unwrap_or_default(),
            last: items.last().cloned().unwrap_or_default(),
            items: Value::List(items),
        }))
    }
}

impl ListOperator {
    async fn filter(&self, ctx: &NodeCtx, items: Arc<Vec<Value>>) -> Result<Arc<Vec<Value>>, NodeError> {
        let Some(keep) = &self.config.keep else { return Ok(items) };
        let mut kept = Vec::new();
        let mut each = Each::new(ctx);
        for item in items.iter() {
            if keep.render(each.next(item).await)? {
                kept.push(item.clone());
            }
        }
        Ok(Arc::new(kept))
    }

    async fn sort(&self, ctx: &NodeCtx, items: Arc<Vec<Value>>) -> Result<Arc<Vec<Value>>, NodeError> {
        let Some(by) = &self.config.sort_by else { return Ok(items) };
        let path = by.as_literal().and_then(Value::as_str);
        let mut keyed = Vec::with_capacity(items.len());
        let mut each = Each::new(ctx);
        for (index, item) in items.iter().enumerate() {
            let key = match path {
                Some(path) => member(item, path, index)?,
                None => by.render(each.next(item).await)?,
            };
            check_key(keyed.first().map(|(first, _)| first), &key, index)?;
            keyed.push((key, item.clone()));
        }
        let descending = self.config.order == Some(Order::Desc);
        let sorted = tokio::task::spawn_blocking(move || {
            keyed.sort_by(|(left, _), (right, _)| {
                let order = compare::order(left, right).unwrap_or(Ordering::Equal);
                if descending { order.reverse() } else { order }
            });
            keyed.into_iter().map(|(_, item)| item).collect()
        });
        sorted.await.map(Arc::new).map_err(|error| NodeError::internal(format!("sorting stopped: {error}")))
    }

    fn cut(&self, ctx: &NodeCtx, items: Arc<Vec<Value>>) -> Result<Arc<Vec<Value>>, NodeError> {
        let read = |field: &Option<Template<u64>>| field.as_ref().map(|field| ctx.render(field)).transpose();
        let from = read(&self.config.offset)?.map_or(0, |offset| usize::try_from(offset).unwrap_or(usize::MAX));
        let limit = read(&self.config.limit)?.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        if from == 0 && limit >= items.len() {
            return Ok(items);
        }
        Ok(Arc::new(items.iter().skip(from).take(limit).cloned().collect()))
    }
}

fn member(item: &Value, path: &str, index: usize) -> Result<Value, NodeError> {
    let found = path.split('.').try_fold(item, |value, key| value.get(key));
    found.cloned().ok_or_else(|| {
        unlike(format!("item {index} has no member `{path}` to sort by"))
            .hint("filter such items with `where`, or give a default: `sort_by: \"{{ item.x | default(0) }}\"`")
    })
}

/// Every key has an order with the first one, so that all of them have one with each other.
fn check_key(first: Option<&Value>, key: &Value, index: usize) -> Result<(), NodeError> {
    let first = first.unwrap_or(key);
    if compare::order(first, key).is_some() {
        return Ok(());
    }
    let message = if compare::order(key, key).is_none() {
        format!("item {index} is sorted by {}, which has no order", key.kind())
    } else {
        format!("item 0 is sorted by {}, item {index} by {}", first.kind(), key.kind())
    };
    Err(unlike(message).hint("let `sort_by` give numbers only, texts only or booleans only"))
}

fn unlike(message: String) -> NodeError {
    NodeError::new(codes::UNLIKE_ITEMS, ErrorClass::Invalid, message)
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "The issues with most comments",
        yaml: "\
type: list-operator
items: \"{{ issues.items }}\"
where: \"{{ item.comments >= 3 }}\"
sort_by: comments
order: desc
limit: 2
",
        scope: "issues: { items: [{ id: 1, comments: 3 }, { id: 2, comments: 0 }, { id: 3, comments: 9 }, { id: 4, comments: 3 }] }",
        gives: "\
output:
  items: [{ id: 3, comments: 9 }, { id: 1, comments: 3 }]
  count: 2
  first: { id: 3, comments: 9 }
  last: { id: 1, comments: 3 }
",
    },
    Example {
        title: "Nothing is left",
        yaml: "\
type: list-operator
items: [1, 2, 3]
where: \"{{ item > 5 }}\"
",
        scope: "",
        gives: "{ output: { items: [], count: 0, first: null, last: null } }",
    },
    Example {
        title: "Numbers and texts have no common order",
        yaml: "\
type: list-operator
items: [1, two]
sort_by: \"{{ item }}\"
",
        scope: "",
        gives: "{ error: LA2108 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{testing::NodeTest, value};

    use super::*;

    async fn run(fields: &str) -> Value {
        NodeTest::new(&crate::registry(), &format!("type: list-operator\n{fields}")).run().await
    }

    #[tokio::test]
    async fn equal_items_keep_their_order_both_ways() {
        let items = "items: [{ k: 1, n: a }, { k: 0, n: b }, { k: 1.0, n: c }, { k: 0, n: d }]";
        let names = async |order| {
            let outcome = run(&format!("{items}\nsort_by: k\norder: {order}")).await;
            let items = outcome.get("output").unwrap().get("items").unwrap().clone();
            items
                .as_list()
                .unwrap()
                .iter()
                .map(|item| item.get("n").unwrap().as_str().unwrap().to_owned())
                .collect::<String>()
        };
        assert_eq!(names("asc").await, "bdac");
        assert_eq!(names("desc").await, "acbd");
    }

    #[tokio::test]
    async fn a_piece_is_cut_out_after_the_rest() {
        let items = async |fields: &str| run(fields).await.get("output").unwrap().get("items").unwrap().clone();
        assert_eq!(items("items: [3, 1, 2]\nsort_by: '{{ item }}'\noffset: 1\nlimit: 1").await, value!([2]));
        assert_eq!(items("items: [3, 1, 2]\noffset: 7").await, value!([]));
        assert_eq!(items("items: [a, b]\nwhere: '{{ index == 1 }}'").await, value!(["b"]));
    }

    #[tokio::test]
    async fn what_has_no_order_is_an_error() {
        for items in ["[{ k: 1 }, {}]", "[{ k: null }]", "[{ k: [] }]", "[{ k: 1 }, { k: a }]"] {
            assert_eq!(
                run(&format!("items: {items}\nsort_by: k")).await.get("error"),
                Some(&value!("LA2108")),
                "{items}"
            );
        }
        assert_eq!(run("items: []\nsort_by: 1").await.get("error"), Some(&value!("LA1113")));
        assert_eq!(run("items: []\norder: asc").await.get("error"), Some(&value!("LA1113")));
        assert_eq!(run("items: { a: 1 }").await.get("error"), Some(&value!("LA1117")));
    }
}
