//! Filters of metadata as Qdrant's.
//!
//! What Qdrant compares as we do becomes a condition on the facts and numbers that points carry. What it does not (parts of
//! texts, the order of texts) becomes none: then the documents are looked through one by one, by their heads, and the search
//! gets a list of them.

use liteagent_engine::{
    capability::knowledge::{DOCUMENT, Filter, FilterOperator},
    value::Value,
};
use qdrant_client::qdrant::{self, Condition, PointId, Range};

use super::points::{self, CHUNK, HEAD, field};
use crate::catalog::Revision;

/// What Qdrant can see of a filter.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    /// Whatever fits the filter fits this too; `None` when everything does.
    pub(super) condition: Option<Condition>,
    /// Whether it is the other way round as well.
    pub(super) is_exact: bool,
}

impl Seen {
    fn exactly(condition: Condition) -> Self {
        Self { condition: Some(condition), is_exact: true }
    }

    const NOTHING: Self = Self { condition: None, is_exact: false };
}

/// What Qdrant can see of a filter.
pub(super) fn seen(filter: &Filter) -> Seen {
    match filter {
        Filter::All(filters) => {
            let all: Vec<Seen> = filters.iter().map(seen).collect();
            let is_exact = all.iter().all(|seen| seen.is_exact);
            let conditions: Vec<Condition> = all.into_iter().filter_map(|seen| seen.condition).collect();
            let condition = (!conditions.is_empty()).then(|| qdrant::Filter::must(conditions).into());
            Seen { condition, is_exact }
        }
        Filter::Any(filters) if filters.is_empty() => Seen::exactly(never()),
        Filter::Any(filters) => {
            let any: Vec<Seen> = filters.iter().map(seen).collect();
            let is_exact = any.iter().all(|seen| seen.is_exact);
            let conditions: Option<Vec<Condition>> = any.into_iter().map(|seen| seen.condition).collect();
            // One that everything fits makes the others useless, but its documents are not all of them unless it is exact.
            Seen { condition: conditions.map(|some| qdrant::Filter::should(some).into()), is_exact }
        }
        Filter::Field { name, operator, value } if name == DOCUMENT => document(*operator, value),
        Filter::Field { name, operator, value } => compared(name, *operator, value),
    }
}

fn document(operator: FilterOperator, value: &Value) -> Seen {
    let is_one = |ids: Vec<String>| Condition::matches(field::DOCUMENT, ids);
    let id = || value.as_str().map(str::to_owned).into_iter().collect();
    let ids = || value.as_list().unwrap_or_default().iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
    match operator {
        FilterOperator::Is => Seen::exactly(is_one(id())),
        FilterOperator::IsNot => Seen::exactly(not(is_one(id()))),
        FilterOperator::In => Seen::exactly(is_one(ids())),
        FilterOperator::NotIn => Seen::exactly(not(is_one(ids()))),
        _ => Seen::NOTHING,
    }
}

fn compared(key: &str, operator: FilterOperator, value: &Value) -> Seen {
    let has = |facts: Vec<String>| Condition::matches(field::IS, facts);
    let equal = || points::equals(key, value).into_iter().collect();
    let one_of = || {
        let members = value.as_list().unwrap_or_default();
        members.iter().flat_map(|member| [points::equals(key, member), points::holds(key, member)]).flatten().collect()
    };
    let range = |range: fn(f64) -> Range| match value.as_f64() {
        Some(number) if points::is_plain(key) => {
            Seen::exactly(Condition::range(points::number_field(key), range(number)))
        }
        _ => Seen::NOTHING,
    };
    match operator {
        FilterOperator::Is => Seen::exactly(has(equal())),
        FilterOperator::IsNot => Seen::exactly(not(has(equal()))),
        FilterOperator::In => Seen::exactly(has(one_of())),
        FilterOperator::NotIn => Seen::exactly(not(has(one_of()))),
        FilterOperator::Empty if *value == Value::Bool(true) => Seen::exactly(not(has(vec![points::filled(key)]))),
        FilterOperator::Empty => Seen::exactly(has(vec![points::filled(key)])),
        FilterOperator::Less => range(|number| Range { lt: Some(number), ..Range::default() }),
        FilterOperator::AtMost => range(|number| Range { lte: Some(number), ..Range::default() }),
        FilterOperator::Greater => range(|number| Range { gt: Some(number), ..Range::default() }),
        FilterOperator::AtLeast => range(|number| Range { gte: Some(number), ..Range::default() }),
        FilterOperator::Contains
        | FilterOperator::NotContains
        | FilterOperator::StartsWith
        | FilterOperator::EndsWith => Seen::NOTHING,
    }
}

