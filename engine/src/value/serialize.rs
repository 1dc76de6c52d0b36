//! Turns what serde can serialise into a [`Value`], without copying the values in it.
//!
//! A [`Value`] presents itself as a newtype of a name that nobody else uses. Other serialisers pass through it; ours
//! takes the value itself. The name alone carries no value, so the value is left in a slot for the length of one call.

use std::{cell::RefCell, fmt, sync::Arc};

use serde::{Serialize, Serializer, ser};

use super::{Number, Object, Value};

const NAME: &str = "\0liteagent::Value";

thread_local! {
    static SLOT: RefCell<Slot> = const { RefCell::new(Slot::Closed) };
}

enum Slot {
    Closed,
    Open,
    Holds(Value),
}

/// A value inside its newtype.
struct Inside<'a>(&'a Value);

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &Inside(self))
    }
}

impl Serialize for Inside<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use ser::{SerializeMap as _, SerializeSeq as _};

        let taken = SLOT.with_borrow_mut(|slot| {
            let open = matches!(slot, Slot::Open);
            if open {
                *slot = Slot::Holds(self.0.clone());
            }
            open
        });
        match self.0 {
            _ if taken => serializer.serialize_unit(),
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Number(value) => value.serialize(serializer),
            Value::String(value) => serializer.serialize_str(value),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Object(members) => {
                let mut map = serializer.serialize_map(Some(members.len()))?;
                for (key, value) in members.iter() {
                    map.serialize_entry(&**key, value)?;
                }
                map.end()
            }
        }
    }
}

/// Why something has no JSON form.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoJson(String);

impl ser::Error for NoJson {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Serialises into a [`Value`].
pub(super) struct ToValue;

impl Serializer for ToValue {
    type Ok = Value;
    type Error = NoJson;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Variant<Items>;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Variant<Members>;

