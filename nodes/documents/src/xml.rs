//! XML, piece by piece. Entities that a document declares are not expanded, and nothing outside of it is read.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::{encoding::decode, trouble::Trouble};

/// A piece of XML. Names have no prefix.
pub(crate) enum Piece<'a> {
    Start(Tag<'a>),
    End(&'a str),
    Text(&'a str),
}

/// The start of an element.
pub(crate) struct Tag<'a> {
    pub(crate) name: &'a str,
    start: &'a BytesStart<'a>,
}

impl Tag<'_> {
    /// An attribute, whatever its prefix.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.find(|key| local(key) == name)
    }

    /// An attribute that has a prefix: `r:id` where an `id` stands beside it.
    pub(crate) fn get_prefixed(&self, name: &str) -> Option<String> {
        self.find(|key| local(key) == name && key.contains(':'))
    }

    /// Whether a switch is on: the element is there, and does not say that it is off.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self.get("val").as_deref(), Some("0" | "false" | "off"))
    }

    fn find(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut attributes = self.start.attributes();
        let mut attributes = attributes.with_checks(false).flatten();
        let found = attributes.find(|attribute| wanted(attribute.key.as_ref()))?;
        let raw = found.value.into_owned();
        let value = quick_xml::escape::unescape(&raw).map(Cow::into_owned);
        // An entity that the document declares stays as it is written.
        Some(value.unwrap_or(raw))
    }
}

/// Goes through the XML of a part of a file, and shows every piece.
///
/// # Errors
/// LA2651 when it is not well-formed, and what `see` says.
pub(crate) fn walk(
    part: &str,
    xml: &[u8],
    mut see: impl FnMut(Piece<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let broken = |why: &dyn std::fmt::Display, at: u64| {
        Trouble::broken(format_args!("expected XML in `{}`, found a fault at byte {at}: {why}", part.escape_debug()))
    };
    let Some(decoded) = decode(xml, None) else { return Err(broken(&"it is no text", 0)) };
    let mut reader = Reader::from_str(&decoded.text);
    reader.config_mut().expand_empty_elements = true;
    loop {
        let event = reader.read_event().map_err(|error| broken(&error, reader.error_position()))?;
        match event {
            Event::Start(start) => {
                let name = start.local_name();
                see(Piece::Start(Tag { name: name.as_ref(), start: &start }))?;
            }
            Event::End(end) => see(Piece::End(end.local_name().as_ref()))?,
            Event::Text(text) => see(Piece::Text(&text))?,
            Event::CData(text) => see(Piece::Text(&text))?,
            Event::GeneralRef(entity) => {
                let name: &str = &entity;
                match entity.resolve_char_ref() {
                    Ok(Some(c)) => see(Piece::Text(c.encode_utf8(&mut [0; 4])))?,
                    _ => match quick_xml::escape::resolve_predefined_entity(name) {
                        Some(known) => see(Piece::Text(known))?,
                        None => see(Piece::Text(&format!("&{name};")))?,
                    },
                }
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn local(key: &str) -> &str {
    key.rsplit(':').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(xml: &str) -> Result<String, String> {
        let mut shown = String::new();
        let walked = walk("a.xml", xml.as_bytes(), |piece| {
            match piece {
                Piece::Start(tag) => shown.push_str(&format!("<{} {:?}>", tag.name, tag.get("val"))),
                Piece::End(name) => shown.push_str(&format!("</{name}>")),
                Piece::Text(text) => shown.push_str(text),
            }
            Ok(())
        });
        walked.map(|()| shown).map_err(|trouble| trouble.message)
    }

    #[test]
    fn names_lose_their_prefix_and_entities_are_not_expanded() {
        let xml = "<!DOCTYPE a [<!ENTITY e 'eeee'><!ENTITY x SYSTEM 'file:///etc/passwd'>]>\
            <w:a w:val='1 &amp; &e;'>&lt;&#228;&e;&x;<b/><![CDATA[<c>]]></w:a>";
        assert_eq!(shown(xml).unwrap(), "<a Some(\"1 &amp; &e;\")><ä&e;&x;<b None></b><c></a>");
    }

    #[test]
    fn what_is_not_well_formed_says_where() {
        let message = shown("<a><b></a>").unwrap_err();
        assert!(message.starts_with("is broken: expected XML in `a.xml`, found a fault at byte 6:"), "{message}");
    }
}
