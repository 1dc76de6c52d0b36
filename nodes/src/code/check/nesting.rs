//! How deep brackets of JavaScript are nested, before it is parsed: the time that its parser takes grows with the square
//! of that.
//!
//! Reads only as much of the language as that needs. Where a slash may begin a pattern or divide, and it would make a
//! difference, the answer is the careful one.

use std::{iter::Peekable, str::CharIndices};

/// No program of a person nests deeper.
const DEEPEST: usize = 150;

/// Whether brackets are nested too deep, or that cannot be said.
pub(super) fn is_too_deep(code: &str) -> bool {
    Reader { code, letters: code.char_indices().peekable(), open: Vec::new(), before: Before::Start }
        .deepest()
        .is_none_or(|deepest| deepest > DEEPEST)
}

/// What is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Bracket,
    /// `(` after `if`, `while`, `for` or `with`: what follows its end begins a statement.
    Condition,
    /// `${` of a template literal, which goes on when it is closed.
    Template,
}

/// What stands before a slash: whether it divides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    /// A value: it divides.
    Value,
    /// An operator, an opening bracket: a pattern begins.
    Operator,
    /// `if`, `while`, `for` or `with`, or a member of that name.
    Condition,
    /// The end of a condition, `}`, `++` or a word that may be a keyword: either.
    Either,
}

struct Reader<'a> {
    code: &'a str,
    letters: Peekable<CharIndices<'a>>,
    open: Vec<Open>,
    before: Before,
}

impl Reader<'_> {
    /// How deep it gets; `None` when that cannot be said.
    fn deepest(mut self) -> Option<usize> {
        let mut deepest = 0;
        while let Some((at, letter)) = self.letters.next() {
            match letter {
                '(' | '[' | '{' => {
                    let is_condition = letter == '(' && self.before == Before::Condition;
                    self.open.push(if is_condition { Open::Condition } else { Open::Bracket });
                    self.before = Before::Operator;
                }
                ')' | ']' | '}' => {
                    let closed = self.open.pop();
                    let is_value = letter == ']' || letter == ')' && closed == Some(Open::Bracket);
                    self.before = if is_value { Before::Value } else { Before::Either };
                    if letter == '}' && closed == Some(Open::Template) {
                        self.template();
                    }
                }
                '"' | '\'' => self.string(letter),
                '`' => self.template(),
                '/' => self.slash(at)?,
                // A comment in scripts, two operators in modules.
                '<' if self.code[at..].starts_with("<!--") => return None,
                '-' if self.code[at..].starts_with("-->") => return None,
                '#' if at == 0 => self.line(),
                '+' | '-' => {
                    let is_double = self.letters.next_if(|(_, next)| *next == letter).is_some();
                    self.before = if is_double { Before::Either } else { Before::Operator };
                }
                letter if letter.is_alphanumeric() || matches!(letter, '_' | '$' | '\\') => self.word(at),
                letter if letter.is_whitespace() => {}
                _ => self.before = Before::Operator,
            }
            deepest = deepest.max(self.open.len());
        }
        Some(deepest)
    }

    fn word(&mut self, start: usize) {
        let mut end = start + self.code[start..].chars().next().map_or(1, char::len_utf8);
        let part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '$' | '\\');
        while let Some((at, letter)) = self.letters.next_if(|(_, letter)| part(*letter)) {
            end = at + letter.len_utf8();
        }
        let word = &self.code[start..end];
        if matches!(word, "if" | "while" | "for" | "with") || word == "await" && self.before == Before::Condition {
            self.before = Before::Condition;
            return;
        }
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        // After a name it divides; after most keywords a pattern begins.
        let may_be_keyword = !is_number && word.len() <= 10 && word.bytes().all(|letter| letter.is_ascii_lowercase());
        self.before = if may_be_keyword { Before::Either } else { Before::Value };
    }

    fn string(&mut self, quote: char) {
        while let Some((_, letter)) = self.letters.next() {
            match letter {
                '\\' => drop(self.letters.next()),
                // It cannot go on; the parser says so.
                '\n' | '\r' => break,
                letter if letter == quote => break,
                _ => {}
            }
        }
        self.before = Before::Value;
    }

    /// The text of a template literal, up to its end or to `${`.
    fn template(&mut self) {
        self.before = Before::Value;
        while let Some((_, letter)) = self.letters.next() {
            match letter {
                '\\' => drop(self.letters.next()),
                '`' => return,
                '$' if self.letters.next_if(|(_, next)| *next == '{').is_some() => {
                    self.open.push(Open::Template);
                    self.before = Before::Operator;
                    return;
                }
                _ => {}
            }
        }
    }

    fn slash(&mut self, at: usize) -> Option<()> {
        match self.letters.peek().map(|(_, next)| *next) {
            Some('/') => self.line(),
            Some('*') => {
                let end = self.code[at + 2..].find("*/").map_or(self.code.len(), |end| at + 2 + end + 2);
                while self.letters.next_if(|(at, _)| *at < end).is_some() {}
            }
            _ => match self.before {
                Before::Value => self.before = Before::Operator,
                Before::Start | Before::Operator => self.pattern(at),
                Before::Either | Before::Condition if means_the_same(&self.code[at + 1..]) => {
                    self.before = Before::Operator;
                }
                Before::Either | Before::Condition => return None,
            },
        }
        Some(())
    }

    fn line(&mut self) {
        while self.letters.next_if(|(_, letter)| !is_line_end(*letter)).is_some() {}
    }

    fn pattern(&mut self, start: usize) {
        let end = pattern_end(&self.code[start + 1..]).map_or(start + 1, |end| start + 1 + end + 1);
        while self.letters.next_if(|(at, _)| *at < end).is_some() {}
        self.before = Before::Value;
    }
}

