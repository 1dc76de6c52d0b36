//! Passages of documents, as models read them: numbered from 1.

use liteagent_engine::value::Value;

/// The passages with their numbers, each below what is known of where it stands.
pub(crate) fn numbered(passages: &[Value]) -> String {
    let passage = |(index, passage): (usize, &Value)| {
        let head = place(passage);
        let content = passage.get("content").and_then(Value::as_str).unwrap_or_default().trim();
        let head = if head.is_empty() { head } else { format!("{head}\n") };
        format!("[{}] {head}{content}", index + 1)
    };
    passages.iter().enumerate().map(passage).collect::<Vec<_>>().join("\n\n")
}

/// Title, headings and page of a passage, where it has them.
fn place(passage: &Value) -> String {
    let title = passage.get("title").and_then(Value::as_str).unwrap_or_default();
    let mut place = title.to_owned();
    for heading in passage.get("headings").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str)
    {
        if heading != title {
            place.push_str(if place.is_empty() { "" } else { " > " });
            place.push_str(heading);
        }
    }
    match passage.get("page").and_then(Value::as_i64) {
        Some(page) if place.is_empty() => format!("page {page}"),
        Some(page) => format!("{place}, page {page}"),
        None => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_say_where_they_stand() {
        let passages = serde_json::json!([
            { "content": " one ", "title": "Guide", "headings": ["Guide", "Tea"], "page": 3 },
            { "content": "two" },
        ]);
        let passages = Value::from(passages);
        assert_eq!(numbered(passages.as_list().unwrap_or_default()), "[1] Guide > Tea, page 3\none\n\n[2] two");
    }
}
