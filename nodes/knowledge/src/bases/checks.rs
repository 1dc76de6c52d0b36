//! What names, documents and vectors must look like.

use liteagent_engine::{
    capability::knowledge::{Base, NewBase, WriteDocument},
    codes,
    error::{ErrorClass, NodeError},
    value::{Object, Value},
};

/// The longest name of a base, in bytes.
const LONGEST_NAME: usize = 100;
/// The longest id of a document, in bytes.
const LONGEST_ID: usize = 1_024;
/// The longest vectors.
const MOST_DIMENSIONS: u32 = 65_536;
/// How much metadata a document has at most, as JSON in bytes.
const LARGEST_METADATA: usize = 64 << 10;
/// The text that stands for the id of a document where no other does.
const AN_ID: &str = "an id of 1 to 1,024 bytes without control characters";

pub(super) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> NodeError {
    let known: Vec<String> = known.map(|known| format!("`{known}`")).collect();
    let expected = match known.len() {
        0 => "expected the name of a knowledge base, of which there is none yet".to_owned(),
        _ => format!("expected one of the knowledge bases {}", known.join(", ")),
    };
    NodeError::new(codes::KNOWLEDGE_UNKNOWN, ErrorClass::NotFound, format!("{expected}, found `{name}`"))
        .hint("make it by indexing documents into it, or write the name of one that is there")
}

pub(super) fn no_document(base: &str, id: &str) -> NodeError {
    let message = format!("expected a document of the knowledge base `{base}`, found none with the id `{id}`");
    NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::NotFound, message).hint("list its documents to see their ids")
}

pub(super) fn no_chunk(id: &str, position: u32) -> NodeError {
    let message = format!("expected a chunk of the document `{id}`, found none at position {position}");
    NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::NotFound, message)
        .hint("list its chunks: they change when the document is indexed again")
}

/// A base got another collection while something was done in the one before.
pub(super) fn moved(base: &str) -> NodeError {
    let message =
        format!("expected the knowledge base `{base}` as it was, found that it was rebuilt or deleted meanwhile");
    NodeError::new(codes::KNOWLEDGE_MODEL, ErrorClass::Conflict, message).hint("do it again, with its model of now")
}

fn invalid(message: String, hint: &str) -> NodeError {
    NodeError::new(codes::KNOWLEDGE_INVALID, ErrorClass::Invalid, message).hint(hint)
}

pub(super) fn new_base(base: &NewBase) -> Result<(), NodeError> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let name = &base.name;
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(fits) {
        let message = format!("expected the name of a knowledge base, 1 to {LONGEST_NAME} bytes, found `{name}`");
        return Err(invalid(message, "use letters, digits, `-`, `_` and `.`"));
    }
    let language = &base.language;
    if !matches!(language.len(), 2 | 3) || !language.bytes().all(|letter| letter.is_ascii_lowercase()) {
        let message = format!("expected a language as ISO 639-1 has it, found `{language}`");
        return Err(invalid(message, "write `en`, `de` or `fr`"));
    }
    dimensions(base.dimensions)
}

pub(super) fn dimensions(found: u32) -> Result<(), NodeError> {
    if (1..=MOST_DIMENSIONS).contains(&found) {
        return Ok(());
    }
    let message = format!("expected vectors of 1 to {MOST_DIMENSIONS} numbers, found {found}");
    Err(invalid(message, "name a model that makes vectors"))
}

pub(super) fn id(id: &str) -> Result<(), NodeError> {
    if id.is_empty() || id.len() > LONGEST_ID || id.chars().any(char::is_control) {
        let shown: String = id.chars().filter(|letter| !letter.is_control()).take(80).collect();
        return Err(invalid(format!("expected {AN_ID}, found `{shown}` of {} bytes", id.len()), "use a path or a URL"));
    }
    Ok(())
}

/// Whether filters see every value: texts, numbers, booleans, and lists of texts.
pub(super) fn metadata(metadata: &Object) -> Result<(), NodeError> {
    let fits = |value: &Value| match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::List(members) => members.iter().all(|member| member.as_str().is_some()),
        Value::Object(_) => false,
    };
    if let Some((key, value)) = metadata.iter().find(|(_, value)| !fits(value)) {
        let found = value.kind();
        let message =
            format!("expected a text, a number, a boolean or a list of texts in the metadata `{key}`, found {found}");
        return Err(invalid(message, "give each field a key of its own: `author_name` instead of `author: { name }`"));
    }
    let size = serde_json::to_string(metadata).map_or(usize::MAX, |text| text.len());
    if size > LARGEST_METADATA {
        let message = format!("expected metadata of at most {LARGEST_METADATA} bytes, found {size}");
        return Err(invalid(message, "keep in it only what filters need"));
    }
    Ok(())
}

fn other_vectors(message: String) -> NodeError {
    NodeError::new(codes::KNOWLEDGE_MODEL, ErrorClass::Invalid, message)
        .hint("use the model of the base everywhere, or rebuild the base with the other model")
}

/// Whether vectors are of the model of a base.
pub(super) fn model(base: &Base, found: &str) -> Result<(), NodeError> {
    if found == base.model {
        return Ok(());
    }
    let Base { name, model, .. } = base;
    Err(other_vectors(format!(
        "expected vectors of `{model}`, the model of the knowledge base `{name}`, found those of `{found}`"
    )))
}

/// Whether a vector has the form that the vectors of a base have.
pub(super) fn vector(base: &Base, vector: &[f32]) -> Result<(), NodeError> {
    let Base { name, dimensions, .. } = base;
    if vector.len() != *dimensions as usize {
        let found = vector.len();
        let message =
            format!("expected vectors of {dimensions} numbers for the knowledge base `{name}`, found {found}");
        return Err(other_vectors(message));
    }
    if vector.iter().any(|number| !number.is_finite()) {
        let message =
            format!("expected vectors of finite numbers for the knowledge base `{name}`, found one with others");
        return Err(other_vectors(message));
    }
    Ok(())
}

pub(super) fn document(document: &WriteDocument) -> Result<(), NodeError> {
    id(&document.id)?;
    metadata(&document.metadata)?;
    if document.chunks.len() != document.vectors.len() {
        let message = format!(
            "expected one vector a chunk of the document `{}`, found {} vectors for {} chunks",
            document.id,
            document.vectors.len(),
            document.chunks.len()
        );
        return Err(NodeError::new(codes::KNOWLEDGE_MODEL, ErrorClass::Invalid, message)
            .hint("embed every chunk before the document is written"));
    }
    Ok(())
}
