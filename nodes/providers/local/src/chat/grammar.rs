//! Holds an answer to a JSON Schema while it is written: says which bytes may come next, and how to close what was begun.
//!
//! # Layout
//! - [`schema`]: the schema as values that may come;
//! - `state`: what may come next, byte by byte;
//! - [`mask`]: which tokens may come next.

pub(super) mod mask;
mod schema;
mod state;

use liteagent_engine::{error::NodeError, value::Value};

use self::{
    schema::Schema,
    state::{Item, Stack},
};
use crate::failure;

/// The answer so far, and what may follow.
pub(super) struct Grammar {
    schema: Schema,
    /// Every way in which the answer so far can be read.
    stacks: Vec<Stack>,
}

impl Grammar {
    /// Holds an answer to the schema.
    pub(super) fn new(schema: &Value) -> Result<Self, NodeError> {
        let schema = Schema::read(&schema.to_json()).map_err(failure::schema)?;
        Ok(Self { stacks: vec![vec![Item::Value(schema.root())]], schema })
    }

    /// The answer went on by these bytes, which may come next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.stacks = self.schema.step(&self.stacks, *byte);
        }
    }

    /// Whether the answer may end here.
    pub(super) fn may_end(&self) -> bool {
        self.stacks.iter().any(|stack| Schema::may_end(stack))
    }

    /// Whether nothing can follow.
    pub(super) fn is_over(&self) -> bool {
        self.stacks.iter().all(Vec::is_empty)
    }

    /// The shortest way to end the answer.
    pub(super) fn closing(&self) -> Vec<u8> {
        self.stacks.iter().map(|stack| self.schema.closing(stack)).min_by_key(Vec::len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar(schema: &str) -> Grammar {
        Grammar::new(&Value::from(serde_json::from_str::<serde_json::Value>(schema).unwrap())).unwrap()
    }

    /// How much of a text may come, and whether it may end there.
    fn reads(schema: &str, text: &str) -> (usize, bool) {
        let mut grammar = grammar(schema);
        for (at, byte) in text.bytes().enumerate() {
            let before = grammar.closing();
            grammar.push(&[byte]);
            if grammar.stacks.is_empty() {
                return (at, false);
            }
            // Wherever the answer is cut, it can be closed.
            let closed = [&text.as_bytes()[..at], &before].concat();
            serde_json::from_slice::<serde_json::Value>(&closed)
                .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&closed)));
        }
        (text.len(), grammar.may_end())
    }

    #[track_caller]
    fn fits(schema: &str, texts: &[&str]) {
        for text in texts {
            assert_eq!(reads(schema, text), (text.len(), true), "{text}");
        }
    }

    #[track_caller]
    fn misfits(schema: &str, texts: &[(&str, usize)]) {
        for (text, at) in texts {
            assert_eq!(reads(schema, text), (*at, false), "{text}");
        }
    }

    const INVOICE: &str = r#"{ "type": "object", "required": ["total", "currency"], "properties": {
        "number": { "type": "string", "maxLength": 5 }, "total": { "type": "number" },
        "currency": { "enum": ["EUR", "EURO", "USD"] }, "note": { "type": ["string", "null"] } } }"#;

    #[test]
    fn objects_have_their_members_in_order_and_the_required_ones_always() {
        fits(
            INVOICE,
            &[
                r#"{"number":"A-1","total":12.5,"currency":"EURO","note":null}"#,
                r#"{"total": -0.5, "currency": "EUR", "note": "a \"quoted\" word"}"#,
                r#"{"number": "größe","total":0,"currency":"USD"}"#,
            ],
        );
        misfits(
            INVOICE,
            &[
                (r#"{"total":1}"#, 10),
                (r#"{"currency"#, 2),
                (r#"{"total":1,"note""#, 12),
                (r#"{"number":"123456"#, 16),
                (r#"{"total":01"#, 10),
                (r#"{"total":1,"currency":"GBP""#, 23),
                (r#"{  "total"#, 1),
                (r#"{"total":1,"currency":"EUR"} "#, 28),
                ("{}", 1),
            ],
        );
    }

    #[test]
    fn lists_have_as_many_items_as_they_may() {
        let schema = r#"{ "type": "array", "items": { "type": "integer" }, "minItems": 1, "maxItems": 3 }"#;
        fits(schema, &["[1]", "[-20, 0,3]"]);
        misfits(schema, &[("[]", 1), ("[1,2,3,4", 6), ("[1.5", 2), ("[-0", 2), ("[1,]", 3), ("[1  ", 2)]);
        let nested = r#"{ "type": "array", "items": { "type": "array", "items": { "type": "boolean" } } }"#;
        fits(nested, &["[]", "[[], [true,false]]"]);
        misfits(nested, &[("[true", 1), ("[[tru]", 5)]);
    }

    #[test]
    fn texts_are_whole_characters_and_escapes() {
        let schema = r#"{ "type": "string" }"#;
        fits(schema, &[r#""""#, r#""tab \t € 🙂""#]);
        misfits(schema, &[("\"a\nb", 2), (r#""\x"#, 2), (r#""\u0041""#, 2)]);
        let mut cut = grammar(schema);
        cut.push(b"\"\xf0\x9f");
        let closed = [b"\"\xf0\x9f".as_slice(), &cut.closing()].concat();
        assert!(serde_json::from_slice::<String>(&closed).is_ok(), "a character that was begun is finished");
        // Neither an overlong form, nor half of a pair, nor what is beyond the last character.
        for bad in [&b"\"\xc0"[..], b"\"\xe0\x80", b"\"\xed\xa0", b"\"\xf4\x90", b"\"\x80"] {
            let mut grammar = grammar(schema);
            grammar.push(bad);
            assert!(grammar.stacks.is_empty(), "{bad:?}");
        }
    }

    #[test]
    fn choices_constants_and_anything() {
        let either =
            r#"{ "anyOf": [{ "const": { "a": [1] } }, { "type": "integer" }, { "type": "string", "maxLength": 2 }] }"#;
        fits(either, &[r#"{"a":[1]}"#, "7", r#""ab""#]);
        misfits(either, &[(r#"{"b"#, 2), ("\"abc", 3), ("null", 0)]);
        let any = r#"{ "type": "object", "required": ["x"] }"#;
        fits(any, &[r#"{"x":{"deep":[1,"a",null,{"b":true}],"e":{}}}"#, r#"{"x": []}"#]);
        let map = r#"{ "type": "object", "additionalProperties": { "type": "integer" } }"#;
        fits(map, &["{}", r#"{"a": 1, "b":2}"#]);
        misfits(map, &[(r#"{"a":"#, 5), (r#"{"a":1,}"#, 7), (r#"{"a":"x"#, 5)]);
    }

    #[test]
    fn what_nothing_fits_and_what_cannot_be_held_is_refused() {
        let deep = (0..40).fold("{}".to_owned(), |inner, _| format!(r#"{{ "type": "array", "items": {inner} }}"#));
        for bad in [r#"{ "enum": [] }"#, "false", r##"{ "$ref": "#/x" }"##, r#"{ "type": "date" }"#, "3", &deep] {
            let schema = Value::from(serde_json::from_str::<serde_json::Value>(bad).unwrap());
            let error = Grammar::new(&schema).map(|_| ()).unwrap_err();
            assert_eq!(error.code, liteagent_engine::codes::LOCAL_SCHEMA, "{bad}");
        }
    }

    #[test]
    fn an_answer_is_over_when_nothing_can_follow() {
        let mut object = grammar(r#"{ "type": "object", "properties": {} , "additionalProperties": false }"#);
        assert!(!object.may_end());
        object.push(b"{}");
        assert!(object.is_over() && object.may_end());
        let mut number = grammar(r#"{ "type": "integer" }"#);
        number.push(b"12");
        assert!(number.may_end() && !number.is_over(), "a digit can follow");
    }
}