fn is_line_end(letter: char) -> bool {
    matches!(letter, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Where a pattern ends whose first slash is before this text; `None` when it is none.
fn pattern_end(text: &str) -> Option<usize> {
    let mut in_class = false;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => drop(letters.next().filter(|(_, next)| !is_line_end(*next))?),
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return Some(at),
            letter if is_line_end(letter) => return None,
            _ => {}
        }
    }
    None
}

/// Whether it makes no difference for brackets and texts if a pattern begins before this text.
fn means_the_same(text: &str) -> bool {
    let Some(end) = pattern_end(text) else { return true };
    let inside = &text[..end];
    let next = text[end + 1..].chars().next();
    !inside.contains(['(', ')', '[', ']', '{', '}', '"', '\'', '`', '\\', '*']) && !matches!(next, Some('/' | '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(code: &str) -> Option<usize> {
        Reader { code, letters: code.char_indices().peekable(), open: Vec::new(), before: Before::Start }.deepest()
    }

    #[test]
    fn brackets_count_where_they_are_code() {
        for (code, expected) in [
            ("f([{a: 1}])", Some(3)),
            (r#""((" + '[[' + "\"((""#, Some(0)),
            ("// ((\n/* [[ */ (1)", Some(1)),
            ("`(( ${ f(`${[1]}`) } ((`", Some(4)),
            ("x = /[(]((\\//.test(y)", Some(1)),
            ("a / b / (c)", Some(1)),
            ("if (a) /b/.test(c)", Some(1)),
            ("const half = (total) / 2; // it's (", Some(1)),
            ("for await (x of y) /[(]/.test(x)", None),
            ("x = {}\n/[(]/.test(y)", None),
            ("return /[(]/", None),
            ("i++ / 2 + (3) / 4", None),
            ("(<!-- )\n(", None),
            ("\u{2028}//\u{2028}((", Some(2)),
            ("a\\u0062 / (1)", Some(1)),
        ] {
            assert_eq!(depth(code), expected, "{code}");
        }
    }

    #[test]
    fn only_what_no_person_writes_is_too_deep() {
        let nested = |count: usize| format!("{}1{}", "(".repeat(count), ")".repeat(count));
        assert!(!is_too_deep(&nested(DEEPEST)));
        assert!(is_too_deep(&nested(DEEPEST + 1)));
        assert!(is_too_deep(&format!("x = a /`/; {}", "(".repeat(1000))), "a text that hides them is none");
    }
}
