//! `kv-get`: a value that an earlier run kept.

use liteagent_engine::node::prelude::*;

use super::{file_value::store_failed, kv};

/// Reads a value that `kv-set` kept: state that outlives a run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvGetConfig {
    /// The key, up to 512 bytes.
    pub key: Template<String>,
    /// Where the key belongs; the name of the workflow when missing. Workflows that share state name the same.
    #[schemars(length(min = 1, max = 200))]
    pub namespace: Option<String>,
    /// The value when the key is not there; `null` when missing.
    #[serde(default)]
    pub default: TemplateTree,
}

/// The entry.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KvGetOutput {
    /// The value, or the default.
    pub value: Value,
    /// Counts the changes of the entry, from 1; 0 when it is not there. `kv-set` takes it as `expect`.
    pub version: u64,
    /// Whether the key is there.
    pub found: bool,
}

/// See [`KvGetConfig`].
pub struct KvGet {
    config: KvGetConfig,
}

impl Node for KvGet {
    const TYPE: &'static str = "kv-get";
    const META: NodeMeta = NodeMeta {
        family: Family::Io,
        effect: Effect::Idempotent,
        inline: false,
        container: None,
        streams: false,
        requires: &[Capability::Kv],
        fails_when_lost: false,
        aliases: &[],
        examples: EXAMPLES,
    };
    type Config = KvGetConfig;
    type Output = KvGetOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let key = ctx.render(&self.config.key)?;
        kv::check_key(&key)?;
        let namespace = kv::namespace(self.config.namespace.as_ref(), ctx);
        let entry = ctx.kv()?.get(namespace, &key).await.map_err(store_failed)?;
        Ok(Outcome::Done(match entry {
            Some(entry) => KvGetOutput { value: entry.value, version: entry.version, found: true },
            None => KvGetOutput { value: ctx.render_tree(&self.config.default)?, version: 0, found: false },
        }))
    }
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Where the last run stopped",
        yaml: "\
type: kv-get
key: cursor
default: 0
",
        scope: "fakes: { kv: { cursor: 41 } }",
        gives: "output: { value: 41, version: 1, found: true }",
    },
    Example {
        title: "A key that is not there gives the default",
        yaml: "\
type: kv-get
key: seen/{{ inputs.id }}
default: { count: 0 }
",
        scope: "\
inputs: { id: a7 }
fakes: { kv: {} }
",
        gives: "output: { value: { count: 0 }, version: 0, found: false }",
    },
    Example {
        title: "A key is not empty",
        yaml: "\
type: kv-get
key: \"{{ inputs.id }}\"
",
        scope: "\
inputs: { id: \"\" }
fakes: { kv: {} }
",
        gives: "error: LA2241",
    },
];
