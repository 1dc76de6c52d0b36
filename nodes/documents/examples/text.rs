//! Prints the text of documents: `cargo run -p liteagent-documents --example text -- FILE`.

use liteagent_documents::{Limits, read};

#[expect(clippy::print_stdout, reason = "it prints a text")]
fn main() {
    for path in std::env::args().skip(1) {
        let content = std::fs::read(&path).expect("the file can be read");
        match read(&path, &content, &Limits::default()) {
            Ok(read) => println!(
                "{:?} {} {:?} {} headings {} pages\n{}",
                read.title,
                read.format,
                read.warnings,
                read.headings.len(),
                read.pages.len(),
                read.text
            ),
            Err(trouble) => println!("`{path}` {trouble}\n{}", trouble.hint),
        }
    }
}
