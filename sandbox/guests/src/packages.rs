//! The packages that a project wants in the Python guest, and their lock.

use std::{
    collections::BTreeSet,
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    BuildError, Kind, pip,
    tools::{self, digest},
};

/// The name of the file that locks the packages of a project, beside its configuration.
pub const LOCK: &str = "sandbox.lock";

/// What begins a lock.
const HEAD: &str =
    "# The packages of `[sandbox] packages`, with what they need, pinned by version and digest. Keep this file under
# version control. `liteagent sandbox build --update` writes it.
";

/// A package of a version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// The name as PyPI compares it: `python-slugify`.
    pub name: String,
    /// The version.
    pub version: String,
}

/// A package with the digests that its wheel may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pin {
    /// The package.
    pub package: Package,
    /// SHA-256 in hexadecimal.
    pub digests: Vec<String>,
}

/// Packages that are pinned: a requirements file of pip.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock(pub Vec<Pin>);

/// The packages that a project wants, and a lock that fits them.
#[derive(Clone, Debug)]
pub struct Packages {
    pub(crate) wanted: Vec<Package>,
    pub(crate) lock: Lock,
}

/// Reads the entries of `packages`.
///
/// # Errors
/// When one is no `NAME==VERSION`, a package stands twice, or is built in with another version.
/// What is built in with that version is left out: it is there.
pub fn wanted(entries: &[String]) -> Result<Vec<Package>, BuildError> {
    let mut wanted: Vec<Package> = Vec::new();
    let built_in = built_in();
    for entry in entries {
        let package: Package = entry.parse()?;
        if let Some(twice) = wanted.iter().find(|known| known.name == package.name) {
            return Err(BuildError::new(Kind::Entry, format!("`{}` is wanted twice: {twice} and {entry}", twice.name))
                .hint("keep one of the two"));
        }
        match built_in.find(&package.name) {
            Some(pin) if pin.package.is(&package) => continue,
            Some(pin) => {
                let message = format!("`{package}` is wanted; {} is built into the sandbox", pin.package);
                return Err(
                    BuildError::new(Kind::Conflict, message).hint("leave it out, and use the version that is there")
                );
            }
            None => {}
        }
        wanted.push(package);
    }
    wanted.sort_unstable();
    Ok(wanted)
}

/// Finds the packages that are wanted with all that they need, and locks them.
///
/// # Errors
/// When one cannot be had, needs code for a machine, or cannot stand beside the others.
pub fn resolve(folder: &Path, wanted: &[Package], say: impl Fn(&str)) -> Result<Lock, BuildError> {
    let work = tools::Work::begin(folder, &say)?;
    pip::Pip::prepare(&work, &say)?.resolve(wanted, &say)
}

impl Packages {
    /// Packages that a lock covers.
    ///
    /// # Errors
    /// When one is not locked, or in another version.
    pub fn new(wanted: Vec<Package>, lock: Lock) -> Result<Self, BuildError> {
        for package in &wanted {
            let message = match lock.find(&package.name) {
                Some(pin) if pin.package.is(package) => continue,
                Some(pin) => format!("`{LOCK}` has {}; `[sandbox] packages` wants {package}", pin.package),
                None => format!("`{LOCK}` does not have {package}, which `[sandbox] packages` wants"),
            };
            return Err(BuildError::new(Kind::Lock, message).hint("run `liteagent sandbox build --update`"));
        }
        Ok(Self { wanted, lock })
    }

    /// The packages that are wanted.
    pub fn wanted(&self) -> &[Package] {
        &self.wanted
    }

    /// The name of the guest that holds these packages in the folder of the guests, whether it is built or not.
    pub fn guest(&self) -> String {
        format!("python-{}.wasm", self.digest())
    }

    /// Whether that guest is built.
    pub fn is_built(&self, folder: &Path) -> bool {
        folder.join(self.guest()).is_file()
    }

    /// The modules that code can import in that guest beside those of every guest, once it is built: `slugify.slugify`.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn modules(&self, folder: &Path) -> io::Result<BTreeSet<String>> {
        let text = fs::read_to_string(self.modules_file(folder))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The file of that list: a name a line, sorted.
    pub(crate) fn modules_file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("python-{}.modules.txt", self.digest()))
    }

    fn digest(&self) -> String {
        let wanted: Vec<String> = self.wanted.iter().map(ToString::to_string).collect();
        let lock = self.lock.to_string();
        let parts = [env!("GUEST_SOURCES"), &lock].into_iter().chain(wanted.iter().map(String::as_str));
        digest(parts.map(str::as_bytes))[..16].to_owned()
    }
}

/// The packages that every guest has.
pub(crate) fn built_in() -> Lock {
    crate::python::source("packages.txt").parse().expect("a test reads it")
}

impl Package {
    /// Whether it is the same, in a version that may be written in another way.
    fn is(&self, other: &Self) -> bool {
        let plain = |version: &str| {
            let version = version.to_ascii_lowercase().replace(['-', '_'], "");
            let mut version = version.trim_start_matches('v');
            while let Some(shorter) = version.strip_suffix(".0") {
                version = shorter;
            }
            version.to_owned()
        };
        self.name == other.name && plain(&self.version) == plain(&other.version)
    }
}

impl Lock {
    /// The pin of a package.
    pub(crate) fn find(&self, name: &str) -> Option<&Pin> {
        self.0.iter().find(|pin| pin.package.name == name)
    }
}

