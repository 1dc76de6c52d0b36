//! Our values as minijinja sees them, and back. Nothing is converted before it is looked at.

use std::{fmt, sync::Arc};

use minijinja::{
    Error, ErrorKind,
    value::{Enumerator, Object as JinjaObject, ObjectRepr, Value as Jinja, ValueKind},
};

use crate::{
    scope::{NodeView, Root, Scope},
    value::{Number, Object, Value},
};

/// How deep a value may be nested that a template makes.
const MAX_DEPTH: usize = 128;
/// How many values, and how many bytes of text, a template may make in one result.
const MAX_ITEMS: usize = 1_000_000;

/// The roots.
#[derive(Debug)]
pub(super) struct RootObject(pub(super) Arc<Scope>);

impl JinjaObject for RootObject {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        match self.0.get(key)? {
            Root::Value(value) => Some(to_jinja(&value)),
            Root::Node(_) => Some(Jinja::from_object(NodeObject { id: key.into(), scope: self.0.clone() })),
        }
    }
}

/// A node: its members are those of its output, `ok` and `error`.
#[derive(Debug)]
pub(super) struct NodeObject {
    id: Arc<str>,
    scope: Arc<Scope>,
}

impl NodeObject {
    /// How the node ended.
    pub(super) fn view(&self) -> &NodeView {
        match self.scope.get(&self.id) {
            Some(Root::Node(view)) => view,
            _ => &NodeView::Unsettled,
        }
    }

    fn output(&self) -> Option<&Arc<Object>> {
        match self.view() {
            NodeView::Ended { output: Value::Object(members), .. } => Some(members),
            _ => None,
        }
    }
}

impl JinjaObject for NodeObject {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        match key {
            "ok" => Some(self.view().ok().into()),
            "error" => Some(to_jinja(&self.view().error())),
            _ => self.output()?.get(key).map(to_jinja),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.output().map_or(Enumerator::Empty, members)
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.output().map_or(0, |members| members.len()))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.view().has_value()
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.view() {
            NodeView::Ended { output, .. } => fmt::Display::fmt(output, f),
            _ => f.write_str("null"),
        }
    }
}

/// A shared list.
#[derive(Debug)]
struct ListObject(Arc<Vec<Value>>);

impl JinjaObject for ListObject {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.0.get(key.as_usize()?).map(to_jinja)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Value::List(self.0.clone()), f)
    }
}

/// A shared object.
#[derive(Debug)]
struct MapObject(Arc<Object>);

impl JinjaObject for MapObject {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        self.0.get(key).map(to_jinja)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        members(&self.0)
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.0.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Value::Object(self.0.clone()), f)
    }
}

fn members(object: &Arc<Object>) -> Enumerator {
    let object = object.clone();
    let pairs = (0..object.len()).filter_map(move |index| {
        object.get_index(index).map(|(key, value)| (Jinja::from(key.clone()), to_jinja(value)))
    });
    Enumerator::KeyValueIter(Box::new(pairs))
}

/// Shows a value to minijinja.
pub(super) fn to_jinja(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(value) => Jinja::from(*value),
        Value::Number(number) => number_to_jinja(number),
        Value::String(text) => Jinja::from(text.clone()),
        Value::List(items) => Jinja::from_object(ListObject(items.clone())),
        Value::Object(members) => Jinja::from_object(MapObject(members.clone())),
    }
}

fn number_to_jinja(number: &Number) -> Jinja {
    if let Some(integer) = number.as_i64() {
        return Jinja::from(integer);
    }
    if let Some(integer) = number.as_u64() {
        return Jinja::from(integer);
    }
    Jinja::from(number.as_f64().unwrap_or(f64::NAN))
}

/// Takes a value back; what was shown by [`to_jinja`] comes back without a copy.
///
/// # Errors
/// When it has no JSON form or is too large.
pub(super) fn from_jinja(value: &Jinja) -> Result<Value, Error> {
    Back { items: 0, bytes: 0 }.value(value, 0)
}

struct Back {
    items: usize,
    bytes: usize,
}

impl Back {
    fn value(&mut self, value: &Jinja, depth: usize) -> Result<Value, Error> {
        self.items += 1;
        if self.items > MAX_ITEMS || self.bytes > super::text::MAX_TEXT || depth > MAX_DEPTH {
            return Err(super::text::too_large());
        }
        match value.kind() {
            ValueKind::None => Ok(Value::Null),
            ValueKind::Bool => Ok(Value::Bool(value.is_true())),
            ValueKind::Number => number(value),
            ValueKind::String => {
                let text = value.to_str().ok_or_else(|| no_json(value))?;
                self.bytes += text.len();
                Ok(Value::String(text))
            }
            ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
            _ => self.object(value, depth),
        }
    }

    fn object(&mut self, value: &Jinja, depth: usize) -> Result<Value, Error> {
        if let Some(list) = value.downcast_object_ref::<ListObject>() {
            return Ok(Value::List(list.0.clone()));
        }
        if let Some(map) = value.downcast_object_ref::<MapObject>() {
            return Ok(Value::Object(map.0.clone()));
        }
        if let Some(node) = value.downcast_object_ref::<NodeObject>() {
            return Ok(match node.view() {
                NodeView::Ended { output, .. } => output.clone(),
                _ => Value::Null,
            });
        }
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.map(|item| self.value(&item, depth + 1));
                Ok(Value::from(items.collect::<Result<Vec<_>, _>>()?))
            }
            ValueKind::Map => {
                let mut members = Object::default();
                for key in value.try_iter()? {
                    let name = key.to_str().ok_or_else(|| no_json(&key))?;
                    self.bytes += name.len();
                    let member = self.value(&value.get_item(&key)?, depth + 1)?;
                    members.insert(name, member);
                }
                Ok(Value::Object(Arc::new(members)))
            }
            _ => Err(no_json(value)),
        }
    }
}

fn number(value: &Jinja) -> Result<Value, Error> {
    if !value.is_integer() {
        let number = f64::try_from(value.clone())?;
        return Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "expected a finite number, found one that is not"));
    }
    if let Ok(integer) = i64::try_from(value.clone()) {
        return Ok(Value::from(integer));
    }
    u64::try_from(value.clone())
        .map(Value::from)
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, "expected an integer of 64 bits, found a larger one"))
}

fn no_json(value: &Jinja) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("expected a value with a JSON form, found {}", kind(value)))
}

/// The name of a value's type, as messages say it.
pub(super) fn kind(value: &Jinja) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "an undefined value",
        ValueKind::None => "null",
        ValueKind::Bool => "a boolean",
        ValueKind::Number => "a number",
        ValueKind::String => "a string",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map if value.downcast_object_ref::<NodeObject>().is_some() => "a node",
        ValueKind::Map => "an object",
        _ => "a function or macro",
    }
}
