//! Questions with their answers.

use liteagent_engine::{capability::knowledge::Chunk, node::prelude::*};

/// The pairs of a list, or of a text.
pub(super) fn read(value: &Value) -> Result<Vec<Chunk>, NodeError> {
    let pairs = match value {
        Value::List(pairs) => pairs.iter().map(of_list).collect::<Result<Vec<_>, _>>()?,
        Value::String(text) => of_text(text),
        object => object.get("text").and_then(Value::as_str).map(of_text).unwrap_or_default(),
    };
    if pairs.is_empty() {
        return Err(wrong(format!("expected questions with their answers, found none in {}", value.kind())));
    }
    Ok(pairs.into_iter().map(|(question, answer)| chunk(question, &answer)).collect())
}

fn chunk(question: String, answer: &str) -> Chunk {
    Chunk { passage: Some(format!("{question}\n{answer}").into()), text: question, ..Chunk::default() }
}

fn wrong(message: String) -> NodeError {
    NodeError::new(codes::CHUNK_TEXT, ErrorClass::Invalid, message).hint(
        "write lines as `Q: …` and `A: …`, a table with the columns `question` and `answer`, or give a list of `{ question, answer }`",
    )
}

fn of_list(value: &Value) -> Result<(String, String), NodeError> {
    let text = |name| value.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    match (text("question"), text("answer")) {
        (Some(question), Some(answer)) => Ok((question.trim().to_owned(), answer.trim().to_owned())),
        _ => Err(wrong(format!("expected an object with `question` and `answer`, found {}", value.kind()))),
    }
}

fn of_text(text: &str) -> Vec<(String, String)> {
    let of_lines = of_lines(text);
    if of_lines.is_empty() { of_table(text) } else { of_lines }
}

/// What a line begins with, without its mark.
fn begins<'a>(line: &'a str, marks: &[&str]) -> Option<&'a str> {
    let bare = line.trim_start().trim_start_matches(['*', '#', '-', ' ']);
    let mark =
        marks.iter().find(|mark| bare.get(..mark.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(mark)))?;
    let rest = bare[mark.len()..].trim_start_matches('*').trim_start();
    Some(rest.strip_prefix(':')?.trim_start_matches('*').trim())
}

fn of_lines(text: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut in_answer = false;
    for line in text.lines() {
        if let Some(question) = begins(line, &["question", "q"]) {
            pairs.push((question.to_owned(), String::new()));
            in_answer = false;
        } else if let Some((question, answer)) = pairs.last_mut() {
            let (into, line) = match begins(line, &["answer", "a"]) {
                Some(line) if !in_answer => {
                    in_answer = true;
                    (answer, line)
                }
                _ if in_answer => (answer, line),
                _ => (question, line),
            };
            into.push('\n');
            into.push_str(line);
        }
    }
    let trimmed = |(question, answer): (String, String)| (question.trim().to_owned(), answer.trim().to_owned());
    pairs.into_iter().map(trimmed).filter(|(question, answer)| !question.is_empty() && !answer.is_empty()).collect()
}

/// The rows of a Markdown table with the columns `question` and `answer`.
fn of_table(text: &str) -> Vec<(String, String)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut rows = text.lines().filter(|line| line.contains('|')).map(cells);
    let column = |head: &[String], name: &str| head.iter().position(|cell| cell.eq_ignore_ascii_case(name));
    let columns = rows.by_ref().find_map(|head| Some((column(&head, "question")?, column(&head, "answer")?)));
    let Some((question, answer)) = columns else { return Vec::new() };
    let is_line = |cell: &String| cell.chars().all(|letter| matches!(letter, '-' | ':'));
    rows.filter_map(|row| Some((row.get(question)?.clone(), row.get(answer)?.clone())))
        .filter(|(question, answer)| !is_line(question) && !is_line(answer))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_in_lines_and_tables() {
        let pairs = |text: &str| of_text(text).into_iter().map(|(q, a)| format!("{q} => {a}")).collect::<Vec<_>>();
        assert_eq!(
            pairs(
                "intro\n**Q:** One?\nreally\n**A:** Yes.\nA: and more\n\n### Question: Two?\nAnswer: No.\nQ: unanswered"
            ),
            ["One?\nreally => Yes.\nA: and more", "Two? => No."]
        );
        assert_eq!(pairs("| Answer | Question |\n|---|---|\n| Nine. | When? |\n| | Lost? |"), ["When? => Nine."]);
        assert_eq!(pairs("no questions here | there"), [""; 0]);
    }
}
