//! Documents that are damaged at random: every reader ends, and what it gives has its places in order.
//!
//! A reader that breaks off is no failure of the program, which reads in a child process; here it is one. The parser of PDF may
//! overflow the stack: `cli/tests/documents.rs` damages PDFs.

use liteagent_documents::{Limits, read, testing};
use liteagent_engine::testing::{fuzz, mutated};
use proptest::prelude::*;

/// Pieces that matter to one of the formats.
const PIECES: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "&",
    "&#",
    ";",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<table>",
    "<tr><td>",
    "</table>",
    "<ul><li>",
    "<pre>",
    "<h1>",
    "</h1>",
    "<main>",
    "<template>",
    "<svg><title>",
    "<form>",
    "<b><p>",
    "</b>",
    "<!DOCTYPE html>",
    "<w:p>",
    "</w:p>",
    "<w:tbl>",
    "<w:tc>",
    "<a:p>",
    "#",
    "\n",
    "```",
    "---\n",
    "|",
    "\"",
    "{",
    "[",
    "}",
    ",",
    "\\",
    "\u{feff}",
    "\0",
    "é",
    "\u{10ffff}",
    " ",
];

fn limits() -> Limits {
    Limits { text: 1 << 20, unpacked: 8 << 20, ..Limits::default() }
}

fn holds(name: &str, bytes: &[u8]) {
    match read(name, bytes, &limits()) {
        Ok(read) => {
            let length = read.text.chars().count() as u64;
            assert!(!read.text.trim().is_empty() && read.text.len() as u64 <= limits().text);
            assert!(read.headings.is_sorted_by_key(|heading| heading.start) && read.pages.is_sorted(), "{read:?}");
            assert!(read.headings.iter().all(|heading| heading.start < length), "{read:?}");
            assert!(read.pages.iter().all(|page| *page <= length), "{read:?}");
        }
        Err(trouble) => assert!(!trouble.message.is_empty() && !trouble.hint.is_empty()),
    }
}

const HTML: &str = "<!doctype html><title>T</title><nav>x</nav><main><h1>A <code>b</code></h1><p>c<br>d<ul><li>e<li>f</ul>\
    <table><tr><th>g<th>h<tr><td rowspan=2>i<td>j</table><pre>k\n l</pre><dl><dt class=sig>m<dd>n</dl></main>";
const PARAGRAPHS: &str = "<w:p><w:pPr><w:pStyle w:val=\"H2\"/></w:pPr><w:r><w:t>a</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r>\
    <w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p><w:pPr><w:numPr><w:numId w:val=\"2\"/></w:numPr></w:pPr><w:r><w:t>c</w:t></w:r></w:p>";
const SHAPES: &str = "<p:sp><p:ph type=\"title\"/><a:p><a:r><a:t>a</a:t></a:r></a:p></p:sp><a:tbl><a:tr><a:tc><a:p><a:r><a:t>b</a:t>\
    </a:r></a:p></a:tc></a:tr></a:tbl>";
const ROWS: &str = "<row r=\"1\"><c r=\"A1\"><v>1</v></c><c r=\"C1\" s=\"1\"><v>46082.5</v></c></row><row r=\"9\"><c r=\"B9\" t=\"str\">\
    <v>x</v></c></row>";
const CELLS: &str = "<table:table-row table:number-rows-repeated=\"2\"><table:table-cell office:value-type=\"string\" \
    table:number-columns-repeated=\"3\"><text:p>a</text:p></table:table-cell></table:table-row>";

#[test]
fn damaged_texts_are_read_or_refused() {
    let sources =
        [HTML, "# A\n\n- b\n\n```\nc\n```\n", "a,b\n\"c\",d\n", "{\"a\": [1, {\"b\": null}]}"].map(str::to_owned);
    fuzz(&mutated(sources.to_vec(), PIECES), |text| {
        for name in ["a.html", "a.md", "a.csv", "a.json", "a.txt", "a"] {
            holds(name, text.as_bytes());
        }
    });
}

#[test]
fn damaged_parts_are_read_or_refused() {
    let sources = [PARAGRAPHS, SHAPES, ROWS, CELLS, HTML].map(str::to_owned);
    fuzz(&mutated(sources.to_vec(), PIECES), |part| {
        holds("a.docx", &testing::docx(part));
        holds("a.pptx", &testing::pptx(&[part, SHAPES], part));
        holds("a.xlsx", &testing::xlsx(&[("A", part)]));
        holds("a.ods", &testing::ods("A", part));
        holds("a.epub", &testing::epub(&[("one", part)]));
    });
}

#[test]
fn damaged_bytes_are_read_or_refused() {
    let documents = vec![
        testing::docx(PARAGRAPHS),
        testing::pptx(&[SHAPES], SHAPES),
        testing::xlsx(&[("A", ROWS)]),
        testing::ods("A", CELLS),
        testing::epub(&[("one", HTML)]),
        HTML.as_bytes().to_vec(),
    ];
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0_u8..3);
    let strategy =
        (prop::sample::select(documents), prop::collection::vec(damage, 0..8)).prop_map(|(mut bytes, damages)| {
            for (at, byte, kind) in damages {
                let at = at.index(bytes.len().max(1));
                match kind {
                    _ if bytes.is_empty() => {}
                    0 => bytes[at] = byte,
                    1 => bytes.truncate(at),
                    _ => drop(bytes.splice(at..at, [byte; 3])),
                }
            }
            bytes
        });
    fuzz(&strategy, |bytes| holds("a.bin", bytes));
}
