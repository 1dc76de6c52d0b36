//! A node whose behaviour tests choose, and that counts how often it acts.

use std::{
    collections::{HashMap, HashSet},
    sync::{LazyLock, Mutex, PoisonError},
};

use liteagent_engine::node::prelude::*;

static CALLS: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);
static RELEASED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

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
    /// How many of its first calls never end.
    #[serde(default)]
    pub hanging_calls: u32,
    /// Whether it goes on only when [`release`] is called with its name.
    #[serde(default)]
    pub held: bool,
    /// What each call uses, by model; also one that fails or hangs.
    #[serde(default)]
    pub uses: IndexMap<String, Usage>,
    /// Of a model: how many further calls it makes, each with the same usage.
    #[serde(default)]
    pub more_calls: u32,
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

impl Probe {
    fn spend(&self, ctx: &NodeCtx) {
        for (model, usage) in &self.config.uses {
            ctx.spend(model, *usage);
        }
    }
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
            let call = calls.entry(name.clone()).or_default();
            *call += 1;
            *call
        };
        ctx.log(&self.config.says);
        self.spend(ctx);
        if self.config.hangs || call <= self.config.hanging_calls {
            std::future::pending::<()>().await;
        }
        while self.config.held && !RELEASED.lock().unwrap_or_else(PoisonError::into_inner).contains(&name) {
            tokio::task::yield_now().await;
        }
        if call <= self.config.failures {
            let class = self.config.class.unwrap_or(ErrorClass::Unavailable);
            return Err(NodeError::new(codes::HTTP_UNREACHABLE, class, format!("call {call} failed")));
        }
        Ok(Outcome::Done(ProbeOutput { value: ctx.render_tree(&self.config.gives)?, call }))
    }
}

/// A probe that counts as a call of a model.
#[derive(Debug)]
pub struct ModelProbe(Probe);

impl Node for ModelProbe {
    const TYPE: &'static str = "model-probe";
    const META: NodeMeta = NodeMeta { requires: &[Capability::Models], effect: Effect::Idempotent, ..Probe::META };
    type Config = ProbeConfig;
    type Output = ProbeOutput;

    fn new(config: ProbeConfig) -> Result<Self, ConfigError> {
        Probe::new(config).map(Self)
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<ProbeOutput>, NodeError> {
        let outcome = self.0.run(ctx).await?;
        for _ in 0..self.0.config.more_calls {
            ctx.may_call()?;
            self.0.spend(ctx);
        }
        Ok(outcome)
    }
}

/// How often the probes of this name were called.
pub fn calls(name: &str) -> u32 {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or(0)
}

/// Lets the probes of this name go on that are held, now and later.
pub fn release(name: &str) {
    RELEASED.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
}
