//! Lists the pages of `docs/errors`, so that `liteagent explain` has them compiled in.

use std::{env, fs, path::Path};

fn main() {
    let crate_folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = Path::new(&crate_folder).join("../docs/errors");
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut pages: Vec<_> = fs::read_dir(&folder)
        .expect("docs/errors is part of the repository")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.sort();
    let rows: String = pages
        .iter()
        .map(|path| {
            let code = path.file_stem().unwrap_or_default().to_string_lossy();
            format!("    ({code:?}, include_str!({:?})),\n", path.to_string_lossy())
        })
        .collect();
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("pages.rs"), format!("&[\n{rows}]\n")).expect("OUT_DIR can be written");
}
