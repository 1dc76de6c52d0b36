//! Packages of a project: wheels that the tests make, and no network.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::harness::{Folder, Said, cache};

/// A project that wants packages, wheels that pip finds, and a cache of its own with the tools and the built-in packages.
struct Shop {
    folder: Folder,
    wheels: PathBuf,
}

impl Shop {
    fn wanting(packages: &[&str]) -> Self {
        let folder = Folder::new().with("wheels/keep", "");
        let guests = folder.path("cache/guests");
        fs::create_dir_all(guests.join("wheels")).unwrap();
        let built = cache().join("guests");
        for kept in fs::read_dir(built.join("wheels")).expect("`cargo xtask guests` fetches them") {
            let kept = kept.unwrap();
            symlink(kept.path(), guests.join("wheels").join(kept.file_name())).unwrap();
        }
        symlink(built.join("tools"), guests.join("tools")).unwrap();
        let shop = Self { wheels: folder.path("wheels"), folder };
        shop.want(packages);
        shop
    }

    fn want(&self, packages: &[&str]) {
        fs::write(self.folder.path("liteagent.toml"), format!("[sandbox]\npackages = {packages:?}\n")).unwrap();
    }

    /// Puts a wheel on the shelf: files with their texts, and what it needs.
    fn with(self, wheel: &str, needs: &[&str], files: &[(&str, &str)]) -> Self {
        let mut parts = wheel.split('-');
        let (name, version) = (parts.next().unwrap(), parts.next().unwrap());
        let needs = needs.iter().fold(String::new(), |text, need| format!("{text}Requires-Dist: {need}\n"));
        let info = format!("{name}-{version}.dist-info");
        let mut all = json!({
            format!("{info}/METADATA"): format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"),
            format!("{info}/WHEEL"): "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n",
            format!("{info}/RECORD"): "",
        });
        for (path, text) in files {
            all[*path] = json!(text);
        }
        let path = self.wheels.join(format!("{wheel}.whl"));
        let write = "import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as archive:\n    \
                     for path, text in json.loads(sys.argv[2]).items(): archive.writestr(path, text)";
        let written = Command::new("python3").args(["-c", write]).arg(path).arg(all.to_string()).status().unwrap();
        assert!(written.success());
        self
    }

    fn holding(mut self, name: &str, text: &str) -> Self {
        self.folder = self.folder.with(name, text);
        self
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut command = self.folder.command(args);
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("LITEAGENT_CACHE", self.folder.path("cache"));
        command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", &self.wheels);
        Said::of(command.output().unwrap())
    }

    fn build(&self) -> Said {
        self.run(&["sandbox", "build"])
    }

    /// What a build that must be refused says, on one line.
    fn refused(&self) -> String {
        let said = self.build();
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{}", said.err);
        assert!(!said.err.contains("making a snapshot"), "{}", said.err);
        said.err.lines().skip_while(|line| !line.starts_with("error")).collect::<Vec<_>>().join("\n")
    }

    fn lock(&self) -> String {
        fs::read_to_string(self.folder.path("sandbox.lock")).unwrap()
    }

    fn write_lock(&self, lock: &str) {
        fs::write(self.folder.path("sandbox.lock"), lock).unwrap();
    }
}

const DIGEST: &str = "8e76690c6c2ab4c1e1a3f2c2f5bb8f2b1e3e4f0a0c5d6e7f8091a2b3c4d5e6f7";

/// A workflow with code that uses them.
const USES: &str = "\
name: uses
nodes:
  use:
    type: code
    language: python
    code: |
      import sys
      loaded = 'tiny' in sys.modules
      import importlib.metadata
      import moved, space.tiny, tiny, tiny.config, yaml

      def main():
          return {'result': {
              'loaded': loaded, 'four': tiny.twice(2), 'word': tiny.config.WORD, 'moved': moved.HERE,
              'version': importlib.metadata.version('tiny'), 'dice': tiny.DICE.random(),
          }}
    returns: { result: object }
