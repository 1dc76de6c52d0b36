//! The library: workflows that come with LiteAgent, each with its tests beside it, and node types that are made of nodes.

/// Every workflow of the library, by name: name and YAML.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIBRARY.iter().copied()
}

/// The YAML of the workflow with this name.
pub fn get(name: &str) -> Option<&'static str> {
    all().find(|(known, _)| *known == name).map(|(_, yaml)| yaml)
}

/// Every composite of the library: the node type that it makes, and its YAML.
pub fn composites() -> impl Iterator<Item = (&'static str, &'static str)> {
    COMPOSITES.iter().copied()
}

const COMPOSITES: &[(&str, &str)] = &[
    ("agent", include_str!("../composites/agent.yaml")),
    ("knowledge-index", include_str!("../composites/knowledge-index.yaml")),
    ("knowledge-retrieval", include_str!("../composites/knowledge-retrieval.yaml")),
];

macro_rules! library {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../", $name, ".yaml")))),+]
    };
}

const LIBRARY: &[(&str, &str)] = library![
    "agent/assistant",
    "agent/look-into",
    "agent/orders",
    "agent/researcher",
    "agent/review",
    "approvals/purchase",
    "chat/assistant",
    "chat/support",
    "chat/todo",
    "data/clean-customers",
    "data/sales-by-month",
    "hooks/price",
    "indexing/document",
    "indexing/folder",
    "indexing/url",
    "integrations/github-issues",
    "model/extract-invoice",
    "monitoring/report-missing",
    "monitoring/site-watch",
    "orders/fulfil",
    "orders/lookup",
    "orders/refund",
    "rag/agentic",
    "rag/answer",
    "rag/conversational",
    "reports/markdown",
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_definition_is_in_the_library_and_has_tests() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        for folder in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
            let folder_name = folder.file_name().unwrap().to_string_lossy().into_owned();
            if !folder.is_dir() || folder_name == "src" || folder_name == "composites" {
                continue;
            }
            for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()) {
                let file = file.into_string().unwrap();
                if let Some(name) = file.strip_suffix(".yaml").filter(|name| !name.contains(".test")) {
                    assert!(folder.join(format!("{name}.test.yaml")).is_file(), "{folder_name}/{name} has no tests");
                    found.insert(format!("{folder_name}/{name}"));
                }
            }
        }
        for file in fs::read_dir(root.join("composites")).unwrap().map(|entry| entry.unwrap().file_name()) {
            let file = file.into_string().unwrap();
            let name = file.strip_suffix(".yaml").unwrap_or_else(|| panic!("{file} is no composite"));
            assert!(composites().any(|(known, _)| known == name), "composites/{name} is not listed");
        }
        let listed: BTreeSet<String> = all().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(listed, found);
        assert!(get("orders/lookup").unwrap().contains("format: 1") && get("orders/none").is_none());
    }
}
