//! Fields that take a list.

use liteagent_engine::{node::prelude::*, template};

/// Refuses a literal that is no list.
///
/// # Errors
/// LA1117 with the field.
pub(crate) fn check(field: &str, tree: &TemplateTree) -> Result<(), ConfigError> {
    let literal = tree.source();
    let fits = match literal {
        Value::List(_) => true,
        Value::String(text) => template::is_template(text),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let message = format!("expected a list or a template that gives one, found {}", literal.kind());
    Err(ConfigError::new(codes::NOT_A_LIST_CONFIG, format!("/{field}"), message)
        .hint(format!("write `{field}: \"{{{{ ... }}}}\"`, or the items between `[` and `]`")))
}

/// The items of a rendered field; `null` counts as an empty list.
///
/// # Errors
/// LA2102 for anything else.
pub(crate) fn read(field: &str, value: Value) -> Result<Arc<Vec<Value>>, NodeError> {
    match value {
        Value::List(items) => Ok(items),
        Value::Null => Ok(Arc::default()),
        other => {
            let message = format!("expected a list for `{field}`, found {}", other.kind());
            Err(NodeError::new(codes::NOT_A_LIST, ErrorClass::Invalid, message).hint(format!(
                "let `{field}` be a lone `{{{{ ... }}}}` that gives a list; text is read with `| fromjson`"
            )))
        }
    }
}
