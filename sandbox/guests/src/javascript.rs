//! The JavaScript guest, built from the C sources of QuickJS-ng, as the crate rquickjs-sys carries them.
//!
//! The built module is small and the same to the byte wherever it is built with these tools, so it is kept in the repository:
//! nobody who does not change it needs a compiler for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Result,
    snapshot::snapshot,
    tools::{digest, files, replace, run},
};

const CRATE: &str = "rquickjs-sys";
const VERSION: &str = "0.14.0";
const SHA256: &str = "cee271d0eeba64f0915b846cb7ae02e16faf3dfdffdca91731101d9d30fe3423";

const CLANG: &str = "clang-19";
const PARTS: &[&str] = &["quickjs", "libregexp", "libunicode", "dtoa"];
const TARGET: &[&str] = &["--target=wasm32-wasi", "--sysroot=/usr"];
const COMPILE: &[&str] = &[
    "-isystem",
    "/usr/include/wasm32-wasi",
    "-O2",
    "-std=gnu23",
    "-DNDEBUG",
    "-D_GNU_SOURCE",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-D_WASI_EMULATED_SIGNAL",
    "-DFE_DOWNWARD=0",
    "-DFE_UPWARD=0",
    "-fno-strict-aliasing",
    "-fwrapv",
    "-msimd128",
    "-mbulk-memory",
    "-msign-ext",
    "-mnontrapping-fptoint",
    "-w",
    "-c",
];
/// The stack stands first, so that overrunning it traps instead of overwriting data.
const LINK: &[&str] = &[
    "-mexec-model=reactor",
    "-O2",
    "-L/usr/lib/wasm32-wasi",
    "-lwasi-emulated-process-clocks",
    "-lwasi-emulated-signal",
    "-Wl,-z,stack-size=4194304",
    "-Wl,--strip-all",
    "-Wl,--stack-first",
];
/// QuickJS has no limit of its stack on WASI: deep recursion would trap, instead of throwing a RangeError.
const NO_STACK_LIMIT: &str = "#if defined(__wasi__)\n    rt->stack_limit = 0; /* no limit */";

/// Builds the guest into the repository.
///
/// # Errors
/// When a tool is missing or fails: the error holds what it said.
pub fn build(work: &Path) -> Result<PathBuf> {
    let guest = sources().join("javascript/guest.wasm");
    if work.exists() {
        fs::remove_dir_all(work)?;
    }
    fs::create_dir_all(work)?;
    let quickjs = quickjs(work)?;
    let mut objects = Vec::new();
    for part in PARTS {
        objects.push(compile(&quickjs.join(format!("{part}.c")), &quickjs, work)?);
    }
    objects.push(compile(&sources().join("javascript/guest.c"), &quickjs, work)?);
    let linked = work.join("linked.wasm");
    run(Command::new(CLANG).args(TARGET).args(LINK).args(&objects).arg("-o").arg(&linked))?;
    replace(&guest, &snapshot(&fs::read(&linked)?)?)?;
    replace(&lock(), made_of()?.as_bytes())?;
    fs::remove_dir_all(work)?;
    Ok(guest)
}

fn compile(source: &Path, quickjs: &Path, work: &Path) -> Result<PathBuf> {
    let object = work.join(source.file_stem().ok_or("a source without a name")?).with_extension("o");
    run(Command::new(CLANG).args(TARGET).args(COMPILE).arg("-I").arg(quickjs).arg(source).arg("-o").arg(&object))?;
    Ok(object)
}

/// The sources of QuickJS, checked and patched.
fn quickjs(work: &Path) -> Result<PathBuf> {
    // Cargo fetches a crate only for a package that uses it.
    let package = work.join("fetch");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(
        package.join("Cargo.toml"),
        format!(
            "[package]\nname = \"fetch\"\nedition = \"2024\"\n[dependencies]\n{CRATE} = \"={VERSION}\"\n[workspace]\n"
        ),
    )?;
    run(Command::new("cargo").args(["fetch", "--quiet"]).current_dir(&package))?;

    let archive = fetched()?;
    let found = crate::tools::sha256(&fs::read(&archive)?);
    if found != SHA256 {
        return Err(format!("{} has the digest {found}; expected {SHA256}", archive.display()).into());
    }
    run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(work))?;
    let quickjs = work.join(format!("{CRATE}-{VERSION}/quickjs"));
    let main = quickjs.join("quickjs.c");
    let text = fs::read_to_string(&main)?;
    if text.matches(NO_STACK_LIMIT).count() != 1 {
        return Err("quickjs.c has changed where its stack limit is patched".into());
    }
    fs::write(&main, text.replace(NO_STACK_LIMIT, "#if 0"))?;
    Ok(quickjs)
}

/// The folder of this crate in the repository.
fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The archive that cargo fetched.
#[expect(clippy::disallowed_methods, reason = "a development tool looks where cargo puts crates")]
fn fetched() -> Result<PathBuf> {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    let name = format!("{CRATE}-{VERSION}.crate");
    for registry in fs::read_dir(Path::new(&home).join("registry/cache"))? {
        let archive = registry?.path().join(&name);
        if archive.is_file() {
            return Ok(archive);
        }
    }
    Err(format!("cargo fetched no `{name}`").into())
}

/// What the guest in the repository was made of.
fn lock() -> PathBuf {
    sources().join("javascript/guest.lock")
}

/// What it is made of now, and what it is: a line each.
fn made_of() -> Result<String> {
    let folder = sources().join("javascript");
    let parts = files(&folder, &["c", "js"])?;
    let flags = [TARGET, COMPILE, LINK].concat().join(" ");
    let parts = parts.iter().map(Vec::as_slice).chain([SHA256.as_bytes(), CLANG.as_bytes(), flags.as_bytes()]);
    let guest = fs::read(folder.join("guest.wasm"))?;
    Ok(format!("sources {}\nguest   {}\n", digest(parts), crate::tools::sha256(&guest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When this fails: `cargo xtask guests --javascript`.
    #[test]
    fn the_guest_in_the_repository_is_built_from_the_sources_beside_it() {
        assert_eq!(fs::read_to_string(lock()).unwrap(), made_of().unwrap());
    }
}
