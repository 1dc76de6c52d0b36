//! Documents that are made to harm their reader, read in real child processes: each is refused with its code or read, and the
//! next document is read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::PathBuf, process::Command, time::Duration};

use liteagent_documents::{Limits, Program, Readers, testing};
use liteagent_engine::{
    capability::documents::{Documents as _, FileToRead},
    testing::{fuzz, mutated},
};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

const BINARY: &str = env!("CARGO_BIN_EXE_liteagent");

fn program() -> Program {
    Program { path: BINARY.into(), arguments: vec!["document-reader".into()] }
}

/// Limits that are reached soon.
fn limits() -> Limits {
    Limits {
        text: 1 << 20,
        memory: 256 << 20,
        time: Duration::from_secs(20),
        unpacked: 16 << 20,
        entries: 50,
        pages: 20,
        ..Limits::default()
    }
}

/// The format of what was read, or the code and the message.
async fn outcome(readers: &Readers, name: &str, content: impl Into<Vec<u8>>) -> String {
    let file = FileToRead { name: name.to_owned(), content: content.into().into() };
    match readers.read(file).await {
        Ok(read) => format!("{}, {} characters", read.format, read.text.chars().count()),
        Err(error) => {
            assert!(error.message.starts_with(&format!("`{name}` ")), "{}", error.message);
            assert!(error.hint.is_some_and(|hint| !hint.is_empty()));
            format!("{}: {}", error.code, error.message)
        }
    }
}

fn zeros(megabytes: usize) -> Vec<u8> {
    vec![b' '; megabytes << 20]
}

fn zip_bomb() -> Vec<u8> {
    let body = zeros(12);
    testing::archive(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", &body)])
}

/// Little by little: no entry is too large, the sum is.
fn many_zip_bombs() -> Vec<u8> {
    let sheets: Vec<_> = (0..8).map(|at| format!("xl/worksheets/sheet{at}.xml")).collect();
    let body = zeros(3);
    let mut entries: Vec<(&str, &[u8])> =
        vec![("[Content_Types].xml", b"<Types/>"), ("xl/workbook.xml", b"<workbook/>")];
    entries.extend(sheets.iter().map(|name| (name.as_str(), body.as_slice())));
    testing::archive(&entries)
}

fn many_entries() -> Vec<u8> {
    let names: Vec<_> = (0..60).map(|at| format!("word/{at}.xml")).collect();
    let entries: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"<a/>"[..])).collect();
    testing::archive(&entries)
}

fn nested_zip() -> Vec<u8> {
    let mut inner = testing::archive(&[("bomb", &zeros(1))]);
    for _ in 0..5 {
        inner = testing::archive(&[("again.zip", &inner)]);
    }
    inner
}

