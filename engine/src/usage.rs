//! What calls of models use: tokens and money, by call, by model, and in all.

use std::{
    collections::BTreeMap,
    ops::AddAssign,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::Value;

/// What calls of models used. Amounts add up. Journals keep this form, in which a member that is 0 is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// How many calls.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls: u64,
    /// Tokens of questions, those from the provider's cache included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub input_tokens: u64,
    /// Those of them that the provider had in its cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u64,
    /// Tokens of answers, those of reasoning included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output_tokens: u64,
    /// Those of them that were reasoning.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reasoning_tokens: u64,
    /// What it cost by the price table, in millionths of a US dollar; written as a number of dollars.
    #[serde(default, skip_serializing_if = "is_zero", with = "dollars")]
    #[schemars(with = "f64")]
    pub cost: u64,
    /// Calls of models whose price is not known; `cost` is without them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced: u64,
}

impl Usage {
    /// Questions and answers together.
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Whether nothing was used.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The form with every member.
    pub fn report(&self) -> UsageReport {
        UsageReport {
            calls: self.calls,
            input_tokens: self.input_tokens,
            cached_tokens: self.cached_tokens,
            output_tokens: self.output_tokens,
            reasoning_tokens: self.reasoning_tokens,
            tokens: self.tokens(),
            cost: dollars::of(self.cost),
            unpriced: self.unpriced,
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        let add = |sum: &mut u64, more| *sum = sum.saturating_add(more);
        add(&mut self.calls, more.calls);
        add(&mut self.input_tokens, more.input_tokens);
        add(&mut self.cached_tokens, more.cached_tokens);
        add(&mut self.output_tokens, more.output_tokens);
        add(&mut self.reasoning_tokens, more.reasoning_tokens);
        add(&mut self.cost, more.cost);
        add(&mut self.unpriced, more.unpriced);
    }
}

/// Usage as templates (`sys.usage`), outputs of nodes and replies hold it: every member is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct UsageReport {
    /// How many calls of models.
    pub calls: u64,
    /// Tokens of questions, those from the provider's cache included.
    pub input_tokens: u64,
    /// Those of them that the provider had in its cache.
    pub cached_tokens: u64,
    /// Tokens of answers, those of reasoning included.
    pub output_tokens: u64,
    /// Those of them that were reasoning.
    pub reasoning_tokens: u64,
    /// Questions and answers together.
    pub tokens: u64,
    /// What it cost by the price table, in US dollars.
    pub cost: f64,
    /// Calls of models whose price is not known; `cost` is without them.
    pub unpriced: u64,
}

impl UsageReport {
    /// As templates see it.
    pub fn to_value(&self) -> Value {
        Value::from_serialize(self).expect("integers and a finite number have a JSON form")
    }
}

/// What an attempt of a node or a run used, with the runs that it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// What was used of each model, by its name `provider/model`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Usage>,
    /// How many nodes the runs started that it started.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nodes: u64,
}

impl Spent {
    /// Adds what was used of a model. Nothing leaves no trace; without a number of calls it was one.
    pub fn add(&mut self, model: &str, mut usage: Usage) {
        if usage.is_nothing() {
            return;
        }
        usage.calls = usage.calls.max(1);
        *self.models.entry(model.to_owned()).or_default() += usage;
    }

    /// Whether nothing was used.
    pub fn is_nothing(&self) -> bool {
        self.models.is_empty() && self.nodes == 0
    }

    /// All models together.
    pub fn total(&self) -> Usage {
        let mut total = Usage::default();
        self.models.values().for_each(|usage| total += *usage);
        total
    }

    /// The form of replies: everything together, and each model under `models`.
    pub fn report(&self) -> SpentReport<'_> {
        let models = self.models.iter().map(|(model, usage)| (model.as_str(), usage.report())).collect();
        SpentReport { total: self.total().report(), models }
    }
}

impl AddAssign<&Self> for Spent {
    fn add_assign(&mut self, more: &Self) {
        for (model, usage) in &more.models {
            match self.models.get_mut(model) {
                Some(sum) => *sum += *usage,
                None => drop(self.models.insert(model.clone(), *usage)),
            }
        }
        self.nodes = self.nodes.saturating_add(more.nodes);
    }
}

