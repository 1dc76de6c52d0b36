//! Lists the pages of `docs/errors`, so that `liteagent explain` has them compiled in.

use std::{env, fs, path::Path};

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut pages: Vec<_> = fs::read_dir(&folder)
        .expect("docs/errors is part of the repository")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.sort();
    let mut table = "&[\n".to_owned();
    for path in &pages {
        let code = path.file_stem().unwrap_or_default().to_string_lossy();
        table.push_str(&format!("    ({code:?}, include_str!({:?})),\n", path.to_string_lossy()));
    }
    table.push_str("]\n");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("pages.rs"), table).expect("OUT_DIR can be written");
}
