//! Server-sent events, read as the bytes come: cut anywhere, within a character too.

use std::collections::VecDeque;

/// The most bytes of one event. A whole picture in an answer fits; an endless line does not.
const MOST: usize = 16 << 20;

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty where none was sent.
    pub name: String,
    /// Its lines of data, joined.
    pub data: String,
    /// Its id, where one was sent with it.
    pub id: Option<String>,
}

/// An event has more bytes than any answer needs.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

/// Turns bytes into events. Comments and retry times are left out: nobody here reads them.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    name: String,
    data: String,
    id: Option<String>,
    has_data: bool,
    /// A line end that a following line feed belongs to.
    after_return: bool,
    has_begun: bool,
}

impl Parser {
    /// Takes the next bytes, and adds the events that they complete.
    ///
    /// # Errors
    /// When an event has more than 16 MiB.
    pub fn feed(&mut self, mut bytes: &[u8], events: &mut VecDeque<Event>) -> Result<(), TooLong> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                break;
            };
            self.line.extend_from_slice(&bytes[..end]);
            self.after_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(events);
        }
        if self.line.len() + self.data.len() > MOST { Err(TooLong) } else { Ok(()) }
    }

    /// The event that the end of the stream cut short, if there is one. Servers leave out the last empty line.
    pub fn finish(mut self) -> Option<Event> {
        let mut events = VecDeque::new();
        if !self.line.is_empty() {
            self.end_line(&mut events);
        }
        self.end_event(&mut events);
        events.pop_front()
    }

    fn end_line(&mut self, events: &mut VecDeque<Event>) {
        let line = std::mem::take(&mut self.line);
        let bytes = if self.has_begun { &line[..] } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line) };
        self.has_begun = true;
        if bytes.is_empty() {
            self.end_event(events);
        } else {
            let text = String::from_utf8_lossy(bytes);
            let (field, value) = text.split_once(':').unwrap_or((&text, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => {
                    if self.has_data {
                        self.data.push('\n');
                    }
                    self.data.push_str(value);
                    self.has_data = true;
                }
                "event" => value.clone_into(&mut self.name),
                "id" => self.id = Some(value.to_owned()),
                _ => {}
            }
        }
        // Its room is used again.
        self.line = line;
        self.line.clear();
    }

    fn end_event(&mut self, events: &mut VecDeque<Event>) {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        let id = self.id.take();
        if std::mem::take(&mut self.has_data) {
            events.push_back(Event { name, data, id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\r\ndata: {\"a\": \"ä\u{1f600}\"}\r\n\r\nevent: ping\rid: 7\rdata:\r\rdata: one\ndata:  two\nretry: 5\n\n: only a comment\n\ndata: [DONE]";

    fn expected() -> Vec<Event> {
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned(), id: None };
        let ping = Event { id: Some("7".to_owned()), ..event("ping", "") };
        vec![event("", "{\"a\": \"ä\u{1f600}\"}"), ping, event("", "one\n two"), event("", "[DONE]")]
    }

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
        let (mut parser, mut events) = (Parser::default(), VecDeque::new());
        for piece in pieces {
            parser.feed(piece, &mut events).unwrap();
        }
        events.extend(parser.finish());
        events.into()
    }

    #[test]
    fn events_are_the_same_wherever_the_bytes_are_cut() {
        let bytes = STREAM.as_bytes();
        assert_eq!(read([bytes]), expected());
        assert_eq!(read(bytes.chunks(1)), expected());
        for cut in 0..bytes.len() {
            assert_eq!(read([&bytes[..cut], &bytes[cut..]]), expected(), "cut at {cut}");
        }
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let (mut parser, mut events) = (Parser::default(), VecDeque::new());
        let piece = vec![b'x'; 1 << 20];
        let fed = (0..64).map(|_| parser.feed(&piece, &mut events)).find(Result::is_err);
        assert_eq!(fed, Some(Err(TooLong)));
    }
}