fn entity_bomb() -> Vec<u8> {
    let mut entities = "<!ENTITY a0 'ha'>".to_owned();
    for at in 1..30 {
        entities.push_str(&format!("<!ENTITY a{at} '&a{0};&a{0};'>", at - 1));
    }
    let document = format!("<!DOCTYPE w [{entities}]><w:document xmlns:w='w'><w:p><w:t>&a29;</w:t></w:p></w:document>");
    testing::archive(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", document.as_bytes())])
}

/// A page that is its own parent, whose content is a form that draws itself.
fn pdf_loop() -> Vec<u8> {
    let text = String::from_utf8(testing::pdf(&["/F1 Do BT (x) Tj ET"], "")).unwrap();
    text.replace("/Kids [4 0 R ]", "/Kids [2 0 R ]").into_bytes()
}

/// Written by pypdf, with the password "secret".
const PDF_ENCRYPTED: &[u8] = include_bytes!("fixtures/encrypted.pdf");
/// Written by pypdf: it opens without a password.
const PDF_NOT_TO_BE_PRINTED: &[u8] = include_bytes!("fixtures/not-to-be-printed.pdf");

fn pdf_truncated() -> Vec<u8> {
    let mut pdf = testing::pdf(&["BT /F1 12 Tf (Tea) Tj ET"], "");
    pdf.truncate(120);
    pdf
}

fn many_pages() -> Vec<u8> {
    testing::pdf(&["BT /F1 12 Tf (Tea) Tj ET"; 30], "")
}

fn deep_html() -> Vec<u8> {
    "<div>".repeat(100_000).into_bytes()
}

fn wide_csv() -> Vec<u8> {
    let mut csv = "a,".repeat(1_000_000).into_bytes();
    csv.push(b'b');
    csv
}

/// Two cells, and everything between them.
fn sparse_sheet() -> Vec<u8> {
    let rows = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>2</v></c></row>";
    testing::xlsx(&[("A", rows)])
}

/// One row, repeated for ever.
fn repeated_rows() -> Vec<u8> {
    let cell = "<table:table-cell office:value-type=\"string\" table:number-columns-repeated=\"16000\"><text:p>a</text:p></table:table-cell>";
    testing::ods("A", &format!("<table:table-row table:number-rows-repeated=\"1000000\">{cell}</table:table-row>"))
}

fn book_without_chapters() -> Vec<u8> {
    testing::archive(&[
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", b"<container><rootfile full-path='../../book.opf'/></container>"),
        ("book.opf", b"<package><manifest/><spine><itemref idref='gone'/></spine></package>"),
    ])
}

fn locked_book() -> Vec<u8> {
    testing::archive(&[
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", b"<container/>"),
        (
            "META-INF/encryption.xml",
            b"<e><EncryptionMethod Algorithm='http://www.w3.org/2001/04/xmlenc#aes128-cbc'/></e>",
        ),
    ])
}

fn encrypted_office() -> Vec<u8> {
    let mut bytes = vec![0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
    bytes.extend("EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

#[rstest]
#[case::zip_bomb("a.docx", zip_bomb(), "LA2654: `a.docx` unpacks `word/document.xml` to more than 400 times its size")]
#[case::many_zip_bombs("a.xlsx", many_zip_bombs(), "LA2654: `a.xlsx` unpacks to more than the 16MiB that are allowed")]
#[case::many_entries("a.docx", many_entries(), "LA2654: `a.docx` holds 60 entries, more than the 50 that are allowed")]
#[case::nested_zip("a.docx", nested_zip(), "LA2653: `a.docx` is a ZIP archive, which is not read")]
#[case::truncated_zip("a.docx", &zip_bomb()[..500], "LA2651: `a.docx` is broken")]
#[case::entity_bomb("a.docx", entity_bomb(), "docx, 5 characters")]
#[case::pdf_loop("a.pdf", pdf_loop(), "LA265")]
#[case::pdf_encrypted("a.pdf", PDF_ENCRYPTED, "LA2652: `a.pdf` is encrypted")]
#[case::pdf_not_to_be_printed("a.pdf", PDF_NOT_TO_BE_PRINTED, "pdf, 10 characters")]
#[case::pdf_truncated("a.pdf", pdf_truncated(), "LA2651: `a.pdf` is broken")]
#[case::many_pages("a.pdf", many_pages(), "LA2654: `a.pdf` has more pages than the 20 that are allowed")]
#[case::large_text("a.txt", zeros(2), "LA2654: `a.txt` has more text than the 1MiB that are allowed")]
#[case::wrong_name("a.txt", testing::docx("<w:p><w:t>Tea</w:t></w:p>"), "docx, ")]
#[case::broken_book("a.epub", book_without_chapters(), "LA2651: `a.epub` is broken: none of its chapters can be read")]
#[case::locked_book("a.epub", locked_book(), "LA2652: `a.epub` is encrypted")]
#[case::encrypted_office("a.docx", encrypted_office(), "LA2652: `a.docx` is encrypted")]
#[case::not_utf8("a.txt", &b"ol\xe9 \xff\xfe\x80"[..], "text, 7 characters")]
#[case::zeros("a.txt", &b"a\0b"[..], "LA2653: `a.txt` is a binary file of unknown type, which is not read")]
#[case::rtf("a.txt", &b"{\\rtf1 x}"[..], "LA2653: `a.txt` is a document in the format RTF, which is not read")]
#[case::wide_csv("a.csv", wide_csv(), "LA2654: `a.csv` has more text than the 1MiB that are allowed")]
#[case::deep_html("a.html", deep_html(), "LA2654: `a.html` nests its elements more than 1000 deep")]
#[case::sparse_sheet("a.xlsx", sparse_sheet(), "xlsx, ")]
#[case::repeated_rows("a.ods", repeated_rows(), "LA265")]
#[case::empty("a.pdf", Vec::new(), "LA2655: `a.pdf` holds no text")]
#[tokio::test]
async fn hostile_documents_harm_nobody(
    #[case] name: &str,
    #[case] content: impl Into<Vec<u8>>,
    #[case] expected: &str,
) {
    let readers = Readers::new(program(), limits(), 1);
    let found = outcome(&readers, name, content).await;
    assert!(found.starts_with(expected), "{found}");
    assert_eq!(outcome(&readers, "next.txt", *b"Tea").await, "text, 3 characters");
}

#[tokio::test]
async fn a_document_that_is_too_large_is_not_sent() {
    let readers = Readers::new(program(), Limits { file: 10, ..limits() }, 1);
    let found = outcome(&readers, "a.txt", *b"eleven byte").await;
    assert_eq!(found, "LA2654: `a.txt` has 11B, more than the 10B that are allowed");
    assert_eq!(readers.idle(), [0_u32; 0], "nothing was started");
}

#[tokio::test]
async fn memory_and_time_have_ends() {
    let readers = Readers::new(program(), Limits { memory: 24 << 20, ..limits() }, 1);
    let found = outcome(&readers, "a.txt", zeros(90)).await;
    assert_eq!(found, "LA2654: `a.txt` takes more memory to read than the 24MiB that are allowed");
    assert_eq!(outcome(&readers, "next.txt", *b"Tea").await, "text, 3 characters");

    let readers = Readers::new(program(), Limits { time: Duration::from_millis(1), ..limits() }, 1);
    let found = outcome(&readers, "a.txt", zeros(90)).await;
    assert_eq!(found, "LA2654: `a.txt` takes longer to read than the 1ms that are allowed");
}

/// A process is used again, and replaced when it has died while nobody looked.
#[tokio::test]
async fn processes_are_used_again_and_replaced() {
    let readers = Readers::new(program(), limits(), 1);
    assert_eq!(readers.idle(), [0_u32; 0], "none is started before there is a document");
    outcome(&readers, "a.txt", *b"Tea").await;
    let first = readers.idle();
    outcome(&readers, "a.html", *b"<p>Tea").await;
    assert_eq!((first.len(), readers.idle()), (1, first.clone()));
    kill_process(Pid::from_raw(first[0].cast_signed()).unwrap(), Signal::KILL).unwrap();
    assert_eq!(outcome(&readers, "a.txt", *b"Tea").await, "text, 3 characters");
    assert_ne!(readers.idle(), first);
}

/// What the kernel says of a process that reads, beside what it tried itself.
#[tokio::test]
async fn a_process_has_nothing() {
    let readers = Readers::new(program(), limits(), 1);
    let locked = readers.try_out().await.unwrap();
    for attempt in ["read a file", "write a file", "connect", "make a socket", "start a program", "start a thread"] {
        assert!(locked.refused.iter().any(|refused| refused == attempt), "{attempt}: {locked:?}");
    }
    let process = PathBuf::from(format!("/proc/{}", readers.idle()[0]));
    let status = fs::read_to_string(process.join("status")).unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!((line("Seccomp:"), line("NoNewPrivs:"), line("CapEff:")), ("2", "1", "0000000000000000"));
    let limits = fs::read_to_string(process.join("limits")).unwrap();
    let memory = limits.lines().find_map(|line| line.strip_prefix("Max address space")).unwrap();
    assert!(!memory.contains("unlimited"), "{memory}");
}

#[tokio::test]
async fn a_program_that_is_no_reader_is_told() {
    let readers = Readers::new(Program { path: "/bin/false".into(), arguments: Vec::new() }, limits(), 1);
    let found = outcome(&readers, "a.txt", *b"Tea").await;
    assert!(
        found.starts_with("LA2656: `a.txt` cannot be read: no child process for it can be used: `/bin/false`"),
        "{found}"
    );
}

/// Whatever is damaged, the readers live on.
#[test]
fn damaged_pdfs_are_read_or_refused() {
    const PIECES: &[&str] = &[
        " obj\n",
        "endobj",
        "stream\n",
        "endstream",
        "xref\n",
        "trailer",
        "/Parent 4 0 R",
        "/Kids [2 0 R]",
        "/Contents 5 0 R",
        "/Length 9999999",
        "/Count -1",
        "/MediaBox",
        "/Encrypt",
        "/Filter /FlateDecode",
        "65535",
        "-1",
        "0",
        "<<",
        ">>",
        "[",
        "]",
        "(",
        ")",
        "Tj",
        "BT",
        "ET",
        "/F1",
        "Tf",
        "/Cs1 cs",
        "sh",
        "Do",
        "cm",
    ];
    let pages = ["BT /F1 12 Tf 72 700 Td (Tea) Tj T* [(a) -300 (b)] TJ ET", "q /Cs1 cs Q"];
    let pdf = String::from_utf8(testing::pdf(&pages, "/Info << /Title (Tea) >>")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let readers = Readers::new(program(), limits(), 1);
    fuzz(&mutated(vec![pdf], PIECES), |pdf| {
        let found = runtime.block_on(outcome(&readers, "a.pdf", pdf.as_bytes()));
        assert!(!found.starts_with("LA2656"), "{found}");
    });
}

#[test]
fn the_command_is_for_the_program_itself() {
    let said = Command::new(BINARY).arg("document-reader").output().unwrap();
    assert_eq!(said.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&said.stderr).contains("LA2656"));
}
