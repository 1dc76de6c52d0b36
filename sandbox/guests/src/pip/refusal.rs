//! Why pip did not give a package: read from what it says. pip is pinned, so it always says it in the same words.

use std::process::{Command, Output};

use super::Pip;
use crate::{
    BuildError, Kind,
    packages::normal,
    tools::{failed, output},
};

const NOT_FOUND: &str = "Could not find a version that satisfies the requirement ";
const OTHER_DIGEST: &str = "DO NOT MATCH THE HASHES";
const CONFLICT: &str = "The conflict is caused by:";
const CONSTRAINT: &str = "The user requested (constraint) ";

/// What pip sees of a package that it cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Nothing,
    Unreachable,
    Sources,
    OtherPython,
    Native,
}

impl Pip<'_> {
    /// Why a download failed.
    pub(super) fn refusal(&self, command: &Command, output: &Output) -> BuildError {
        let said = [&*output.stdout, &*output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if said.contains(OTHER_DIGEST) {
            return other_digest(&said);
        }
        if let Some((_, conflict)) = said.split_once(CONFLICT) {
            return conflicting(conflict);
        }
        match missing(&said) {
            Some(missing) => self.unavailable(&missing),
            None => failed(command, output).into(),
        }
    }

    /// Asks pip for the package alone, and why each of its files is none for the guest.
    fn unavailable(&self, missing: &Missing) -> BuildError {
        let folder = self.work.path("asked");
        let mut ask = self.download(&folder);
        ask.args(["--no-deps", "-vvv", &missing.requirement]);
        let said = match output(&mut ask) {
            Ok(output) => [output.stdout, output.stderr].concat(),
            Err(error) => return error.into(),
        };
        missing.refused(&String::from_utf8_lossy(&said))
    }
}

/// That a package needs code for a machine.
pub(super) fn native(package: &str, why: &str) -> BuildError {
    BuildError::new(Kind::Native, format!("`{package}` needs C extensions, which do not run in the sandbox{why}")).hint(
        "take a package that is Python alone; what needs this one runs elsewhere, as a service that an `http-request` \
         node calls",
    )
}

/// A requirement that pip could not meet.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    requirement: String,
    /// Who needs it, when that is another package.
    by: Option<String>,
    /// The versions that would do but for the requirement.
    versions: Option<String>,
}

fn missing(said: &str) -> Option<Missing> {
    let rest = said.split_once(NOT_FOUND)?.1.lines().next()?;
    let mut parts = rest.split(" (from ");
    let requirement = parts.next()?.trim().to_owned();
    let (mut by, mut versions) = (None, None);
    for part in parts {
        let part = part.trim_end().trim_end_matches(')');
        match part.strip_prefix("versions: ") {
            Some("none") => {}
            Some(known) => versions = Some(known.to_owned()),
            None if part.starts_with('-') => {} // a line of a file
            None => by = Some(part.to_owned()),
        }
    }
    Some(Missing { requirement, by, versions })
}

impl Missing {
    /// Says why, from what pip says of each file.
    fn refused(&self, said: &str) -> BuildError {
        let (name, version) = match self.requirement.split_once("==") {
            Some((name, version)) => (name, Some(version)),
            None => (self.requirement.split(['<', '>', '=', '!', '~', ' ']).next().unwrap_or_default(), None),
        };
        let seen = said.lines().filter_map(|line| seen(line, &normal(name), version)).max();
        let by = self.by.as_ref().map_or_else(String::new, |by| format!("; `{by}` needs it"));
        let what = &self.requirement;
        let refused = |why: String| BuildError::new(Kind::Unavailable, format!("`{what}` {why}{by}"));
        match seen.unwrap_or(Seen::Nothing) {
            Seen::Native => native(what, &by),
            Seen::OtherPython => refused("has no wheel for Python 3.14".to_owned())
                .hint("take a version that supports Python 3.14"),
            Seen::Sources => refused("has no wheel, only sources, which are not built here".to_owned()).hint(format!(
                "take a version that has a wheel; or build one with `pip wheel --no-deps '{what}'`, and give its folder \
                 to pip: `PIP_FIND_LINKS`"
            )),
            Seen::Unreachable => refused("cannot be fetched: the package index does not answer".to_owned())
                .hint("look at the network and at pip's settings (`pip config list`), and try again"),
            Seen::Nothing => refused("is not on the package index".to_owned()).hint(match &self.versions {
                Some(versions) => format!("these versions are: {}", last(versions)),
                None => "look at the name, and at the version".to_owned(),
            }),
        }
    }
}

