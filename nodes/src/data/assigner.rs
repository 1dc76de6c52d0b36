//! `assigner`: changes variables of the conversation.

use indexmap::IndexSet;
use liteagent_engine::node::prelude::*;
use serde_json::Number;

/// Changes variables of the conversation, all of them or none.
///
/// The variables and their types are declared under `conversation.variables`. Nodes that run later see the new values
/// as `conversation.NAME`; `NODE.conversation.NAME` is what this node wrote.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssignerConfig {
    /// Gives variables a value: `conversation.name: "{{ ask.name }}"`.
    #[serde(default)]
    pub set: IndexMap<String, TemplateTree>,
    /// Adds one item to the end of lists.
    #[serde(default)]
    pub append: IndexMap<String, TemplateTree>,
    /// Adds the items of a list to the end of lists.
    #[serde(default)]
    pub extend: IndexMap<String, TemplateTree>,
    /// Adds a number to numbers; a negative one takes away.
    #[serde(default)]
    pub increment: IndexMap<String, TemplateTree>,
    /// Puts variables back to their defaults.
    #[serde(default)]
    pub clear: Vec<String>,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AssignerOutput {
    /// The new values of the variables that were changed, by name.
    #[schemars(with = "IndexMap<String, Value>")]
    pub conversation: Value,
}

/// See [`AssignerConfig`].
pub struct Assigner {
    changes: Vec<(String, Change)>,
}

enum Change {
    Set(TemplateTree),
    Append(TemplateTree),
    Extend(TemplateTree),
    Increment(TemplateTree),
    Clear,
}

impl Node for Assigner {
    const TYPE: &'static str = "assigner";
    const META: NodeMeta = NodeMeta::pure(Family::Data, EXAMPLES);
    type Config = AssignerConfig;
    type Output = AssignerOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let named = |field, map: IndexMap<String, TemplateTree>, change: fn(TemplateTree) -> Change| {
            map.into_iter().map(move |(path, value)| (format!("/{field}/{path}"), path, change(value)))
        };
        let cleared = config.clear.into_iter().enumerate();
        let all = named("set", config.set, Change::Set)
            .chain(named("append", config.append, Change::Append))
            .chain(named("extend", config.extend, Change::Extend))
            .chain(named("increment", config.increment, Change::Increment))
            .chain(cleared.map(|(index, path)| (format!("/clear/{index}"), path, Change::Clear)));

        let (mut changes, mut seen) = (Vec::new(), IndexSet::new());
        for (field, path, change) in all {
            let name = variable(&field, &path)?;
            if !seen.insert(name.clone()) {
                let message = format!("`{path}` is changed twice, and nothing says which change comes first");
                return Err(ConfigError::new(codes::VARIABLE_TWICE, field, message)
                    .hint("make one change of it, or use two `assigner` nodes that are ordered by `needs`"));
            }
            changes.push((name, change));
        }
        if changes.is_empty() {
            return Err(ConfigError::new(codes::NOTHING_TO_DO, "", "expected a change of a variable, found none")
                .hint("add one of `set`, `append`, `extend`, `increment` and `clear`"));
        }
        Ok(Self { changes })
    }

    fn output_schema(&self) -> Option<Schema> {
        let names: serde_json::Map<_, _> =
            self.changes.iter().map(|(name, _)| (name.clone(), serde_json::json!({}))).collect();
        Some(schemars::json_schema!({
            "type": "object",
            "properties": {
                "conversation": {
                    "type": "object",
                    "description": "The new values of the variables that were changed, by name.",
                    "required": names.keys().collect::<Vec<_>>(),
                    "properties": names,
                    "additionalProperties": false,
                },
            },
            "required": ["conversation"],
            "additionalProperties": false,
        }))
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let (mut writes, mut values) = (Vec::new(), Vec::new());
        for (name, change) in &self.changes {
            let (value, write) = Variable::of(ctx, name)?.change(ctx, change)?;
            writes.push(write);
            values.push((name.as_str(), value));
        }
        Ok(Outcome::Wrote(AssignerOutput { conversation: Value::from_pairs(values) }, writes))
    }
}

