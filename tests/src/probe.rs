//! A node whose behaviour tests choose, and that counts how often it acts.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use liteagent_engine::node::prelude::*;

static CALLS: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

/// How a probe behaves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeConfig {
    /// What it counts its calls under; unique per test.
    pub name: Template<String>,
    /// How many of its first calls fail.
    #[serde(default)]
    pub failures: u32,
    /// The class of those failures.
    #[serde(default)]
    pub class: Option<ErrorClass>,
    /// What it leaves behind for people.
    #[serde(default)]
    pub says: String,
    /// Whether it never ends.
    #[serde(default)]
    pub hangs: bool,
    /// What each call uses, by model; also one that fails or hangs.
    #[serde(default)]
    pub uses: IndexMap<String, Usage>,
    /// What it gives back.
    #[serde(default)]
    pub gives: TemplateTree,
}

/// What came in.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProbeOutput {
    /// What `gives` rendered to.
    pub value: Value,
    /// How often it was called.
    pub call: u32,
}

/// See [`ProbeConfig`].
#[derive(Debug)]
pub struct Probe {
    config: ProbeConfig,
}

impl Node for Probe {
    const TYPE: &'static str = "probe";
    const META: NodeMeta = NodeMeta { effect: Effect::AtLeastOnce, inline: false, ..NodeMeta::pure(Family::Io, &[]) };
    type Config = ProbeConfig;
    type Output = ProbeOutput;

    fn new(config: ProbeConfig) -> Result<Self, ConfigError> {
        Ok(Self { config })
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<ProbeOutput>, NodeError> {
        let name = ctx.render(&self.config.name)?;
        let call = {
            let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
            let call = calls.entry(name).or_default();
            *call += 1;
            *call
        };
        ctx.log(&self.config.says);
        for (model, usage) in &self.config.uses {
            ctx.spend(model, *usage);
        }
        if self.config.hangs {
            std::future::pending::<()>().await;
        }
        if call <= self.config.failures {
            let class = self.config.class.unwrap_or(ErrorClass::Unavailable);
            return Err(NodeError::new(codes::HTTP_UNREACHABLE, class, format!("call {call} failed")));
        }
        Ok(Outcome::Done(ProbeOutput { value: ctx.render_tree(&self.config.gives)?, call }))
    }
}

/// How often the probes of this name were called.
pub fn calls(name: &str) -> u32 {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
}