fn not(condition: Condition) -> Condition {
    qdrant::Filter::must_not([condition]).into()
}

/// What no point fits.
fn never() -> Condition {
    Condition::matches(field::KIND, Vec::<String>::new())
}

fn is(kind: &str) -> Condition {
    Condition::matches(field::KIND, kind.to_owned())
}

fn of(document: &str) -> Condition {
    Condition::matches(field::DOCUMENT, document.to_owned())
}

fn at_most(field: &str, number: i64) -> Condition {
    Condition::range(field, Range { lte: Some(number as f64), ..Range::default() })
}

/// Every chunk.
pub(super) fn chunks() -> qdrant::Filter {
    qdrant::Filter::must([is(CHUNK)])
}

/// The chunks of a document that a revision made.
pub(super) fn chunks_of(document: &str, revision: Revision) -> qdrant::Filter {
    qdrant::Filter::must([is(CHUNK), of(document), Condition::matches(field::REVISION, revision)])
}

/// The chunks of a document that an older revision made.
pub(super) fn older_chunks(document: &str, revision: Revision) -> qdrant::Filter {
    qdrant::Filter::must([is(CHUNK), of(document), at_most(field::REVISION, revision - 1)])
}

/// The chunks of a document whose settings are not newer.
pub(super) fn chunks_set_before(document: &str, settings: Revision) -> qdrant::Filter {
    qdrant::Filter::must([is(CHUNK), of(document), at_most(field::SETTINGS, settings)])
}

/// A head that chunks of a revision may replace: what is older, unless it was deleted by the same.
pub(super) fn head_before(head: &PointId, revision: Revision) -> qdrant::Filter {
    let deleted_by_it =
        qdrant::Filter::must([Condition::matches(field::DELETED, true), Condition::matches(field::REVISION, revision)]);
    qdrant::Filter {
        must_not: vec![deleted_by_it.into()],
        ..qdrant::Filter::must([Condition::has_id([head.clone()]), at_most(field::REVISION, revision)])
    }
}

/// A head that a deletion may replace.
pub(super) fn head_at_most(head: &PointId, revision: Revision) -> qdrant::Filter {
    qdrant::Filter::must([Condition::has_id([head.clone()]), at_most(field::REVISION, revision)])
}

/// Settings that are not newer.
pub(super) fn set_at_most(settings: Revision) -> Condition {
    at_most(field::SETTINGS, settings)
}

/// A head whose settings are not newer, of a document that is there.
pub(super) fn head_set_before(head: &PointId, settings: Revision) -> qdrant::Filter {
    qdrant::Filter::must([
        Condition::has_id([head.clone()]),
        at_most(field::SETTINGS, settings),
        Condition::matches(field::DELETED, false),
    ])
}

/// Heads of documents that were deleted long before.
pub(super) fn old_tombstones(revision: Revision) -> qdrant::Filter {
    qdrant::Filter::must([is(HEAD), Condition::matches(field::DELETED, true), at_most(field::REVISION, revision)])
}

/// Heads of documents that are found and that may fit a filter.
pub(super) fn heads_seen(condition: Option<Condition>) -> qdrant::Filter {
    let there = [is(HEAD), Condition::matches(field::DELETED, false), Condition::matches(field::ENABLED, true)];
    qdrant::Filter::must(there.into_iter().chain(condition))
}

/// Chunks that are looked through.
pub(super) fn looked_at(condition: Option<Condition>) -> qdrant::Filter {
    qdrant::Filter::must([Condition::matches(field::ENABLED, true)].into_iter().chain(condition))
}

/// Chunks of some documents.
pub(super) fn of_any(documents: Vec<String>) -> Condition {
    Condition::matches(field::DOCUMENT, documents)
}

/// The chunks of a document after a position.
pub(super) fn chunks_after(document: &str, revision: Revision, after: Option<u32>) -> qdrant::Filter {
    let mut filter = chunks_of(document, revision);
    if let Some(after) = after {
        filter.must.push(Condition::range(field::POSITION, Range { gt: Some(f64::from(after)), ..Range::default() }));
    }
    filter
}
