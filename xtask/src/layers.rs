//! The dependency rule: which crate of ours may use which, and what the core must never reach.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Each crate of the workspace, and the crates of the workspace that it may use. Tests may use more.
const MAY_USE: &[(&str, &[&str])] = &[
    ("liteagent-engine", &[]),
    ("liteagent-backends", &["liteagent-engine"]),
    ("liteagent-queue", &["liteagent-engine"]),
    ("liteagent-nodes", &["liteagent-definitions", "liteagent-engine", "liteagent-sandbox-protocol"]),
    ("liteagent-providers", &["liteagent-engine"]),
    ("liteagent-local-models", &["liteagent-engine"]),
    ("liteagent-knowledge", &["liteagent-backends", "liteagent-engine"]),
    ("liteagent-documents", &["liteagent-engine", "liteagent-sandbox-lock"]),
    ("liteagent-definitions", &[]),
    ("liteagent-sandbox-lock", &[]),
    ("liteagent-sandbox-protocol", &[]),
    ("liteagent-sandbox", &["liteagent-sandbox-protocol"]),
    ("liteagent-sandbox-client", &["liteagent-sandbox-lock", "liteagent-sandbox-protocol"]),
    ("liteagent-sandbox-service", &["liteagent-sandbox-protocol"]),
    ("liteagent-guests", &[]),
    ("liteagent-worker", &["liteagent-engine", "liteagent-queue"]),
    ("liteagent-server", &["liteagent-backends", "liteagent-engine", "liteagent-knowledge", "liteagent-nodes"]),
    (
        "liteagent",
        &[
            "liteagent-backends",
            "liteagent-definitions",
            "liteagent-documents",
            "liteagent-engine",
            "liteagent-guests",
            "liteagent-knowledge",
            "liteagent-local-models",
            "liteagent-nodes",
            "liteagent-providers",
            "liteagent-queue",
            "liteagent-sandbox",
            "liteagent-sandbox-client",
            "liteagent-sandbox-protocol",
            "liteagent-sandbox-service",
            "liteagent-server",
            "liteagent-worker",
        ],
    ),
    (
        "liteagent-tests",
        &["liteagent", "liteagent-backends", "liteagent-definitions", "liteagent-engine", "liteagent-nodes"],
    ),
    (
        "xtask",
        &[
            "liteagent",
            "liteagent-backends",
            "liteagent-definitions",
            "liteagent-engine",
            "liteagent-guests",
            "liteagent-nodes",
            "liteagent-sandbox",
            "liteagent-server",
        ],
    ),
];

/// The core reaches no network and no database, not even through others.
const CORE: &str = "liteagent-engine";
const NETWORK_AND_DATABASES: &[&str] = &[
    "axum",
    "hyper",
    "libsqlite3-sys",
    "native-tls",
    "openssl-sys",
    "qdrant-client",
    "redis",
    "reqwest",
    "rusqlite",
    "rustls",
    "sqlx",
    "sqlx-core",
    "tokio-postgres",
    "tonic",
    "wasmtime",
];

/// Compiling and running WebAssembly is the sandbox's, and its guests': nobody else uses it.
const WEBASSEMBLY: &str = "wasmtime";
const MAY_USE_WEBASSEMBLY: &[&str] = &["liteagent-sandbox", "liteagent-guests"];

/// Checks the rule on `cargo metadata`.
pub(crate) fn check() -> Result<String, String> {
    let graph = Graph::read()?;
    let findings = graph.findings();
    if findings.is_empty() {
        return Ok(format!("layers: {} crates keep the rule", MAY_USE.len()));
    }
    Err(format!(
        "layers: {}\nthe rule stands in `xtask/src/layers.rs` and in ARCHITECTURE.md",
        findings.join("\nlayers: ")
    ))
}

