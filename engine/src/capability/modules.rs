//! What code can import.

use std::{collections::BTreeMap, sync::Arc};

/// The modules of a language, by name: `json`, `xml.etree.ElementTree`.
#[derive(Clone, Debug, Default)]
pub struct Modules(Arc<BTreeMap<Box<str>, Import>>);

/// What comes of importing a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Import {
    /// It is there.
    There,
    /// It is not: it holds code of the machine, which the sandbox does not run.
    Native,
    /// It is not: it is for the network, which the sandbox does not have.
    Network,
}

impl Modules {
    /// Reads a list: a name a line, with `native` or `network` behind those that cannot be there. What follows a `#` is
    /// a remark.
    pub fn parse(list: &str) -> Self {
        let lines = list.lines().filter_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let import = |word| match word {
                Some("native") => Import::Native,
                Some("network") => Import::Network,
                _ => Import::There,
            };
            Some((words.next()?.into(), import(words.next())))
        });
        Self(Arc::new(lines.collect()))
    }

    /// These modules, and others that are there.
    pub fn with<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut modules = (*self.0).clone();
        modules.extend(names.into_iter().map(|name| (name.into(), Import::There)));
        Self(Arc::new(modules))
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What comes of importing a module; `None` when nobody has heard of it. A part of a package that cannot be there
    /// is like the package.
    pub fn import(&self, name: &str) -> Option<Import> {
        let whole = self.0.get(name);
        let package = || self.0.get(name.split('.').next()?).filter(|import| **import != Import::There);
        whole.or_else(package).copied()
    }

    /// The names of those that are there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, import)| **import == Import::There).map(|(name, _)| &**name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_what_is_there_and_what_cannot_be() {
        let modules = Modules::parse("# of the guest\njson\nxml.dom # a package\n\nnumpy native\nrequests network\n");
        assert_eq!(modules.import("xml.dom"), Some(Import::There));
        assert_eq!(modules.import("numpy.linalg"), Some(Import::Native));
        assert_eq!(modules.import("requests"), Some(Import::Network));
        assert_eq!([modules.import("xml"), modules.import("json.nothing"), modules.import("")], [None; 3]);
        let more = modules.with(["phonenumbers", "numpy"]);
        assert_eq!(more.names().collect::<Vec<_>>(), ["json", "numpy", "phonenumbers", "xml.dom"]);
        assert_eq!(more.import("numpy.linalg"), None);
    }
}
