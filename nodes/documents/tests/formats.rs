//! What is kept of each format, as people would read it; and what holds of every text.

use liteagent_documents::{Limits, read, testing};
use liteagent_engine::capability::documents::DocumentText;

/// A text with its structure, where headings and pages are shown by what stands at their places.
fn shown(name: &str, bytes: &[u8]) -> String {
    let read = match read(name, bytes, &Limits::default()) {
        Ok(read) => read,
        Err(trouble) => return format!("{:?}: {}\nhint: {}", trouble.kind, trouble.message, trouble.hint),
    };
    holds(&read);
    let line_at = |place: u64| {
        let rest: String = read.text.chars().skip(place as usize).collect();
        rest.lines().next().unwrap_or_default().to_owned()
    };
    let mut shown = format!("{} {:?}\n", read.format, read.title);
    for heading in &read.headings {
        shown.push_str(&format!("heading {} {:?} at {:?}\n", heading.level, heading.text, line_at(heading.start)));
    }
    shown.extend(read.pages.iter().map(|page| format!("page at {:?}\n", line_at(*page))));
    shown.extend(read.warnings.iter().map(|warning| format!("warning: {warning}\n")));
    format!("{shown}---\n{}", read.text)
}

/// What holds of every text.
fn holds(read: &DocumentText) {
    let length = read.text.chars().count() as u64;
    assert!(read.headings.is_sorted_by_key(|heading| heading.start) && read.pages.is_sorted());
    assert!(read.headings.iter().all(|heading| heading.start < length && heading.level >= 1));
    assert!(read.pages.iter().all(|page| *page <= length));
    assert!(!read.text.trim().is_empty());
}

#[test]
fn web_page() {
    insta::assert_snapshot!(shown("page.html", include_bytes!("fixtures/page.html")));
}

#[test]
fn sphinx_page() {
    insta::assert_snapshot!(shown("sphinx.html", include_bytes!("fixtures/sphinx.html")));
}