/// What depends on what, by name; dependencies for tests and build scripts left out.
struct Graph {
    ours: BTreeSet<String>,
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> Result<Self, String> {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(crate::root())
            .output()
            .map_err(|error| format!("layers: cannot run cargo: {error}"))?;
        if !output.status.success() {
            return Err(format!("layers: cargo metadata failed\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|error| format!("layers: {error}"))?;
        Ok(Self::of(&metadata))
    }

    fn of(metadata: &Value) -> Self {
        let names: BTreeMap<&str, &str> =
            list(&metadata["packages"]).map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let name = |id: &Value| names.get(text(id)).copied().unwrap_or_default().to_owned();
        let ours = list(&metadata["workspace_members"]).map(name).collect();
        let mut uses = BTreeMap::<String, BTreeSet<String>>::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let normal = |edge: &&Value| list(&edge["dep_kinds"]).any(|kind| kind["kind"].is_null());
            let targets = list(&node["deps"]).filter(normal).map(|edge| name(&edge["pkg"]));
            uses.entry(name(&node["id"])).or_default().extend(targets);
        }
        Self { ours, uses }
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        for ours in &self.ours {
            let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| name == ours) else {
                findings.push(format!("`{ours}` has no row in the table"));
                continue;
            };
            for used in self.uses.get(ours).into_iter().flatten() {
                if used.starts_with(WEBASSEMBLY) && !MAY_USE_WEBASSEMBLY.contains(&ours.as_str()) {
                    findings.push(format!("`{ours}` must not use `{used}`: only the sandbox does"));
                }
                if self.ours.contains(used) && !allowed.contains(&used.as_str()) {
                    findings.push(format!("`{ours}` must not depend on `{used}`"));
                }
            }
        }
        for (name, _) in MAY_USE.iter().filter(|(name, _)| !self.ours.contains(*name)) {
            findings.push(format!("the table names `{name}`, which is no crate of the workspace"));
        }
        for (forbidden, way) in self.reached_from(CORE) {
            if NETWORK_AND_DATABASES.contains(&forbidden.as_str()) {
                findings.push(format!("`{CORE}` must not reach `{forbidden}`: {}", way.join(" -> ")));
            }
        }
        findings
    }

    /// Every crate that `start` uses, directly or not, with one way to it.
    fn reached_from(&self, start: &str) -> BTreeMap<String, Vec<String>> {
        let mut ways = BTreeMap::from([(start.to_owned(), vec![start.to_owned()])]);
        let mut open = vec![start.to_owned()];
        while let Some(from) = open.pop() {
            for to in self.uses.get(&from).into_iter().flatten() {
                if !ways.contains_key(to) {
                    let way = ways[&from].iter().chain([to]).cloned().collect();
                    ways.insert(to.clone(), way);
                    open.push(to.clone());
                }
            }
        }
        ways
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(uses: &[(&str, &[&str])]) -> Graph {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        Graph {
            ours: MAY_USE.iter().map(|(name, _)| (*name).to_owned()).collect(),
            uses: uses.iter().map(|(from, to)| ((*from).to_owned(), names(to))).collect(),
        }
    }

    #[test]
    fn a_forbidden_dependency_is_named_with_the_way_to_it() {
        let bad = graph(&[
            ("liteagent-nodes", &["liteagent-backends", "wasmtime"]),
            (CORE, &["serde", "x"]),
            ("x", &["hyper"]),
        ]);
        assert_eq!(
            bad.findings(),
            [
                "`liteagent-nodes` must not depend on `liteagent-backends`",
                "`liteagent-nodes` must not use `wasmtime`: only the sandbox does",
                "`liteagent-engine` must not reach `hyper`: liteagent-engine -> x -> hyper",
            ]
        );
        assert_eq!(graph(&[("liteagent", &["liteagent-nodes", "clap"])]).findings(), [""; 0]);
    }

    #[test]
    fn the_workspace_keeps_the_rule() {
        assert_eq!(check(), Ok(format!("layers: {} crates keep the rule", MAY_USE.len())));
    }
}
