//! What Python in the sandbox can import stands in `guests/python/modules.list`, which the check of code nodes reads.
//!
//! `LITEAGENT_NEW_MODULES=1` writes the list anew, after a change of the guest.

mod common;

use std::{fs, path::Path};

use common::call;
use liteagent_sandbox::protocol::{Language, Limits};
use serde::Deserialize;
use serde_json::json;

/// Imports everything that there is, and tells what of it can be. What only shows jokes or runs is left out.
const ASK: &str = r#"
import importlib, io, sys
import packages, stdlib

OWN = stdlib.OWN | {"wit_world", "componentize_py_types", "componentize_py_runtime", "componentize_py_async_support"}

SHOWN = ("antigravity", "this")

def main():
    names = {*stdlib.MODULES, *sys.builtin_module_names, *sys.modules}
    there, shown = [], sys.stdout
    for name in sorted(names):
        parts = name.split(".")
        if parts[0] in OWN or parts[-1] in ("__main__", "__init__") or name in SHOWN:
            continue
        sys.stdout = io.StringIO()
        try:
            importlib.import_module(name)
            there.append(name)
        except BaseException:
            pass
        finally:
            sys.stdout = shown
    machine = sorted(name for name in sys.stdlib_module_names if name not in there and name[0] != "_" and name not in SHOWN)
    return {"there": there, "machine": machine, "native": sorted(packages.NATIVE), "network": sorted(packages.NETWORK)}
"#;

/// What the guest tells.
#[derive(Deserialize)]
struct Told {
    there: Vec<String>,
    machine: Vec<String>,
    native: Vec<String>,
    network: Vec<String>,
}

#[tokio::test]
async fn the_list_of_modules_is_what_the_guest_imports() {
    let limits = Limits { wall_ms: Some(300_000), cpu_ms: Some(200_000), memory: Some(512 << 20), ..Limits::default() };
    let told = call(Language::Python, ASK, json!({}), limits).await;
    let told: Told = told.unwrap_or_else(|failure| panic!("{failure}")).outputs().expect("lists of names");
    let marked = [(told.machine, "machine"), (told.native, "native"), (told.network, "network")];
    let marked = marked.iter().flat_map(|(names, mark)| names.iter().map(move |name| format!("{name} {mark}")));
    let lines = told.there.into_iter().chain(marked);
    let list = format!("{HEAD}{}\n", lines.collect::<Vec<_>>().join("\n"));

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/python/modules.list");
    if std::env::var_os("LITEAGENT_NEW_MODULES").is_some() {
        fs::write(&path, &list).expect("the list can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let difference: Vec<_> = list.lines().filter(|line| !kept.lines().any(|known| known == *line)).collect();
    assert!(kept == list, "LITEAGENT_NEW_MODULES=1 writes the list anew; new in it: {difference:?}");
}

const HEAD: &str = "\
# What Python in the sandbox can import, asked of the guest by `sandbox/tests/modules.rs`. What stands behind a name says why
# it cannot be there: it needs a `machine`, it holds code of one (`native`), it is for the `network`.
";
