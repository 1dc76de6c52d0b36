//! The fuzz targets of the engine: what anyone may write is read, checked and edited without a panic or a loss.
//! `LITEAGENT_FUZZ_SECONDS` sets how long each runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fuzz {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    mod reader;
    mod rewriter;
    mod templates;

    /// The texts of the files in folders.
    fn texts_of(folders: &[PathBuf]) -> Vec<String> {
        let mut files: Vec<_> = folders
            .iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.iter().filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// Workflows as authors write them, good and bad.
    fn examples() -> Vec<String> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        texts_of(&["examples", "diagnostics/yaml", "diagnostics/shape"].map(|folder| tests.join(folder)))
    }

    /// Pieces that give YAML another structure.
    const PIECES: &[&str] = &[
        "{{", "}}", "{%", "{", "}", "[", "]", ": ", "- ", "\n", "\r\n", "\t", "\"", "'", "#", " # why", "|\n", ">-\n",
        "&a ", "*a", "<<: *a\n", "---\n", "é", "yes", "  ", "? ", "!x ", "\u{0}", "\u{feff}", "\u{2028}", "~", "1e999",
    ];
}
