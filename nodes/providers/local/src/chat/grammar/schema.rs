//! A JSON Schema as values that may come.

use serde_json::{Map, Value};

/// How deep schemas and free values may be nested.
pub(super) const DEEPEST: usize = 32;

/// The values of a schema, and those inside them.
pub(super) struct Schema {
    kinds: Vec<Kind>,
    /// The shortest text of each kind.
    shortest: Vec<Vec<u8>>,
    root: Id,
}

/// Any value: every schema has it first.
const ANY: Id = 0;
/// `true`, `false` and `null`.
pub(super) const WORDS: Id = 1;

/// Names a [`Kind`].
pub(super) type Id = u32;

/// What a value may be.
pub(super) enum Kind {
    /// One of these texts of JSON.
    Literals(Vec<Vec<u8>>),
    /// A text of at most so many characters.
    Text {
        most: Option<u32>,
    },
    Number {
        integer: bool,
    },
    /// These members, in order.
    Object(Vec<Member>),
    /// Members with any names.
    Map {
        values: Id,
    },
    List {
        items: Id,
        least: u32,
        most: Option<u32>,
    },
    /// One of several kinds.
    Either(Vec<Id>),
    /// Any value.
    Any,
}

/// A member of an object.
pub(super) struct Member {
    /// Its name as JSON, and a colon.
    pub(super) key: Vec<u8>,
    pub(super) value: Id,
    pub(super) required: bool,
}

impl Schema {
    /// The error says what cannot be held.
    pub(super) fn read(schema: &Value) -> Result<Self, String> {
        let mut read = Self { kinds: Vec::new(), shortest: Vec::new(), root: ANY };
        read.keep(Kind::Any);
        read.keep(literals(&["true", "false", "null"]));
        read.root = read.add(schema, DEEPEST)?;
        Ok(read)
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn kind(&self, id: Id) -> &Kind {
        &self.kinds[id as usize]
    }

    pub(super) fn shortest(&self, id: Id) -> &[u8] {
        &self.shortest[id as usize]
    }

    fn keep(&mut self, kind: Kind) -> Id {
        let shortest = match &kind {
            Kind::Literals(texts) => texts.iter().min_by_key(|text| text.len()).cloned().unwrap_or_default(),
            Kind::Text { .. } => b"\"\"".to_vec(),
            Kind::Number { .. } => b"0".to_vec(),
            Kind::Map { .. } => b"{}".to_vec(),
            Kind::Any => b"null".to_vec(),
            Kind::Object(members) => {
                let required = members.iter().filter(|member| member.required);
                let texts = required.map(|member| [&member.key, self.shortest(member.value)].concat());
                [b"{", texts.collect::<Vec<_>>().join(&b',').as_slice(), b"}"].concat()
            }
            Kind::List { items, least, .. } => {
                let texts = vec![self.shortest(*items); *least as usize];
                [b"[", texts.join(&b',').as_slice(), b"]"].concat()
            }
            Kind::Either(kinds) => {
                kinds.iter().map(|kind| self.shortest(*kind)).min_by_key(|text| text.len()).unwrap_or_default().to_vec()
            }
        };
        self.kinds.push(kind);
        self.shortest.push(shortest);
        self.kinds.len() as Id - 1
    }

    fn add(&mut self, schema: &Value, depth: usize) -> Result<Id, String> {
        let Value::Object(schema) = schema else {
            return match schema {
                Value::Bool(true) => Ok(ANY),
                other => Err(format!("no value fits the schema `{other}`")),
            };
        };
        let Some(depth) = depth.checked_sub(1) else {
            return Err(format!("expected at most {DEEPEST} levels"));
        };
        if let Some(reference) = schema.get("$ref") {
            return Err(format!("expected a schema without references, found {reference}"));
        }
        if let Some(value) = schema.get("const") {
            return Ok(self.keep(Kind::Literals(vec![value.to_string().into_bytes()])));
        }
        if let Some(values) = schema.get("enum") {
            let values = values.as_array().filter(|values| !values.is_empty());
            let values = values.ok_or("expected at least one value in `enum`")?;
            return Ok(self.keep(Kind::Literals(values.iter().map(|value| value.to_string().into_bytes()).collect())));
        }
        if let Some(either) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            let either = either.as_array().filter(|either| !either.is_empty()).ok_or("expected schemas in `anyOf`")?;
            let kinds = either.iter().map(|schema| self.add(schema, depth)).collect::<Result<_, _>>()?;
            return Ok(self.keep(Kind::Either(kinds)));
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.of_type(name, schema, depth),
            Some(Value::Array(names)) if !names.is_empty() => {
                let of = |name: &Value| self.of_type(name.as_str().unwrap_or_default(), schema, depth);
                let kinds = names.iter().map(of).collect::<Result<_, _>>()?;
                Ok(self.keep(Kind::Either(kinds)))
            }
            Some(other) => Err(format!("expected a type, found {other}")),
            None if schema.contains_key("properties") => self.of_type("object", schema, depth),
            None if schema.contains_key("items") => self.of_type("array", schema, depth),
            None => Ok(ANY),
        }
    }

    fn of_type(&mut self, name: &str, schema: &Map<String, Value>, depth: usize) -> Result<Id, String> {
        let count = |name: &str| schema.get(name).and_then(Value::as_u64).map(|count| count.min(1 << 20) as u32);
        let kind = match name {
            "string" => Kind::Text { most: count("maxLength") },
            "integer" => Kind::Number { integer: true },
            "number" => Kind::Number { integer: false },
            "boolean" => literals(&["true", "false"]),
            "null" => literals(&["null"]),
            "array" => {
                let items = schema.get("items").map_or(Ok(ANY), |items| self.add(items, depth))?;
                Kind::List { items, least: count("minItems").unwrap_or_default().min(1000), most: count("maxItems") }
            }
            "object" => self.object(schema, depth)?,
            other => return Err(format!("expected a type of JSON Schema, found `{other}`")),
        };
        if let Kind::List { least, most: Some(most), .. } = &kind
            && least > most
        {
            return Err(format!("no list has at least {least} and at most {most} items"));
        }
        Ok(self.keep(kind))
    }

    fn object(&mut self, schema: &Map<String, Value>, depth: usize) -> Result<Kind, String> {
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut required: Vec<&str> = required.collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut members = Vec::new();
        for (name, value) in properties.into_iter().flatten() {
            let value = self.add(value, depth)?;
            members.push(Member { key: key(name), value, required: required.contains(&name.as_str()) });
            required.retain(|required| required != name);
        }
        for name in required {
            members.push(Member { key: key(name), value: ANY, required: true });
        }
        if !members.is_empty() {
            return Ok(Kind::Object(members));
        }
        Ok(match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => Kind::Object(members),
            Some(values @ Value::Object(_)) => Kind::Map { values: self.add(values, depth)? },
            _ => Kind::Map { values: ANY },
        })
    }
}

fn key(name: &str) -> Vec<u8> {
    format!("{}:", Value::from(name)).into_bytes()
}

fn literals(texts: &[&str]) -> Kind {
    Kind::Literals(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
}