/// The name in `conversation.NAME`.
fn variable(field: &str, path: &str) -> Result<String, ConfigError> {
    let fits = |name: &&str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    path.strip_prefix("conversation.").filter(fits).map(str::to_owned).ok_or_else(|| {
        let message = format!("expected `conversation.` and the name of a variable, found `{path}`");
        ConfigError::new(codes::VARIABLE_PATH, field, message)
            .hint("only whole variables of the conversation can be changed, as in `conversation.cart`")
    })
}

/// A variable of the conversation before it is changed.
struct Variable<'a> {
    name: &'a str,
    of: &'a Type,
    now: Value,
}

impl<'a> Variable<'a> {
    fn of(ctx: &'a NodeCtx, name: &'a str) -> Result<Self, NodeError> {
        let of = ctx.variables.get(name).ok_or_else(|| {
            let message = format!("the conversation has no variable `{name}`");
            NodeError::new(codes::VARIABLE_UNKNOWN, ErrorClass::Invalid, message)
                .hint(format!("declare it: `conversation: {{ variables: {{ {name}: ... }} }}`"))
        })?;
        let now = ctx.scope.conversation.get(name).cloned().or_else(|| of.default_value()).unwrap_or_default();
        Ok(Self { name, of, now })
    }

    /// The new value, and the operation that the journal keeps.
    fn change(&self, ctx: &NodeCtx, change: &Change) -> Result<(Value, Write), NodeError> {
        match change {
            Change::Set(value) => self.set(ctx.render_tree(value)?),
            Change::Clear => self.set(self.of.default_value().unwrap_or_default()),
            Change::Append(item) => self.extend(&[ctx.render_tree(item)?]),
            Change::Extend(items) => match ctx.render_tree(items)? {
                Value::List(items) => self.extend(&items),
                other => Err(self.misfit(format!("expected a list to add, found {}", other.kind()))),
            },
            Change::Increment(by) => match ctx.render_tree(by)? {
                Value::Number(by) => self.increment(by),
                other => Err(self.misfit(format!("expected a number to add, found {}", other.kind()))),
            },
        }
    }

    fn set(&self, value: Value) -> Result<(Value, Write), NodeError> {
        let value = self.fit(value)?;
        Ok((value.clone(), Write::Set { name: self.name.to_owned(), value }))
    }

    fn extend(&self, items: &[Value]) -> Result<(Value, Write), NodeError> {
        let mut all = match &self.now {
            Value::List(now) => Vec::clone(now),
            Value::Null => Vec::new(),
            other => return Err(self.misfit(format!("expected a list, found {}", other.kind()))),
        };
        let old = all.len();
        all.extend_from_slice(items);
        let value = self.fit(Value::from(all))?;
        let items = value.as_list().and_then(|all| all.get(old..)).unwrap_or_default().to_vec();
        // A list that was `null` cannot be extended later, when the journal is read.
        if self.now.is_null() {
            return Ok((value.clone(), Write::Set { name: self.name.to_owned(), value }));
        }
        Ok((value, Write::Extend { name: self.name.to_owned(), items }))
    }

    fn increment(&self, by: Number) -> Result<(Value, Write), NodeError> {
        let Value::Number(now) = &self.now else {
            return Err(self.misfit(format!("expected a number, found {}", self.now.kind())));
        };
        let sum = match (now.as_i64(), by.as_i64()) {
            (Some(now), Some(by)) => now.checked_add(by).map(Number::from),
            _ => now.as_f64().zip(by.as_f64()).and_then(|(now, by)| Number::from_f64(now + by)),
        };
        let sum = sum.ok_or_else(|| self.misfit(format!("{now} and {by} make no number of 64 bits")))?;
        let value = self.fit(Value::Number(sum))?;
        Ok((value, Write::Increment { name: self.name.to_owned(), by }))
    }

    fn fit(&self, value: Value) -> Result<Value, NodeError> {
        self.of.fit(value).map_err(|misfits| {
            let lines: Vec<_> =
                misfits.iter().map(|misfit| format!("{}{}", place(&misfit.pointer), misfit.message)).collect();
            self.misfit(lines.join("; "))
        })
    }