/// What a line says of a file of the package.
fn seen(line: &str, name: &str, version: Option<&str>) -> Option<Seen> {
    if line.contains("Retrying (") || line.contains("Could not fetch URL") {
        return Some(Seen::Unreachable);
    }
    let file = line.split_whitespace().find_map(|word| {
        let word = word.split('#').next()?;
        let file = word.rsplit('/').next()?;
        [".whl", ".tar.gz", ".zip"].iter().any(|ending| file.ends_with(ending)).then_some(file)
    })?;
    let (of, rest) = match file.strip_suffix(".whl") {
        Some(stem) => stem.split_once('-')?,
        None => file.trim_end_matches(".tar.gz").trim_end_matches(".zip").rsplit_once('-')?,
    };
    let found = rest.split('-').next()?;
    if normal(of) != name || version.is_some_and(|version| version != found) {
        return None;
    }
    if line.contains("No sources permitted") {
        Some(Seen::Sources)
    } else if line.contains("requires a different Python") {
        Some(Seen::OtherPython)
    } else if line.contains("none of the wheel's tags") {
        Some(if rest.ends_with("-any") { Seen::OtherPython } else { Seen::Native })
    } else {
        None
    }
}

/// The newest few of a list of versions.
fn last(versions: &str) -> String {
    const MOST: usize = 8;
    let all: Vec<&str> = versions.split(", ").collect();
    let skipped = all.len().saturating_sub(MOST);
    let before = if skipped > 0 { "..., " } else { "" };
    format!("{before}{}", all[skipped..].join(", "))
}

fn other_digest(said: &str) -> BuildError {
    let lines = || said.lines().map(str::trim).skip_while(|line| !line.contains(OTHER_DIGEST)).skip(1);
    let after = |word: &str| lines().find_map(|line| line.strip_prefix(word)).unwrap_or("?").trim();
    let package = lines().next().and_then(|line| line.split_whitespace().next()).unwrap_or("?");
    let (expected, got) = (after("Expected"), after("Got"));
    let message = format!("`{package}` is not what was locked: expected {expected}, found {got}");
    BuildError::new(Kind::Digest, message)
        .hint("someone may have changed it: find out who. If it is right, run `liteagent sandbox build --update`")
}

fn conflicting(conflict: &str) -> BuildError {
    let lines = conflict.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(|line| !line.is_empty());
    let lines: Vec<String> = lines.map(|line| line.replace(CONSTRAINT, "the sandbox has ")).collect();
    BuildError::new(Kind::Conflict, format!("the packages cannot stand together: {}", lines.join("; ")))
        .hint("change `[sandbox] packages` to versions that fit; what is built in keeps its version")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: &str, log: &str) -> (Kind, String, String) {
        let error = missing(error).unwrap().refused(log);
        (error.kind, error.message, error.hint.unwrap())
    }

    #[test]
    fn a_package_that_cannot_be_had_is_named_with_the_reason() {
        let core = "ERROR: Could not find a version that satisfies the requirement core==2.3 (from big) (from versions: 0.1)\n\
                    ERROR: No matching distribution found for core==2.3 (from big)";
        let skip = |tags: &str, file: &str| {
            format!(
                "  Skipping link: none of the wheel's tags ({tags}) are compatible (run pip debug): https://x.test/{file}#sha256=1 (from y)"
            )
        };
        let native = skip("cp314-cp314-win32", "core-2.3-cp314-cp314-win32.whl");
        let (kind, message, _) = refused(core, &native);
        assert_eq!(kind, Kind::Native);
        assert_eq!(message, "`core==2.3` needs C extensions, which do not run in the sandbox; `big` needs it");

        let sources = "  Skipping link: No sources permitted for core: https://x.test/core-2.3.tar.gz (from y)";
        assert_eq!(
            refused(core, sources).1,
            "`core==2.3` has no wheel, only sources, which are not built here; `big` needs it"
        );
        let old = skip("cp27-none-any", "core-2.3-cp27-none-any.whl");
        assert_eq!(refused(core, &old).1, "`core==2.3` has no wheel for Python 3.14; `big` needs it");
        let other_version = skip("cp314-cp314-win32", "core-2.2-cp314-cp314-win32.whl");
        let (kind, message, hint) = refused(core, &other_version);
        assert_eq!((kind, &*message), (Kind::Unavailable, "`core==2.3` is not on the package index; `big` needs it"));
        assert_eq!(hint, "these versions are: 0.1");
        let offline = "WARNING: Retrying (Retry(total=1)) after connection broken by 'x': /simple/core/";
        assert_eq!(
            refused(core, offline).1,
            "`core==2.3` cannot be fetched: the package index does not answer; `big` needs it"
        );
    }
}
