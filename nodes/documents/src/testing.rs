//! For tests: a reader in the process, and documents. Only with the feature `testing`.

use std::io::{Cursor, Write as _};

use async_trait::async_trait;
use liteagent_engine::{
    capability::documents::{DocumentText, Documents, FileToRead},
    error::NodeError,
};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::Limits;

/// Reads files in the process, which hostile ones may harm.
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcess(pub Limits);

#[async_trait]
impl Documents for InProcess {
    async fn read(&self, file: FileToRead) -> Result<DocumentText, NodeError> {
        crate::read(&file.name, &file.content, &self.0).map_err(|trouble| trouble.error(&file.name))
    }
}

/// An archive of these entries.
///
/// # Panics
/// When two entries have one name.
pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let method = if *name == "mimetype" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).expect("the names differ");
        zip.write_all(content).expect("memory can be written");
    }
    zip.finish().expect("memory can be written").into_inner()
}

const DECLARED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// The references of a part: id, kind, target.
fn relations(of: &[(&str, &str, &str)]) -> String {
    let relation = |(id, kind, target): &(&str, &str, &str)| {
        format!("<Relationship Id=\"{id}\" Type=\"{RELATIONS}/{kind}\" Target=\"{target}\"/>")
    };
    let all: String = of.iter().map(relation).collect();
    format!(
        "{DECLARED}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{all}</Relationships>"
    )
}

fn title(title: &str) -> String {
    format!(
        "{DECLARED}<cp:coreProperties xmlns:cp=\"c\" xmlns:dc=\"d\"><dc:title>{title}</dc:title></cp:coreProperties>"
    )
}

/// A DOCX with this body, the usual styles, one list of points (1) and one of numbers (2), and a footnote (2).
pub fn docx(body: &str) -> Vec<u8> {
    let main = relations(&[("rId1", "officeDocument", "word/document.xml")]);
    let parts = relations(&[
        ("rId1", "styles", "styles.xml"),
        ("rId2", "numbering", "numbering.xml"),
        ("rId3", "footnotes", "footnotes.xml"),
    ]);
    let styles = format!(
        "{DECLARED}<w:styles xmlns:w=\"w\"><w:style w:styleId=\"berschrift1\"><w:name w:val=\"heading 1\"/></w:style>\
         <w:style w:styleId=\"H2\"><w:name w:val=\"Section\"/><w:basedOn w:val=\"X\"/></w:style>\
         <w:style w:styleId=\"X\"><w:pPr><w:outlineLvl w:val=\"1\"/></w:pPr></w:style></w:styles>"
    );
    let list = |id: &str, kind: &str| {
        format!(
            "<w:abstractNum w:abstractNumId=\"{id}\"><w:lvl w:ilvl=\"0\"><w:numFmt w:val=\"{kind}\"/></w:lvl></w:abstractNum>"
        )
    };
    let numbering = format!(
        "{DECLARED}<w:numbering xmlns:w=\"w\">{}{}<w:num w:numId=\"1\"><w:abstractNumId w:val=\"10\"/></w:num>\
         <w:num w:numId=\"2\"><w:abstractNumId w:val=\"11\"/></w:num></w:numbering>",
        list("10", "bullet"),
        list("11", "decimal")
    );
    let footnotes = format!(
        "{DECLARED}<w:footnotes xmlns:w=\"w\"><w:footnote w:type=\"separator\" w:id=\"0\"><w:p/></w:footnote>\
         <w:footnote w:id=\"2\"><w:p><w:r><w:t>From the garden.</w:t></w:r></w:p></w:footnote></w:footnotes>"
    );
    let document = format!("{DECLARED}<w:document xmlns:w=\"w\" xmlns:mc=\"mc\"><w:body>{body}</w:body></w:document>");
    archive(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("_rels/.rels", main.as_bytes()),
        ("docProps/core.xml", title("About &amp; around tea").as_bytes()),
        ("word/_rels/document.xml.rels", parts.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
        ("word/numbering.xml", numbering.as_bytes()),
        ("word/footnotes.xml", footnotes.as_bytes()),
        ("word/document.xml", document.as_bytes()),
    ])
}

/// A PPTX whose slides have these shapes; the first one has notes.
pub fn pptx(slides: &[&str], notes: &str) -> Vec<u8> {
    let mut entries = vec![
        ("[Content_Types].xml".to_owned(), "<Types/>".to_owned()),
        ("_rels/.rels".to_owned(), relations(&[("rId1", "officeDocument", "ppt/presentation.xml")])),
    ];
    let (mut ids, mut targets) = (String::new(), Vec::new());
    for (at, shapes) in slides.iter().enumerate() {
        // The order is that of the presentation, not that of the names.
        let number = slides.len() - at;
        ids.push_str(&format!("<p:sldId id=\"{}\" r:id=\"rId{number}\"/>", 256 + at));
        targets.push((format!("rId{number}"), format!("slides/slide{number}.xml")));
        let slide = format!("{DECLARED}<p:sld xmlns:p=\"p\" xmlns:a=\"a\">{shapes}</p:sld>");
        entries.push((format!("ppt/slides/slide{number}.xml"), slide));
        if at == 0 {
            let related = relations(&[("rId1", "notesSlide", "../notesSlides/notesSlide1.xml")]);
            entries.push((format!("ppt/slides/_rels/slide{number}.xml.rels"), related));
        }
    }
    let related: Vec<_> = targets.iter().map(|(id, target)| (id.as_str(), "slide", target.as_str())).collect();
    entries.push(("ppt/_rels/presentation.xml.rels".to_owned(), relations(&related)));
    let presentation = format!(
        "{DECLARED}<p:presentation xmlns:p=\"p\" xmlns:r=\"r\"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>"
    );
    entries.push(("ppt/presentation.xml".to_owned(), presentation));
    let notes = format!("{DECLARED}<p:notes xmlns:p=\"p\" xmlns:a=\"a\">{notes}</p:notes>");
    entries.push(("ppt/notesSlides/notesSlide1.xml".to_owned(), notes));
    archive(&borrowed(&entries))
}