    fn misfit(&self, message: String) -> NodeError {
        let message = format!("`conversation.{}` cannot be changed: {message}", self.name);
        NodeError::new(codes::VARIABLE_MISFIT, ErrorClass::Invalid, message)
            .hint("give a value of the type that `conversation.variables` declares; nothing was changed")
    }
}

fn place(pointer: &str) -> String {
    match pointer.trim_start_matches('/') {
        "" => String::new(),
        path => format!("`{}`: ", path.replace('/', ".")),
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Puts something in the cart",
        yaml: "\
type: assigner
append: { conversation.cart: \"{{ pick.item }}\" }
set: { conversation.name: Ada }
increment: { conversation.turns: 1 }
",
        scope: "\
conversation: { cart: [bell], name: \"\", turns: 2 }
variables:
  cart: { type: \"string[]\", default: [] }
  name: { type: string, default: \"\" }
  turns: { type: integer, default: 0 }
pick: { item: pump }
",
        gives: "\
output: { conversation: { name: Ada, cart: [bell, pump], turns: 3 } }
writes:
  - { op: set, name: name, value: Ada }
  - { op: extend, name: cart, items: [pump] }
  - { op: increment, name: turns, by: 1 }
",
    },
    Example {
        title: "Back to the default",
        yaml: "\
type: assigner
clear: [conversation.cart]
",
        scope: "\
conversation: { cart: [bell] }
variables: { cart: { type: \"string[]\", default: [] } }
",
        gives: "{ output: { conversation: { cart: [] } }, writes: [{ op: set, name: cart, value: [] }] }",
    },
    Example {
        title: "A value of another type changes nothing",
        yaml: "\
type: assigner
set: { conversation.name: Ada, conversation.turns: many }
",
        scope: "variables: { name: { type: string, default: \"\" }, turns: { type: integer, default: 0 } }",
        gives: "{ error: LA2107 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{testing::NodeTest, value};

    use super::*;

    fn node(fields: &str) -> NodeTest {
        NodeTest::new(&crate::registry(), &format!("type: assigner\n{fields}"))
    }

    #[test]
    fn paths_name_one_variable_once() {
        let code = |fields| node(fields).build().err().unwrap().code;
        assert_eq!(code("set: { name: x }"), codes::VARIABLE_PATH);
        assert_eq!(code("set: { conversation.a.b: x }"), codes::VARIABLE_PATH);
        assert_eq!(code("clear: [sys.now]"), codes::VARIABLE_PATH);
        assert_eq!(code("set: { conversation.a: x }\nclear: [conversation.a]"), codes::VARIABLE_TWICE);
        assert_eq!(code(""), codes::NOTHING_TO_DO);
    }

    #[tokio::test]
    async fn only_lists_are_extended_and_only_numbers_incremented() {
        const SCOPE: &str = "\
conversation: { n: 9223372036854775807, f: 1.5, list: [1], none: null }
variables: { n: integer, f: number, list: \"integer[]\", none: \"integer[]?\" }
";
        let run = async |fields: &str| node(fields).scope(SCOPE).run().await;
        for fields in [
            "append: { conversation.n: 1 }",
            "extend: { conversation.list: 1 }",
            "increment: { conversation.list: 1 }",
            "increment: { conversation.n: one }",
            "increment: { conversation.n: 1 }",
        ] {
            assert_eq!(run(fields).await.get("error"), Some(&value!("LA2107")), "{fields}");
        }
        assert_eq!(run("set: { conversation.other: 1 }").await.get("error"), Some(&value!("LA2106")));
        assert_eq!(
            run("increment: { conversation.f: -0.5 }\nextend: { conversation.none: [1, 2] }").await,
            value!({
                "output": { "conversation": { "none": [1, 2], "f": 1.0 } },
                "writes": [
                    { "op": "set", "name": "none", "value": [1, 2] },
                    { "op": "increment", "name": "f", "by": -0.5 },
                ],
            })
        );
    }
}