/// A name as PyPI compares it.
pub(crate) fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

impl fmt::Display for Package {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}=={}", self.name, self.version)
    }
}

impl FromStr for Package {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let wrong = || BuildError::new(Kind::Entry, format!("expected `NAME==VERSION`, found `{text}`"));
        if text.contains('[') {
            return Err(wrong().hint("extras are not read: name the packages that the extra stands for"));
        }
        let (name, version) = text
            .split_once("==")
            .map(|(name, version)| (name.trim(), version.trim()))
            .ok_or_else(|| wrong().hint("a package is wanted in one version, such as `python-slugify==8.0.4`"))?;
        let is_end = |end: Option<char>| end.is_some_and(|end| end.is_ascii_alphanumeric());
        let is_name = is_end(name.chars().next())
            && is_end(name.chars().next_back())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        let is_version = is_end(version.chars().next())
            && version.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.+!".contains(letter));
        if !is_name || !is_version {
            return Err(wrong().hint("give the name as PyPI shows it, and one version without `*`"));
        }
        Ok(Self { name: normal(name), version: version.to_owned() })
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.package.fmt(formatter)?;
        self.digests.iter().try_for_each(|digest| write!(formatter, " --hash=sha256:{digest}"))
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(HEAD)?;
        self.0.iter().try_for_each(|pin| writeln!(formatter, "{pin}"))
    }
}

impl FromStr for Lock {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let mut pins = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let pin = pin(line).ok_or_else(|| {
                let wanted = "expected `NAME==VERSION --hash=sha256:DIGEST`";
                BuildError::new(Kind::Lock, format!("line {} of `{LOCK}`: {wanted}, found `{line}`", number + 1))
                    .hint("take the file from version control, or run `liteagent sandbox build --update`")
            })?;
            pins.push(pin);
        }
        Ok(Self(pins))
    }
}

fn pin(line: &str) -> Option<Pin> {
    let mut words = line.split_whitespace();
    let package = words.next()?.parse().ok()?;
    let is_digest = |digest: &&str| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digests = words
        .map(|word| Some(word.strip_prefix("--hash=sha256:").filter(is_digest)?.to_ascii_lowercase()))
        .collect::<Option<Vec<_>>>()?;
    (!digests.is_empty()).then_some(Pin { package, digests })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "8e76690c6c2ab4c1e1a3f2c2f5bb8f2b1e3e4f0a0c5d6e7f8091a2b3c4d5e6f7";

    fn lock(text: &str) -> Result<Lock, String> {
        text.parse::<Lock>().map_err(|error| error.message)
    }

    #[test]
    fn the_built_in_packages_are_pinned() {
        assert!(built_in().find("jinja2").is_some());
    }

    #[test]
    fn an_entry_is_a_name_and_one_version() {
        let package: Package = "Python_Slugify == 8.0.4".parse().unwrap();
        assert_eq!(package.to_string(), "python-slugify==8.0.4");
        for entry in ["slugify", "a>=1", "a==1.*", "a[x]==1", "a==", "==1", "a==1 --index-url=x", "-r==1", "a ==1; x"] {
            let error = entry.parse::<Package>().unwrap_err();
            assert_eq!(error.message, format!("expected `NAME==VERSION`, found `{entry}`"));
            assert!(error.hint.is_some());
        }
        let twice = wanted(&["a.b==1".into(), "A-B==2".into()]).unwrap_err();
        assert_eq!(twice.message, "`a-b` is wanted twice: a-b==1 and A-B==2");
        let other = wanted(&["Jinja2==2.0".into()]).unwrap_err();
        assert_eq!(other.message, "`jinja2==2.0` is wanted; jinja2==3.1.6 is built into the sandbox");
    }

    #[test]
    fn a_lock_reads_back_as_it_was_written_and_names_a_line_that_is_wrong() {
        let text = format!("{HEAD}a-b==1 --hash=sha256:{DIGEST}\n");
        assert_eq!(lock(&text).unwrap().to_string(), text);
        for line in ["a==1", "a==1 --hash=sha256:12", "--index-url https://x.test", "a==1 --hash=md5:1 -e ."] {
            let error = lock(&format!("\n{line}\n")).unwrap_err();
            assert!(error.starts_with("line 2 of `sandbox.lock`: expected ") && error.ends_with(&format!("`{line}`")));
        }
    }

    #[test]
    fn a_lock_covers_what_is_wanted() {
        let lock = lock(&format!("tiny==1.0 --hash=sha256:{DIGEST}")).unwrap();
        let covers = |entry: &str| {
            let wanted = wanted(&[entry.to_owned()]).unwrap();
            Packages::new(wanted, lock.clone()).map_err(|error| error.message)
        };
        assert!(covers("Tiny==1").is_ok());
        assert!(wanted(&["jinja2==3.1.6".into()]).unwrap().is_empty(), "what is built in needs no lock");
        assert_eq!(covers("tiny==2").unwrap_err(), "`sandbox.lock` has tiny==1.0; `[sandbox] packages` wants tiny==2");
        assert_eq!(
            covers("other==2").unwrap_err(),
            "`sandbox.lock` does not have other==2, which `[sandbox] packages` wants"
        );
        let other = Packages::new(Vec::new(), lock.clone()).unwrap();
        assert_ne!(covers("tiny==1").unwrap().guest(), other.guest(), "what is wanted decides, not the lock alone");
    }
}
