//! A declared type, taken apart.

use serde_json::{Map, Value as Json};

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    String,
    Integer,
    Number,
    Boolean,
    Object,
    /// A list of anything, or of `items`.
    Array,
    File,
    Any,
}

/// The names of the kinds, as authors write them.
pub(super) const NAMES: [(&str, Base); 8] = [
    ("string", Base::String),
    ("integer", Base::Integer),
    ("number", Base::Number),
    ("boolean", Base::Boolean),
    ("object", Base::Object),
    ("file", Base::File),
    ("any", Base::Any),
    ("array", Base::Array),
];

impl Base {
    /// The name as authors write it.
    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, base)| *base == self).map_or("any", |(name, _)| name)
    }

    /// What a message expects.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Object => "an object",
            Self::Array => "a list",
            Self::File => "a file",
            Self::Any => "a value",
        }
    }
}

/// A type: `lists` lists around a kind, with the rules of its long form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<'t> {
    pub base: Base,
    pub lists: usize,
    pub optional: bool,
    rules: Option<&'t Map<String, Json>>,
    /// Whether this is the declaration itself, and not the items of its list: `minItems` and `default` are its own.
    pub outer: bool,
}

impl<'t> Form<'t> {
    /// Takes a declaration apart. What is not a type is taken for `any`: it was reported when it was read.
    pub(super) fn of(json: &'t Json) -> Self {
        let rules = json.as_object();
        let name = match rules {
            Some(rules) => rules.get("type").and_then(Json::as_str).unwrap_or("any"),
            None => json.as_str().unwrap_or("any"),
        };
        let (base, lists, question) = parse_name(name).unwrap_or((Base::Any, 0, false));
        let optional = question || rules.is_some_and(|rules| rules.get("optional") == Some(&Json::Bool(true)));
        Self { base, lists, optional, rules, outer: true }
    }

    /// A rule of the long form.
    pub(super) fn rule(&self, key: &str) -> Option<&'t Json> {
        self.rules?.get(key)
    }

    /// Whether the values are lists.
    pub(super) fn is_list(&self) -> bool {
        self.lists > 0 || self.base == Base::Array
    }

    /// The type of the items of a list.
    pub(super) fn items(&self) -> Form<'t> {
        if self.lists > 0 {
            return Form { lists: self.lists - 1, optional: false, outer: false, ..*self };
        }
        self.rule("items")
            .map_or(Form { base: Base::Any, lists: 0, optional: false, rules: None, outer: true }, Form::of)
    }

    /// The members that are declared, each with its type.
    pub(super) fn members(&self) -> impl Iterator<Item = (&'t str, Form<'t>)> + use<'t> {
        let members = self.rule("properties").and_then(Json::as_object);
        members.into_iter().flatten().map(|(name, json)| (name.as_str(), Form::of(json)))
    }
}

/// `string[]?` to its parts.
pub(super) fn parse_name(name: &str) -> Option<(Base, usize, bool)> {
    let (name, optional) = name.strip_suffix('?').map_or((name, false), |rest| (rest, true));
    let stem = name.trim_end_matches("[]");
    let (_, base) = NAMES.iter().find(|(known, _)| *known == stem)?;
    Some((*base, (name.len() - stem.len()) / 2, optional))
}