/// What was used, in replies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpentReport<'a> {
    /// Everything together.
    #[serde(flatten)]
    pub total: UsageReport,
    /// By model.
    pub models: BTreeMap<&'a str, UsageReport>,
}

/// Takes in what an attempt uses and prints while it runs: what it has taken is known also when the attempt is stopped.
#[derive(Debug, Default)]
pub struct Meter {
    /// Whether there is something: a node that uses no model costs no lock.
    touched: AtomicBool,
    spent: Mutex<Spent>,
    /// The same of what it printed.
    printed: AtomicBool,
    log: Mutex<String>,
}

impl Meter {
    /// Adds what was used of a model.
    pub(crate) fn add(&self, model: &str, usage: Usage) {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).add(model, usage);
        self.touched.store(true, Ordering::Release);
    }

    /// What it has taken in, and leaves nothing behind.
    pub(crate) fn take(&self) -> Spent {
        if !self.touched.load(Ordering::Acquire) {
            return Spent::default();
        }
        self.touched.store(false, Ordering::Release);
        std::mem::take(&mut *self.spent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds what was printed; a line break is added where it ends without one.
    pub(crate) fn print(&self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(lines);
        if !lines.ends_with('\n') {
            log.push('\n');
        }
        self.printed.store(true, Ordering::Release);
    }

    /// What was printed, and leaves nothing behind.
    pub(crate) fn take_log(&self) -> Option<String> {
        let printed = self.printed.swap(false, Ordering::AcqRel);
        printed.then(|| std::mem::take(&mut *self.log.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// What it has taken in so far, all models together.
    pub fn total(&self) -> Usage {
        if !self.touched.load(Ordering::Acquire) {
            return Usage::default();
        }
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).total()
    }
}

/// Money as a number of dollars, whose millionths are exact up to billions.
mod dollars {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    /// Dollars from their millionths.
    pub(super) fn of(millionths: u64) -> f64 {
        millionths as f64 / 1e6
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
    pub(super) fn serialize<S: Serializer>(millionths: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(of(*millionths))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=1e12).contains(&number) {
            return Err(D::Error::custom(format!("expected an amount of money, found {number}")));
        }
        Ok((number * 1e6).round() as u64)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_back_as_it_was_written() {
        for cost in [1, 7, 120, 333_333, 1_000_000, 123_456_789_012, 999_999_999_999_999] {
            let usage = Usage { cost, input_tokens: 1, ..Usage::default() };
            let text = serde_json::to_string(&usage).unwrap();
            let read: Usage = serde_json::from_str(&text).unwrap();
            assert_eq!(read, usage, "{text}");
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        let usage = Usage { calls: 1, input_tokens: 12, output_tokens: 3, cost: 120, ..Usage::default() };
        let text = serde_json::to_string(&usage).unwrap();
        assert_eq!(text, r#"{"calls":1,"input_tokens":12,"output_tokens":3,"cost":0.00012}"#);
        for wrong in [r#"{"cost":-1}"#, r#"{"cost":1e300}"#, r#"{"tokens":1}"#] {
            assert!(serde_json::from_str::<Usage>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_meter_gives_what_it_took_once() {
        let meter = Meter::default();
        assert!(meter.take().is_nothing());
        let call = Usage { input_tokens: 5, output_tokens: 2, ..Usage::default() };
        meter.add("a/b", call);
        meter.add("a/b", call);
        meter.add("a/c", Usage { calls: 3, ..call });
        meter.add("a/d", Usage::default());
        assert_eq!(meter.total().tokens(), 21);
        let spent = meter.take();
        assert_eq!(spent.models["a/b"], Usage { calls: 2, input_tokens: 10, output_tokens: 4, ..Usage::default() });
        assert_eq!((spent.total().calls, spent.models.len()), (5, 2), "a call that used nothing is none");
        assert!(meter.take().is_nothing());

        meter.print("one");
        meter.print("");
        meter.print("two\n");
        assert_eq!(meter.take_log().as_deref(), Some("one\ntwo\n"));
        assert_eq!(meter.take_log(), None);
    }
}