    fn serialize_bool(self, value: bool) -> Result<Value, NoJson> {
        Ok(Value::Bool(value))
    }
    fn serialize_i8(self, value: i8) -> Result<Value, NoJson> {
        self.serialize_i64(value.into())
    }
    fn serialize_i16(self, value: i16) -> Result<Value, NoJson> {
        self.serialize_i64(value.into())
    }
    fn serialize_i32(self, value: i32) -> Result<Value, NoJson> {
        self.serialize_i64(value.into())
    }
    fn serialize_i64(self, value: i64) -> Result<Value, NoJson> {
        Ok(Value::from(value))
    }
    fn serialize_u8(self, value: u8) -> Result<Value, NoJson> {
        self.serialize_u64(value.into())
    }
    fn serialize_u16(self, value: u16) -> Result<Value, NoJson> {
        self.serialize_u64(value.into())
    }
    fn serialize_u32(self, value: u32) -> Result<Value, NoJson> {
        self.serialize_u64(value.into())
    }
    fn serialize_u64(self, value: u64) -> Result<Value, NoJson> {
        Ok(Value::from(value))
    }
    fn serialize_f32(self, value: f32) -> Result<Value, NoJson> {
        self.serialize_f64(value.into())
    }
    fn serialize_f64(self, value: f64) -> Result<Value, NoJson> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| NoJson(format!("{value} is no number of JSON")))
    }
    fn serialize_char(self, value: char) -> Result<Value, NoJson> {
        Ok(Value::from(value.to_string()))
    }
    fn serialize_str(self, value: &str) -> Result<Value, NoJson> {
        Ok(Value::from(value))
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<Value, NoJson> {
        Ok(Value::from(value.iter().map(|byte| Value::from(u64::from(*byte))).collect::<Vec<_>>()))
    }
    fn serialize_none(self) -> Result<Value, NoJson> {
        Ok(Value::Null)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, NoJson> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, NoJson> {
        Ok(Value::Null)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, NoJson> {
        Ok(Value::Null)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Value, NoJson> {
        Ok(Value::from(variant))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<Value, NoJson> {
        if name != NAME {
            return value.serialize(self);
        }
        SLOT.set(Slot::Open);
        let told = value.serialize(self);
        match SLOT.replace(Slot::Closed) {
            Slot::Holds(value) => Ok(value),
            Slot::Open | Slot::Closed => told,
        }
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, NoJson> {
        Ok(Value::from_pairs([(variant, value.serialize(self)?)]))
    }
    fn serialize_seq(self, length: Option<usize>) -> Result<Items, NoJson> {
        Ok(Items(Vec::with_capacity(length.unwrap_or_default().min(4096))))
    }
    fn serialize_tuple(self, length: usize) -> Result<Items, NoJson> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Items, NoJson> {
        self.serialize_seq(Some(length))
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        length: usize,
    ) -> Result<Variant<Items>, NoJson> {
        Ok(Variant { name, inside: self.serialize_seq(Some(length))? })
    }
    fn serialize_map(self, length: Option<usize>) -> Result<Members, NoJson> {
        Ok(Members { members: Object::with_capacity(length.unwrap_or_default().min(4096)), key: None })
    }
    fn serialize_struct(self, _: &'static str, length: usize) -> Result<Members, NoJson> {
        self.serialize_map(Some(length))
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        length: usize,
    ) -> Result<Variant<Members>, NoJson> {
        Ok(Variant { name, inside: self.serialize_map(Some(length))? })
    }
}

/// A list that is being written.
pub(super) struct Items(Vec<Value>);

/// An object that is being written.
pub(super) struct Members {
    members: Object,
    key: Option<Arc<str>>,
}

/// A variant of an enum: an object with its name.
pub(super) struct Variant<T> {
    name: &'static str,
    inside: T,
}

impl Items {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        self.0.push(value.serialize(ToValue)?);
        Ok(())
    }
}

impl Members {
    fn add<T: Serialize + ?Sized>(&mut self, key: impl Into<Arc<str>>, value: &T) -> Result<(), NoJson> {
        self.members.insert(key.into(), value.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Value {
        Value::Object(Arc::new(self.members))
    }
}

impl ser::SerializeSeq for Items {
    type Ok = Value;
    type Error = NoJson;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        self.add(value)
    }
    fn end(self) -> Result<Value, NoJson> {
        Ok(Value::from(self.0))
    }
}

impl ser::SerializeTuple for Items {
    type Ok = Value;
    type Error = NoJson;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        self.add(value)
    }
    fn end(self) -> Result<Value, NoJson> {
        Ok(Value::from(self.0))
    }
}

impl ser::SerializeTupleStruct for Items {
    type Ok = Value;
    type Error = NoJson;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        self.add(value)
    }
    fn end(self) -> Result<Value, NoJson> {
        Ok(Value::from(self.0))
    }
}

impl ser::SerializeTupleVariant for Variant<Items> {
    type Ok = Value;
    type Error = NoJson;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        self.inside.add(value)
    }
    fn end(self) -> Result<Value, NoJson> {
        Ok(Value::from_pairs([(self.name, Value::from(self.inside.0))]))
    }
}

impl ser::SerializeMap for Members {
    type Ok = Value;
    type Error = NoJson;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NoJson> {
        self.key = Some(match key.serialize(ToValue)? {
            Value::String(text) => text,
            key @ (Value::Number(_) | Value::Bool(_)) => key.to_string().into(),
            other => return Err(NoJson(format!("expected a text as key, found {}", other.kind()))),
        });
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoJson> {
        let key = self.key.take().ok_or_else(|| NoJson("expected a key before its value".to_owned()))?;
        self.add(key, value)
    }
    fn end(self) -> Result<Value, NoJson> {
        Ok(self.finish())
    }
}

impl ser::SerializeStruct for Members {
    type Ok = Value;
    type Error = NoJson;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), NoJson> {
        self.add(key, value)
    }
    fn end(self) -> Result<Value, NoJson> {
        Ok(self.finish())
    }
}

impl ser::SerializeStructVariant for Variant<Members> {
    type Ok = Value;
    type Error = NoJson;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), NoJson> {
        self.inside.add(key, value)
    }
    fn end(self) -> Result<Value, NoJson> {
        Ok(Value::from_pairs([(self.name, self.inside.finish())]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::value;

    #[derive(Serialize)]
    struct Output {
        items: Value,
        nested: Option<Vec<Value>>,
        shown: Shown,
        end: End,
    }

    #[derive(Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum End {
        Last { value: Value },
    }

    /// Serialises a value on its way with another serialiser.
    struct Shown(Value);

    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&self.0)
        }
    }

    fn output(items: &Value) -> Output {
        Output {
            items: items.clone(),
            nested: Some(vec![items.clone()]),
            shown: Shown(items.clone()),
            end: End::Last { value: items.clone() },
        }
    }

    #[test]
    fn values_are_handed_on_without_a_copy() {
        let items = value!([1, { "a": null }, "text"]);
        let made = Value::from_serialize(&output(&items)).unwrap();
        let Value::List(list) = &items else { unreachable!() };
        let is_same = |found: &Value| matches!(found, Value::List(found) if Arc::ptr_eq(found, list));
        assert!(is_same(made.get("items").unwrap()));
        assert!(is_same(&made.get("nested").unwrap().as_list().unwrap()[0]));
        assert!(is_same(made.get("end").unwrap().get("value").unwrap()));
    }

    #[test]
    fn it_gives_what_serde_json_gives() {
        let output = output(&value!([1, 2.5, -3, true, { "a": [null] }]));
        let made = Value::from_serialize(&output).unwrap();
        assert_eq!(made.to_json(), serde_json::to_value(&output).unwrap());
        assert_eq!(made.to_string(), serde_json::to_string(&output).unwrap());
        let keys = BTreeMap::from([(1, 'x'), (2, 'y')]);
        assert_eq!(Value::from_serialize(&keys).unwrap().to_json(), serde_json::to_value(&keys).unwrap());
    }

    #[test]
    fn what_has_no_json_form_is_an_error() {
        assert!(Value::from_serialize(&f64::NAN).is_err());
        assert!(Value::from_serialize(&BTreeMap::from([(vec![1], 1)])).is_err());
    }
}