outputs: { result: \"{{ use.result }}\" }
";

/// The one build of a guest: it takes half a minute.
#[test]
fn packages_are_locked_built_once_and_imported() {
    let shop = Shop::wanting(&["tiny==1.0"])
        .with(
            "tiny-1.0-py3-none-any",
            &[
                "Help_er>=2 ; python_version >= '3.14'",
                "elsewhere ; sys_platform == 'linux'",
                "pyyaml",
                "jinja2[i18n]>=3",
                "extra ; extra == 'more'",
            ],
            &[
                (
                    "tiny/__init__.py",
                    "import random, helper\nDICE = random.Random()\ndef twice(x):\n    return helper.add(x, x)",
                ),
                (
                    "tiny/config/__init__.py",
                    "from importlib.resources import files\nWORD = (files('tiny') / 'word.txt').read_text()",
                ),
                ("tiny/word.txt", "wörd"),
                ("space/tiny.py", "HERE = True"),
                ("tiny-1.0.data/purelib/moved.py", "from space.tiny import HERE"),
                ("tiny-1.0.data/scripts/tiny", "#!python"),
                ("broken.py", "import ssl"),
            ],
        )
        .with("help_er-2.1-py2.py3-none-any", &[], &[("helper.py", "def add(a, b):\n    return a + b")])
        .with("Babel-3-py3-none-any", &[], &[("babel.py", "")])
        .holding("uses.yaml", USES);
    let run = shop.run(&["run", "uses"]);
    assert!(run.code == 2 && run.err.contains("error[LA3131]: `liteagent.toml` wants packages"), "{}", run.err);

    let said = shop.build();
    assert_eq!(said.code, 0, "{}", said.err);
    let pins: Vec<String> =
        shop.lock().lines().filter_map(|line| Some(line.split_once(" --hash=sha256:")?.0.to_owned())).collect();
    assert_eq!(pins, ["babel==3", "help-er==2.1", "tiny==1.0"]);
    let told = "`broken` cannot be imported in the sandbox: ModuleNotFoundError: No module named '_ssl'";
    assert!(said.err.contains(told) && said.err.contains("locked tiny==1.0"), "{}", said.err);

    let (lock, again) = (shop.lock(), shop.build());
    assert_eq!((again.code, &*again.err, again.out), (0, "", said.out), "a second build has nothing to do");
    assert_eq!(shop.lock(), lock);
    let doctor = shop.run(&["doctor"]);
    assert!(doctor.out.contains("; Python with tiny==1.0 (8 modules), and JavaScript"), "{}", doctor.out);

    let guests = shop.folder.path("cache/guests");
    let guest = guest_in(&guests);
    let modules = fs::read_to_string(guests.join(guest.replace(".wasm", ".modules.txt"))).unwrap();
    let added = ["babel", "broken", "helper", "moved", "space", "space.tiny", "tiny", "tiny.config"];
    assert_eq!(modules.lines().collect::<Vec<_>>(), added);

    let mut dice = Vec::new();
    for _ in 0..2 {
        let run = shop.run(&["run", "uses", "--json"]);
        let run: Value = serde_json::from_str(&run.out).unwrap_or_else(|error| panic!("{error}: {}", run.err));
        let mut outputs = run["outputs"]["result"].clone();
        dice.push(outputs["dice"].take());
        let expected = json!({
            "loaded": true, "four": 4, "word": "wörd", "moved": true, "version": "1.0", "dice": null,
        });
        assert_eq!(outputs, expected, "{run}");
    }
    assert_ne!(dice[0], dice[1], "what a package draws at random differs from call to call");

    // A project that does not want them has nothing of it.
    shop.want(&[]);
    assert!(shop.run(&["doctor"]).out.contains("`sandbox.lock` is there"));
    let run = shop.run(&["run", "uses"]);
    assert!(run.code == 1 && run.err.contains("error[LA1135]: there is no module `tiny`"), "{}", run.err);
}

#[test]
fn packages_with_code_for_a_machine_are_refused_by_name() {
    let wheel = "fast-2.0-cp314-cp314-manylinux2014_x86_64";
    let shop = Shop::wanting(&["fast==2.0"])
        .with(wheel, &[], &[("fast/_core.so", "")])
        .with("slow-1.0-py3-none-any", &["fast>=2"], &[("slow.py", "")])
        .with("hidden-1.0-py3-none-any", &[], &[("hidden/__init__.py", ""), ("hidden/libfast.so.1", "")]);
    let hint = "\n  = help: take a package that is Python alone; what needs this one runs elsewhere, as a service that an \
                `http-request` node calls";
    let said = "error[LA3132]: `fast==2.0` needs C extensions, which do not run in the sandbox";
    assert_eq!(shop.refused(), format!("{said}{hint}"));
    shop.want(&["slow==1.0"]);
    let said = "error[LA3132]: `fast>=2` needs C extensions, which do not run in the sandbox; `slow` needs it";
    assert_eq!(shop.refused(), format!("{said}{hint}"));
    shop.want(&["hidden==1.0"]);
    let said = "error[LA3132]: `hidden==1.0` needs C extensions, which do not run in the sandbox: it holds `hidden/libfast.so.1`";
    assert_eq!(shop.refused(), format!("{said}{hint}"));
    assert!(!shop.folder.path("sandbox.lock").exists(), "what is refused is not locked");
}

#[test]
fn what_cannot_be_had_or_cannot_stand_together_is_named() {
    let shop = Shop::wanting(&["tiny==9"])
        .with("tiny-1.0-py3-none-any", &[], &[("tiny.py", "")])
        .with("old-1.0-py3-none-any", &["jinja2<3"], &[("old.py", "")])
        .with("clash-1.0-py3-none-any", &[], &[("stdlib.py", "")]);
    let said = shop.refused();
    assert!(said.contains("error[LA3133]: `tiny==9` is not on the package index"), "{said}");
    assert!(said.contains("these versions are: 1.0"), "{said}");
    shop.want(&["old==1.0"]);
    let said = shop.refused();
    assert!(said.contains("error[LA3134]: the packages cannot stand together: "), "{said}");
    assert!(said.contains("old 1.0 depends on jinja2<3; the sandbox has jinja2==3.1.6"), "{said}");
    shop.want(&["clash==1.0"]);
    let said = shop.refused();
    assert!(
        said.contains("error[LA3134]: `clash==1.0` has a module `stdlib`, which is a part of the sandbox"),
        "{said}"
    );
    shop.want(&["Jinja2==2"]);
    let said = shop.refused();
    assert!(said.contains("error[LA3134]: `jinja2==2` is wanted; jinja2==3.1.6 is built into the sandbox"), "{said}");
    shop.want(&["tiny"]);
    let said = shop.refused();
    assert!(
        said.contains("error[LA3004]: `sandbox.packages` of `liteagent.toml`: expected `NAME==VERSION`, found `tiny`"),
        "{said}"
    );
}

#[test]
fn a_lock_decides_and_must_fit() {
    let shop = Shop::wanting(&["tiny==1.0"])
        .with("tiny-1.0-py3-none-any", &["helper"], &[("tiny.py", "")])
        .with("helper-1.0-py3-none-any", &[], &[("helper.py", "")])
        .holding("uses.yaml", USES);
    let doctor = shop.run(&["doctor"]);
    assert!(doctor.code == 1 && doctor.out.contains("there is no `sandbox.lock` that pins them"), "{}", doctor.out);

    shop.write_lock(&format!("tiny==1.0 --hash=sha256:{DIGEST}\n"));
    let said = shop.refused();
    let expected = format!("error[LA3135]: `tiny==1.0` is not what was locked: expected sha256 {DIGEST}, found ");
    assert!(said.starts_with(&expected), "{said}");
    let doctor = shop.run(&["doctor"]);
    let expected = "the sandbox of this project is not built with its packages: tiny==1.0";
    assert!(doctor.code == 1 && doctor.out.contains(&format!("BAD   sandbox       {expected}")), "{}", doctor.out);
    let run = shop.run(&["run", "uses"]);
    let expected = format!("error[LA3130]: {expected}\n  = help: run `liteagent sandbox build`\n");
    assert_eq!((run.code, run.err), (2, expected));

    let (tiny, helper) = (
        sha256(&shop.wheels.join("tiny-1.0-py3-none-any.whl")),
        sha256(&shop.wheels.join("helper-1.0-py3-none-any.whl")),
    );
    shop.write_lock(&format!("tiny==1.0 --hash=sha256:{tiny}\n"));
    let said = shop.refused();
    assert!(said.starts_with("error[LA3134]: `tiny` 1.0 needs `helper`, which is not locked"), "{said}");

    shop.want(&["helper==1.0"]);
    let said = shop.refused();
    let expected = "error[LA3131]: `sandbox.lock` does not have helper==1.0, which `[sandbox] packages` wants\n  = help: run \
                    `liteagent sandbox build --update`";
    assert_eq!(said, expected);
    shop.write_lock(&format!("tiny==1.0 --hash=sha256:{tiny}\nhelper==1.0 --hash=sha256:{helper}\n"));
    let said = shop.refused();
    assert!(said.starts_with("error[LA3131]: `sandbox.lock` has tiny==1.0, which nothing needs"), "{said}");
    shop.write_lock("helper==1.0 --index-url=https://x.test\n");
    let said = shop.refused();
    assert!(
        said.starts_with("error[LA3131]: line 1 of `sandbox.lock`: expected `NAME==VERSION --hash=sha256:DIGEST`"),
        "{said}"
    );
}

fn guest_in(guests: &Path) -> String {
    let paths = fs::read_dir(guests).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "wasm")).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].file_name().unwrap().to_str().unwrap().to_owned()
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
