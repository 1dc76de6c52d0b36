//! The metrics of the server by name: what is registered is also described, for documentation, dashboards and tests.

use std::sync::{Mutex, atomic::AtomicU64};

use prometheus_client::{
    metrics::{counter::Counter as Count, family::Family, gauge::Gauge as Level, histogram::Histogram},
    registry::{Metric, Registry},
};

/// What every name begins with.
const PREFIX: &str = "liteagent_";
/// Values of one label that are told apart; the rest is counted together.
const MOST_VALUES: usize = 200;
/// What stands for values that are not told apart.
pub(super) const OTHER: &str = "other";

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How often values lie below which bound.
    Histogram,
}

impl Kind {
    /// As Prometheus names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric that the server exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The whole name, as it is queried; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: Vec<&'static str>,
    /// What it says.
    pub help: &'static str,
}

/// The metrics that were registered so far.
#[derive(Default)]
pub(super) struct Table {
    pub(super) registry: Registry,
    pub(super) described: Vec<Described>,
}

type Labels<const N: usize> = [(&'static str, String); N];
/// Counters of a whole number of things.
pub(super) type Counter<const N: usize> = Metered<Count, N>;
/// Counters of amounts.
pub(super) type Sum<const N: usize> = Metered<Count<f64, AtomicU64>, N>;
/// Levels.
pub(super) type Gauge<const N: usize> = Metered<Level<f64, AtomicU64>, N>;
/// Distributions of seconds.
pub(super) type Seconds<const N: usize> = Metered<Histogram, N, fn() -> Histogram>;

/// A metric with so many labels.
pub(super) struct Metered<M, const N: usize, C = fn() -> M> {
    labels: [&'static str; N],
    family: Family<Labels<N>, M, C>,
    /// The values that are told apart, of each label.
    known: Mutex<[Vec<String>; N]>,
}

impl Table {
    pub(super) fn counter<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Counter<N> {
        self.add(name, Kind::Counter, labels, help, Count::default)
    }

    pub(super) fn sum<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Sum<N> {
        self.add(name, Kind::Counter, labels, help, Count::default)
    }

    pub(super) fn gauge<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
    ) -> Gauge<N> {
        self.add(name, Kind::Gauge, labels, help, Level::default)
    }

    /// A distribution; `bounds` makes a histogram with its bounds.
    pub(super) fn seconds<const N: usize>(
        &mut self,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
        bounds: fn() -> Histogram,
    ) -> Seconds<N> {
        self.add(name, Kind::Histogram, labels, help, bounds)
    }

    fn add<M, const N: usize>(
        &mut self,
        name: &'static str,
        kind: Kind,
        labels: [&'static str; N],
        help: &'static str,
        make: fn() -> M,
    ) -> Metered<M, N>
    where
        M: Clone + Send + Sync + 'static,
        Family<Labels<N>, M, fn() -> M>: Metric,
    {
        let family = Family::<Labels<N>, M, fn() -> M>::new_with_constructor(make);
        self.registry.register(format!("{PREFIX}{name}"), help, family.clone());
        let suffix = if kind == Kind::Counter { "_total" } else { "" };
        let name = format!("{PREFIX}{name}{suffix}");
        self.described.push(Described { name, kind, labels: labels.to_vec(), help });
        let metered = Metered { labels, family, known: Mutex::new(std::array::from_fn(|_| Vec::new())) };
        if N == 0 {
            // It is there from the beginning on.
            let none = std::array::from_fn(|_| unreachable!("there is no label"));
            drop(metered.family.get_or_create(&none));
        }
        metered
    }
}

impl<M: Clone, const N: usize> Metered<M, N> {
    /// The metric with these values of its labels. A database of metrics cannot bear any number of values: those that come
    /// late are counted together.
    pub(super) fn with(&self, values: [&str; N]) -> M {
        let mut known = self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let labels = std::array::from_fn(|at| {
            let (name, value, known) = (self.labels[at], values[at], &mut known[at]);
            if known.iter().any(|known| known == value) {
                return (name, value.to_owned());
            }
            if known.len() >= MOST_VALUES {
                return (name, OTHER.to_owned());
            }
            known.push(value.to_owned());
            (name, value.to_owned())
        });
        drop(known);
        self.family.get_or_create(&labels).clone()
    }

    /// Forgets every value: what is not set again is not exported.
    pub(super) fn clear(&self) {
        self.family.clear();
    }
}

/// Bounds of what takes from microseconds to a second: commits, and what the engine itself takes.
pub(super) fn short() -> Histogram {
    Histogram::new([
        0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    ])
}

/// Bounds of requests: up to the longest that one waits for its run.
pub(super) fn requests() -> Histogram {
    Histogram::new([0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0])
}

/// Bounds of what may take long: runs, nodes, calls of models.
pub(super) fn long() -> Histogram {
    Histogram::new([0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_only_so_many_values() {
        let mut table = Table::default();
        let counter = table.counter("x", ["workflow"], "X");
        for number in 0..MOST_VALUES + 5 {
            counter.with([&number.to_string()]).inc();
        }
        counter.with(["0"]).inc();
        assert_eq!((counter.with(["0"]).get(), counter.with([OTHER]).get()), (2, 5));
        assert_eq!(table.described[0].name, "liteagent_x_total");
    }
}