/// An XLSX with these sheets, each a name and its rows in SpreadsheetML. Style 1 is that of dates.
pub fn xlsx(sheets: &[(&str, &str)]) -> Vec<u8> {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let mut entries = vec![
        (
            "[Content_Types].xml".to_owned(),
            format!("{DECLARED}<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"),
        ),
        ("_rels/.rels".to_owned(), relations(&[("rId1", "officeDocument", "xl/workbook.xml")])),
        (
            "xl/styles.xml".to_owned(),
            format!(
                "{DECLARED}<styleSheet xmlns=\"{main}\"><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"
            ),
        ),
    ];
    let (mut list, mut targets) = (String::new(), vec![("rIdStyles".to_owned(), "styles", "styles.xml".to_owned())]);
    for (at, (name, rows)) in sheets.iter().enumerate() {
        let number = at + 1;
        list.push_str(&format!("<sheet name=\"{name}\" sheetId=\"{number}\" r:id=\"rId{number}\"/>"));
        targets.push((format!("rId{number}"), "worksheet", format!("worksheets/sheet{number}.xml")));
        let sheet = format!("{DECLARED}<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>");
        entries.push((format!("xl/worksheets/sheet{number}.xml"), sheet));
    }
    let related: Vec<_> = targets.iter().map(|(id, kind, target)| (id.as_str(), *kind, target.as_str())).collect();
    entries.push(("xl/_rels/workbook.xml.rels".to_owned(), relations(&related)));
    let book =
        format!("{DECLARED}<workbook xmlns=\"{main}\" xmlns:r=\"{RELATIONS}\"><sheets>{list}</sheets></workbook>");
    entries.push(("xl/workbook.xml".to_owned(), book));
    archive(&borrowed(&entries))
}

/// An ODS with one sheet of these rows.
pub fn ods(name: &str, rows: &str) -> Vec<u8> {
    let content = format!(
        "{DECLARED}<office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\"><office:body><office:spreadsheet>\
         <table:table table:name=\"{name}\">{rows}</table:table></office:spreadsheet></office:body></office:document-content>"
    );
    archive(&[
        ("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"),
        ("META-INF/manifest.xml", b"<manifest:manifest xmlns:manifest='m'/>"),
        ("content.xml", content.as_bytes()),
    ])
}

/// An EPUB whose chapters are these, in this order: names and XHTML.
pub fn epub(chapters: &[(&str, &str)]) -> Vec<u8> {
    let item =
        |name: &str| format!("<item id=\"{name}\" href=\"text/{name}.xhtml\" media-type=\"application/xhtml+xml\"/>");
    let items: Vec<_> = chapters.iter().map(|(name, _)| item(name)).collect();
    let order: Vec<_> = chapters.iter().map(|(name, _)| format!("<itemref idref=\"{name}\"/>")).collect();
    let (items, order) = (items.concat(), order.concat());
    let book = format!(
        "{DECLARED}<package xmlns=\"http://www.idpf.org/2007/opf\" xmlns:dc=\"d\"><metadata><dc:title>A book of tea</dc:title></metadata>\
         <manifest><item id=\"nav\" href=\"nav.xhtml\" properties=\"nav\"/>{items}</manifest>\
         <spine><itemref idref=\"nav\"/>{order}</spine></package>"
    );
    let container =
        format!("{DECLARED}<container><rootfiles><rootfile full-path=\"OEBPS/book.opf\"/></rootfiles></container>");
    let mut entries = vec![
        ("mimetype".to_owned(), "application/epub+zip".to_owned()),
        ("META-INF/container.xml".to_owned(), container),
        ("OEBPS/book.opf".to_owned(), book),
        ("OEBPS/nav.xhtml".to_owned(), "<html><body><nav>Contents</nav></body></html>".to_owned()),
    ];
    entries.extend(chapters.iter().map(|(name, xhtml)| (format!("OEBPS/text/{name}.xhtml"), (*xhtml).to_owned())));
    archive(&borrowed(&entries))
}

/// A PDF with these pages, each the operators of its content; `/F1` is Helvetica. `trailer` is added to the trailer.
pub fn pdf(pages: &[&str], trailer: &str) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: Vec<_> = (0..pages.len()).map(|at| format!("{} 0 R ", 4 + 2 * at)).collect();
    let kids = kids.concat();
    objects.push(format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len()));
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned());
    for (at, page) in pages.iter().enumerate() {
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * at
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()));
    }
    let mut pdf = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        places.push(pdf.len());
        pdf.push_str(&format!("{} 0 obj\n{object}\nendobj\n", at + 1));
    }
    let (table, count) = (pdf.len(), objects.len() + 1);
    pdf.push_str(&format!("xref\n0 {count}\n0000000000 65535 f \n"));
    pdf.extend(places.iter().map(|place| format!("{place:010} 00000 n \n")));
    pdf.push_str(&format!("trailer\n<< /Size {count} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n"));
    pdf.into_bytes()
}

fn borrowed(entries: &[(String, String)]) -> Vec<(&str, &[u8])> {
    entries.iter().map(|(name, content)| (name.as_str(), content.as_bytes())).collect()
}
