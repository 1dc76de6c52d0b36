//! Lists the pages of `docs/errors`, so that `liteagent explain` has them compiled in, and says how a release is linked.

use std::{env, fs, path::Path, process::Command};

fn main() {
    list_errors();
    if env::var_os("PROFILE").is_some_and(|profile| profile == "release") && relocations_may_be_packed() {
        // Four megabytes less in memory: every one of them is read at the start.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether this machine's C library is glibc 2.36 or newer, which reads packed relocations, and the program is made for it.
fn relocations_may_be_packed() -> bool {
    let native = env::var_os("HOST") == env::var_os("TARGET");
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version = said.ok().and_then(|said| String::from_utf8(said.stdout).ok());
    let minor = version.and_then(|said| said.trim().strip_prefix("glibc 2.")?.parse::<u32>().ok());
    native && minor.is_some_and(|minor| minor >= 36)
}

fn list_errors() {
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
