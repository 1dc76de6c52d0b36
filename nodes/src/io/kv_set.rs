//! `kv-set`: keeps a value for later runs.

use liteagent_engine::{
    node::prelude::*,
    store::{Expect, KvEntry},
};

use super::{file_value::store_failed, kv};

/// Keeps a value for later runs.
///
/// With `expect` it is set only if nobody changed the entry meanwhile; else the node fails with the class `conflict`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KvSetConfig {
    /// The key, up to 512 bytes.
    pub key: Template<String>,
    /// The value, with templates at any depth.
    pub value: TemplateTree,
    /// Where the key belongs; the name of the workflow when missing. Workflows that share state name the same.
    #[schemars(length(min = 1, max = 200))]
    pub namespace: Option<String>,
    /// What the entry must be: `any`, `absent`, or the `version` that `kv-get` gave (0 means absent).
    pub expect: Option<Template<Value>>,
}

/// The entry as it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct KvSetOutput {
    /// The value.
    pub value: Value,
    /// Counts the changes of the entry, from 1.
    pub version: u64,
}

/// See [`KvSetConfig`].
pub struct KvSet {
    config: KvSetConfig,
}

impl Node for KvSet {
    const TYPE: &'static str = "kv-set";
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
    type Config = KvSetConfig;
    type Output = KvSetOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    fn acts(&self) -> bool {
        true
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let key = ctx.render(&self.config.key)?;
        kv::check_key(&key)?;
        let value = ctx.render_tree(&self.config.value)?;
        let expect = self.expect(ctx)?;
        let namespace = kv::namespace(self.config.namespace.as_ref(), ctx);
        let result = ctx.kv()?.set(namespace, &key, value.clone(), expect.clone()).await.map_err(store_failed)?;
        match result {
            Ok(entry) => Ok(Outcome::Done(KvSetOutput { value: entry.value, version: entry.version })),
            Err(Some(found)) if is_own(&found, &value, &expect) => {
                Ok(Outcome::Done(KvSetOutput { value: found.value, version: found.version }))
            }
            Err(found) => Err(conflict(&key, found.as_ref(), &expect)),
        }
    }
}

impl KvSet {
    fn expect(&self, ctx: &NodeCtx) -> Result<Expect, NodeError> {
        let Some(expect) = &self.config.expect else { return Ok(Expect::Any) };
        let value = ctx.render(expect)?;
        let version = value.as_i64().and_then(|version| u64::try_from(version).ok());
        match (value.as_str(), version) {
            (Some("any"), _) => Ok(Expect::Any),
            (Some("absent"), _) | (_, Some(0)) => Ok(Expect::Absent),
            (_, Some(version)) => Ok(Expect::Version(version)),
            _ => {
                let message = format!("expected `any`, `absent` or a version in `expect`, found `{value}`");
                Err(NodeError::new(codes::INVALID_CONFIG, ErrorClass::Invalid, message)
                    .hint("pass on the `version` of `kv-get`: \"{{ NODE.version }}\""))
            }
        }
    }
}

/// Whether the entry is what an attempt of this node would have left that was lost after it had written.
fn is_own(found: &KvEntry, value: &Value, expect: &Expect) -> bool {
    let next = match expect {
        Expect::Any => return false,
        Expect::Absent => 1,
        Expect::Version(version) => version + 1,
    };
    found.version == next && found.value == *value
}

fn conflict(key: &str, found: Option<&KvEntry>, expect: &Expect) -> NodeError {
    let expected = match expect {
        Expect::Any => "anything".to_owned(),
        Expect::Absent => "no entry".to_owned(),
        Expect::Version(version) => format!("version {version}"),
    };
    let found = found.map_or_else(|| "none".to_owned(), |entry| format!("version {}", entry.version));
    NodeError::new(codes::KV_CONFLICT, ErrorClass::Conflict, format!("expected {expected} of `{key}`, found {found}"))
        .hint("read the entry again with `kv-get` and decide anew")
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Counts, and notices when another run counts too",
        yaml: "\
type: kv-set
key: count
value: \"{{ last.value + 1 }}\"
expect: \"{{ last.version }}\"
",
        scope: "\
last: { value: 3, version: 1, found: true }
fakes: { kv: { count: 3 } }
",
        gives: "output: { value: 4, version: 2 }",
    },
    Example {
        title: "A lost race is a conflict",
        yaml: "\
type: kv-set
key: lock
value: \"{{ inputs.owner }}\"
expect: absent
",
        scope: "\
inputs: { owner: me }
fakes: { kv: { lock: someone else } }
",
        gives: "\
error: LA2240
message: expected no entry of `lock`, found version 1
",
    },
];