#[test]
fn csv_with_semicolons() {
    let csv = "name;note\n\"Grün; Tee\";\"two\nlines | and a bar\"\n;\nSchwarz\n";
    insta::assert_snapshot!(shown("tea.csv", csv.as_bytes()), @"
    csv None
    ---
    | name | note |
    |---|---|
    | Grün; Tee | two lines \\| and a bar |
    | Schwarz | |
    ");
}

#[test]
fn json_that_is_none() {
    insta::assert_snapshot!(shown("a.json", b"{ \"a\": 1,\n"), @"
    json None
    warning: it is no JSON: EOF while parsing an object at line 2 column 0
    ---
    { \"a\": 1,
    ");
}

#[test]
fn word_document() {
    let body = "<w:p><w:pPr><w:pStyle w:val=\"berschrift1\"/></w:pPr><w:r><w:t>Tea</w:t></w:r></w:p>\
        <w:p><w:r><w:t xml:space=\"preserve\">Hot </w:t></w:r><w:del><w:r><w:delText>cold</w:delText></w:r></w:del>\
        <w:r><w:t>water &amp; leaves</w:t></w:r><w:r><w:footnoteReference w:id=\"2\"/></w:r><w:r><w:t>.</w:t></w:r></w:p>\
        <w:p><w:pPr><w:pStyle w:val=\"H2\"/></w:pPr><w:r><w:t>Steps</w:t></w:r></w:p>\
        <w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"2\"/></w:numPr></w:pPr><w:r><w:t>Boil</w:t></w:r></w:p>\
        <w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"2\"/></w:numPr></w:pPr><w:r><w:t>Pour</w:t></w:r></w:p>\
        <w:p><w:pPr><w:numPr><w:ilvl w:val=\"1\"/><w:numId w:val=\"1\"/></w:numPr></w:pPr><w:r><w:t>slowly</w:t></w:r></w:p>\
        <w:p><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></mc:Choice>\
        <mc:Fallback><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>\
        <w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr><w:tc><w:p><w:r><w:t>Kind</w:t></w:r></w:p></w:tc>\
        <w:tc><w:tcPr><w:gridSpan w:val=\"2\"/></w:tcPr><w:p><w:r><w:t>Price</w:t></w:r></w:p></w:tc></w:tr>\
        <w:tr><w:tc><w:p><w:r><w:t>green</w:t></w:r></w:p><w:p><w:r><w:t>fresh</w:t></w:r></w:p></w:tc>\
        <w:tc><w:p><w:r><w:t>4</w:t></w:r></w:p></w:tc><w:tc><w:tbl><w:tr><w:tc><w:p><w:r><w:t>in</w:t></w:r></w:p></w:tc>\
        <w:tc><w:p><w:r><w:t>side</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p/></w:tc></w:tr></w:tbl>";
    insta::assert_snapshot!(shown("tea.docx", &testing::docx(body)));
}

#[test]
fn presentation() {
    let shape = |kind: &str, paragraphs: &str| {
        format!("<p:sp><p:nvPr><p:ph{kind}/></p:nvPr><p:txBody>{paragraphs}</p:txBody></p:sp>")
    };
    let paragraph = |text: &str| format!("<a:p><a:r><a:t>{text}</a:t></a:r></a:p>");
    let first = [
        shape(" idx=\"1\"", &format!("{}<a:p><a:pPr lvl=\"1\"/><a:r><a:t>fresh</a:t></a:r></a:p>", paragraph("green"))),
        shape(" type=\"title\"", &paragraph("Kinds of tea")),
        shape(" type=\"sldNum\"", &paragraph("1")),
    ];
    let second = "<p:sp><p:txBody><a:p><a:r><a:t>A box</a:t></a:r></a:p></p:txBody></p:sp><a:tbl>\
        <a:tr><a:tc><a:txBody><a:p><a:r><a:t>Kind</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>Price</a:t></a:r></a:p></a:txBody></a:tc></a:tr>\
        <a:tr><a:tc><a:txBody><a:p><a:r><a:t>green</a:t></a:r></a:p></a:txBody></a:tc><a:tc><a:txBody><a:p><a:r><a:t>4</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl>";
    let notes = shape(" type=\"body\"", &paragraph("Say hello."));
    insta::assert_snapshot!(shown("tea.pptx", &testing::pptx(&[&first.concat(), second], &notes)));
}

#[test]
fn workbook() {
    let rows = "<row r=\"2\"><c r=\"B2\" t=\"inlineStr\"><is><t>Kind</t></is></c><c r=\"D2\" t=\"inlineStr\"><is><t>From</t></is></c></row>\
        <row r=\"4\"><c r=\"B4\" t=\"inlineStr\"><is><t>green</t></is></c><c r=\"D4\" s=\"1\"><v>46082</v></c><c r=\"XFD4\" t=\"b\"><v>1</v></c></row>\
        <row r=\"1048576\"><c r=\"B1048576\"><v>4.5</v></c></row>";
    insta::assert_snapshot!(shown("tea.xlsx", &testing::xlsx(&[("Prices", rows), ("Empty", "")])));
}

#[test]
fn spreadsheet() {
    let cell = |text: &str| {
        format!("<table:table-cell office:value-type=\"string\"><text:p>{text}</text:p></table:table-cell>")
    };
    let rows = format!(
        "<table:table-row>{}{}</table:table-row><table:table-row>{}<table:table-cell office:value-type=\"float\" office:value=\"4.5\">\
         <text:p>4,50</text:p></table:table-cell></table:table-row>",
        cell("Kind"),
        cell("Price"),
        cell("green")
    );
    insta::assert_snapshot!(shown("tea.ods", &testing::ods("Prices", &rows)));
}

#[test]
fn book() {
    let chapters = [
        (
            "one",
            "<?xml version='1.0'?><html><head><title/></head><body><h1>Leaves</h1><p>They are <i>green</i>.</p></body></html>",
        ),
        ("two", "<html><head><title>Water</title></head><body><p>It is hot.</p></body></html>"),
    ];
    insta::assert_snapshot!(shown("tea.epub", &testing::epub(&chapters)));
}

#[test]
fn printed_pages() {
    let first = "BT /F1 24 Tf 72 700 Td (Tea) Tj ET BT /F1 12 Tf 72 660 Td 14 TL (Hot water and a hand-) Tj T* (ful of leaves.) Tj ET";
    let second = "BT /F1 12 Tf 72 700 Td (Second page) Tj ET";
    insta::assert_snapshot!(shown("tea.pdf", &testing::pdf(&[first, second], "")));
}

#[test]
fn scanned_pages() {
    insta::assert_snapshot!(shown("scan.pdf", &testing::pdf(&["", ""], "")), @"
    Empty: holds no text
    hint: its pages are pictures: make text of them with a program for OCR, such as `ocrmypdf`, first
    ");
}

#[test]
fn misleading_names() {
    assert!(
        shown("tea.docx", &testing::pdf(&["BT /F1 12 Tf (Tea) Tj ET"], ""))
            .starts_with("pdf None\npage at \"Tea\"\nwarning: its name ends in `.docx`, but it is pdf\n---\nTea")
    );
    let zip = testing::archive(&[("a.txt", b"Hello")]);
    assert!(shown("notes.txt", &zip).starts_with("Format: is a ZIP archive, which is not read"));
}
