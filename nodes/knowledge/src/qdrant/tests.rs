//! What is asked of Qdrant, without one; and, where `QDRANT_URL` is set, that a server does what every store must.

use std::collections::{BTreeSet, HashMap};

use liteagent_engine::{
    capability::knowledge::{Filter, FilterOperator, SearchMode},
    value::{Object, Value},
};
use proptest::prelude::*;
use qdrant_client::qdrant::{
    self, Condition, Modifier, PointId, PointStruct, Range, UpdateMode, condition::ConditionOneOf, r#match::MatchValue,
    point_id::PointIdOptions, points_selector::PointsSelectorOneOf, points_update_operation::Operation, value::Kind,
};

use super::{
    collections, filters, is_new_enough,
    points::{self, Head},
    search, writes,
};
use crate::{
    store::{Query, Question, Settings, Terms},
    testing::{put, put_chunk},
};

/// A condition as people write it.
fn shown(condition: &Condition) -> String {
    match condition.condition_one_of.as_ref().expect("a condition") {
        ConditionOneOf::Filter(filter) => format!("({})", filter_shown(filter)),
        ConditionOneOf::HasId(ids) => format!("id={}", ids.has_id.iter().map(id_shown).collect::<Vec<_>>().join("|")),
        ConditionOneOf::Field(field) => {
            let matched = field.r#match.as_ref().and_then(|found| found.match_value.as_ref());
            match (matched, &field.range) {
                (Some(MatchValue::Keyword(text)), _) => format!("{}={text}", field.key),
                (Some(MatchValue::Keywords(texts)), _) => format!("{} in {:?}", field.key, texts.strings),
                (Some(MatchValue::Integer(number)), _) => format!("{}={number}", field.key),
                (Some(MatchValue::Boolean(flag)), _) => format!("{}={flag}", field.key),
                (None, Some(Range { lt, gt, gte, lte })) => {
                    let bounds = [("<", lt), (">", gt), (">=", gte), ("<=", lte)];
                    let bounds = bounds.iter().filter_map(|(sign, to)| Some(format!("{sign}{}", to.as_ref()?)));
                    format!("{}{}", field.key, bounds.collect::<String>())
                }
                other => panic!("nothing else is asked for, found {other:?}"),
            }
        }
        other => panic!("nothing else is asked for, found {other:?}"),
    }
}

fn filter_shown(filter: &qdrant::Filter) -> String {
    let all = |conditions: &[Condition]| conditions.iter().map(shown).collect::<Vec<_>>();
    let mut parts = all(&filter.must);
    if !filter.should.is_empty() {
        parts.push(all(&filter.should).join(" or "));
    }
    parts.extend(all(&filter.must_not).into_iter().map(|condition| format!("not {condition}")));
    parts.join(" and ")
}

fn id_shown(id: &PointId) -> String {
    match id.point_id_options.as_ref() {
        Some(PointIdOptions::Uuid(uuid)) if *id == points::head_id("d") => format!("head-of-d({})", uuid.len()),
        Some(PointIdOptions::Uuid(uuid)) => uuid.clone(),
        other => panic!("ids are UUIDs, found {other:?}"),
    }
}

fn filter(yaml: &str) -> Filter {
    Filter::read(&serde_json::from_str::<Value>(yaml).expect(yaml)).expect(yaml)
}

#[test]
fn filters_become_conditions_on_what_points_carry() {
    let seen = |json: &str| {
        let seen = filters::seen(&filter(json));
        let condition = seen.condition.as_ref().map_or_else(|| "everything".to_owned(), shown);
        format!("{condition}{}", if seen.is_exact { "" } else { ", and more" })
    };
    assert_eq!(seen("{}"), "everything");
    assert_eq!(seen(r#"{"department":"HR"}"#), r#"is in ["10 department=sHR"]"#);
    assert_eq!(seen(r#"{"year":2024.0,"draft":false}"#), r#"(is in ["4 year=n2024"] and is in ["5 draft=bfalse"])"#);
    assert_eq!(seen(r#"{"year":{">=":2024}}"#), "number.year>=2024");
    assert_eq!(seen(r#"{"tag":{"in":["a",1]}}"#), r#"is in ["3 tag=sa", "3 tag~sa", "3 tag=n1", "3 tag~n1"]"#);
    assert_eq!(seen(r#"{"tag":{"!=":"a"}}"#), r#"(not is in ["3 tag=sa"])"#);
    assert_eq!(seen(r#"{"tag":{"empty":true}}"#), r#"(not is in ["3 tag+"])"#);
    assert_eq!(seen(r#"{"document":{"not in":["a"]}}"#), r#"(not document in ["a"])"#);
    assert_eq!(seen(r#"{"or":[{"a":1},{"b":2}]}"#), r#"(is in ["1 a=n1"] or is in ["1 b=n2"])"#);
    assert_eq!(seen(r#"{"or":[]}"#), "kind in []");
    // What Qdrant does not compare as we do.
    assert_eq!(seen(r#"{"day":{">":"2026-11-01"}}"#), "everything, and more");
    assert_eq!(seen(r#"{"a":1,"b":{"contains":"x"}}"#), r#"(is in ["1 a=n1"]), and more"#);
    assert_eq!(seen(r#"{"or":[{"a":1},{"b":{"ends with":"x"}}]}"#), "everything, and more");
    assert_eq!(seen(r#"{"a.b":{"<":1}}"#), "everything, and more");
}

/// Whether a point fits a condition, as Qdrant's documentation has it.
fn fits(condition: &Condition, point: &HashMap<String, qdrant::Value>) -> bool {
    let texts = |key: &str| match point.get(key).and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(text)) => vec![text.clone()],
        Some(Kind::ListValue(list)) => {
            let text = |value: &qdrant::Value| match value.kind.as_ref() {
                Some(Kind::StringValue(text)) => text.clone(),
                other => panic!("lists have texts, found {other:?}"),
            };
            list.values.iter().map(text).collect()
        }
        _ => Vec::new(),
    };
    match condition.condition_one_of.as_ref().expect("a condition") {
        ConditionOneOf::Filter(filter) => {
            filter.must.iter().all(|condition| fits(condition, point))
                && (filter.should.is_empty() || filter.should.iter().any(|condition| fits(condition, point)))
                && !filter.must_not.iter().any(|condition| fits(condition, point))
        }
        ConditionOneOf::Field(field) => {
            match (field.r#match.as_ref().and_then(|it| it.match_value.as_ref()), &field.range) {
                (Some(MatchValue::Keywords(any)), _) => texts(&field.key).iter().any(|text| any.strings.contains(text)),
                (None, Some(Range { lt, gt, gte, lte })) => {
                    let (outer, key) = field.key.split_once('.').expect("a path");
                    let Some(Kind::StructValue(numbers)) = point.get(outer).and_then(|value| value.kind.as_ref())
                    else {
                        return false;
                    };
                    let Some(Kind::DoubleValue(number)) = numbers.fields.get(key).and_then(|value| value.kind.as_ref())
                    else {
                        return false;
                    };
                    lt.is_none_or(|to| *number < to)
                        && gt.is_none_or(|to| *number > to)
                        && gte.is_none_or(|to| *number >= to)
                        && lte.is_none_or(|to| *number <= to)
                }
                other => panic!("nothing else is asked for, found {other:?}"),
            }
        }
        other => panic!("nothing else is asked for, found {other:?}"),
    }
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-c=~+ ]{0,2}".prop_map(|text| Value::from(text.as_str())),
        (-2_i64..3).prop_map(Value::from),
        prop_oneof![Just(0.5), Just(-0.0), Just(1.0)]
            .prop_map(|number: f64| Value::from_serialize(&number).expect("finite")),
        any::<bool>().prop_map(Value::Bool),
    ]
}

fn metadata() -> impl Strategy<Value = Object> {
    let list =
        prop::collection::vec("[a-c]{0,2}", 0..3).prop_map(|texts| Value::from_serialize(&texts).expect("texts"));
    let value = prop_oneof![4 => scalars(), 1 => Just(Value::Null), 2 => list];
    prop::collection::vec(("[ab.=]{1,2}", value), 0..4)
        .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.as_str().into(), value)).collect())
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let operators: Vec<FilterOperator> = FilterOperator::ALL.iter().map(|(_, operator)| *operator).collect();
    let name = prop_oneof![4 => "[ab.=]{1,2}", 1 => Just("document".to_owned())];
    let field = (name, prop::sample::select(operators), scalars(), prop::collection::vec(scalars(), 0..3));
    let field = field.prop_map(|(name, operator, one, many)| {
        let value = match operator {
            FilterOperator::In | FilterOperator::NotIn => Value::from_serialize(&many).expect("values"),
            FilterOperator::Empty => Value::Bool(one == Value::from(1_i64)),
            _ => one,
        };
        Filter::Field { name, operator, value }
    });
    field.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::All),
            prop::collection::vec(inner, 0..3).prop_map(Filter::Any),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn what_fits_a_filter_fits_its_condition(filter in any_filter(), metadata in metadata(), id in "[a-c]{1,2}") {
        let settings = Settings { revision: 1, enabled: true, metadata: metadata.clone() };
        let mut point = points::settings(&settings);
        point.insert("document".to_owned(), id.as_str().into());
        let seen = filters::seen(&filter);
        let is_seen = seen.condition.as_ref().is_none_or(|condition| fits(condition, &point));
        let holds = filter.holds(&id, &metadata);
        prop_assert!(!holds || is_seen, "{filter:?} holds for {metadata:?}, and is not seen: {seen:?}");
        prop_assert!(!seen.is_exact || holds == is_seen, "{filter:?} for {metadata:?} is not exactly {seen:?}");
    }
}

fn integer(point: &PointStruct, field: &str) -> i64 {
    points::number(&point.payload, field).expect("an integer")
}

#[test]
fn a_chunk_is_a_point_with_its_meaning_and_the_weights_of_its_words() {
    let settings = Settings { revision: 7, enabled: true, metadata: Object::default() };
    let mut put = put_chunk(3, "text", &[1, 2, 2], [0.5, 0.0, 0.0, 1.0]);
    put.chunk.passage = Some("around".into());
    let point = points::chunk("d", 9, &settings, &put).expect("a point");
    assert_eq!(point.id, Some(points::chunk_id("d", 9, 3)));
    assert_ne!(point.id, points::chunk("d", 10, &settings, &put).expect("a point").id, "revisions stand side by side");
    assert_eq!(["revision", "position", "settings", "tokens"].map(|field| integer(&point, field)), [9, 3, 7, 3]);
    assert_eq!(points::text(&point.payload, "group").expect("a text"), "around");
    assert_eq!(points::stored(&point.payload).expect("a chunk").chunk, put.chunk);

    // BM25 without its rarity: 2.2 c / (c + 1.2 (0.25 + 0.75 length / 128)).
    let weights = points::weights(&Terms { length: 128, counts: vec![(5, 1), (6, 3)] });
    assert_eq!(weights, [(5, 1.0), (6, 2.2 * 3.0 / 4.2)]);
    assert!(points::weights(&Terms { length: 256, counts: vec![(5, 1)] })[0].1 < 1.0, "longer chunks say less");
}

#[test]
fn heads_tell_what_counts() {
    let read = |point: &PointStruct| Head::read(&point.payload).expect("a head");
    let blank = read(&points::blank_head("d").expect("a head"));
    assert!(!blank.refuses(0) && blank.deleted && blank.settings.revision < 0);
    let head = Head { revision: 5, deleted: false, ..blank.clone() };
    assert!(head.has(5) && !head.has(4) && head.refuses(4) && !head.refuses(5), "the same write may be done again");
    let gone = Head { deleted: true, ..head };
    assert!(gone.refuses(5) && !gone.refuses(6) && !gone.has(5));
    assert_eq!(
        Head::read(&HashMap::new()).map(drop).map_err(|error| format!("{error:?}").contains("metadata")),
        Err(true)
    );
}

#[test]
fn writes_name_what_they_may_replace() {
    let operations = |request: qdrant::UpdateBatchPoints| {
        assert_eq!((request.collection_name.as_str(), request.wait), ("c", Some(true)));
        let selected = |selector: Option<qdrant::PointsSelector>| match selector.expect("points").points_selector_one_of
        {
            Some(PointsSelectorOneOf::Filter(filter)) => filter_shown(&filter),
            other => panic!("points are selected by filters, found {other:?}"),
        };
        let shown = |operation: qdrant::PointsUpdateOperation| match operation.operation.expect("an operation") {
            Operation::SetPayload(set) => {
                let keys: BTreeSet<String> = set.payload.into_keys().collect();
                format!(
                    "set {} where {}",
                    keys.into_iter().collect::<Vec<_>>().join(" "),
                    selected(set.points_selector)
                )
            }
            Operation::DeletePoints(delete) => format!("delete where {}", selected(delete.points)),
            other => panic!("nothing else is done, found {other:?}"),
        };
        request.operations.into_iter().map(shown).collect::<Vec<_>>()
    };
    let settings = put("d", 8, &[]).settings.clone();
    let before = "not (deleted=true and revision=9)";
    assert_eq!(
        operations(writes::switch("c", "d", 9, &settings).expect("a request")),
        [
            format!(
                "set deleted enabled is metadata number revision settings where \
                 id=head-of-d(36) and revision<=9 and settings<=8 and {before}"
            ),
            format!("set deleted revision where id=head-of-d(36) and revision<=9 and {before}"),
            "delete where kind=chunk and document=d and revision<=8".to_owned(),
        ]
    );
    assert_eq!(
        operations(writes::describe("c", "d", &settings).expect("a request")),
        [
            "set enabled is number settings where kind=chunk and document=d and settings<=8",
            "set enabled is metadata number settings where id=head-of-d(36) and settings<=8 and deleted=false",
        ]
    );
    assert_eq!(
        operations(writes::bury("c", &[("d".to_owned(), 20_000)]).expect("a request")),
        [
            "set deleted metadata revision where id=head-of-d(36) and revision<=20000",
            "delete where kind=chunk and document=d and revision<=20000",
            "delete where kind=head and deleted=true and revision<=10000",
        ]
    );
    let upsert = writes::upsert("c", vec![points::blank_head("d").expect("a head")], UpdateMode::InsertOnly);
    assert_eq!(
        (upsert.wait, upsert.update_mode, upsert.points.len()),
        (Some(true), Some(UpdateMode::InsertOnly as i32), 1)
    );
}

#[test]
fn a_hybrid_query_is_two_rankings_in_one_request() {
    let query = Query {
        mode: SearchMode::Hybrid,
        question: Question { terms: vec![3, 5], all: false },
        vector: Some(vec![0.0, 1.0]),
        top_k: 7,
        score_threshold: None,
        weights: (1.0, 1.0),
        filter: None,
    };
    let look_at = filters::looked_at(None);
    let request = search::rankings("c", &query, &look_at, (50, 50));
    let shown: Vec<_> = request
        .query_points
        .iter()
        .map(|query| {
            (query.using.clone().unwrap_or_default(), query.limit, filter_shown(query.filter.as_ref().expect("one")))
        })
        .collect();
    let enabled = "enabled=true".to_owned();
    assert_eq!(shown, [("meaning".to_owned(), Some(50), enabled.clone()), ("words".to_owned(), Some(50), enabled)]);
    assert!(request.query_points[0].with_vectors.is_none(), "its score is the cosine");
    assert!(request.query_points[1].with_vectors.is_some(), "the cosine of a chunk that is found by words alone");
    assert_eq!(search::rankings("c", &query, &look_at, (0, 50)).query_points.len(), 1);
}

#[test]
fn a_collection_has_two_vectors_and_indexes_what_is_asked_for() {
    let new = collections::new("c", 384);
    let words = &new.sparse_vectors_config.expect("sparse vectors").map["words"];
    assert_eq!(words.modifier, Some(Modifier::Idf as i32));
    let all = collections::indexes("c", &BTreeSet::new());
    let there: BTreeSet<String> = all.iter().skip(1).map(|index| index.field_name.clone()).collect();
    assert_eq!(collections::indexes("c", &there), all[..1], "what is missing is made");
}

#[test]
fn older_releases_are_refused() {
    assert!(is_new_enough("1.19.0") && is_new_enough("v1.20.1") && is_new_enough("2.0.0-dev") && is_new_enough("dev"));
    assert!(!is_new_enough("1.18.9") && !is_new_enough("0.11.0"));
}

/// What every store must do, on a server.
mod conformance {
    use std::sync::Arc;

    use async_trait::async_trait;
    use liteagent_engine::id::RunId;
    use tempfile::TempDir;

    use crate::{
        QdrantOptions, catalog::Catalog, embedded::Embedded, qdrant::Qdrant, store::VectorStore, testing::Place,
    };

    /// A catalog in a folder, and collections of a name of their own.
    struct Server {
        folder: TempDir,
        options: QdrantOptions,
        prefix: String,
    }

    #[expect(clippy::disallowed_methods, reason = "whether there is a server is said by the environment")]
    fn server() -> Option<Server> {
        let Ok(url) = std::env::var("QDRANT_URL") else {
            eprintln!("skipped: `QDRANT_URL` is not set");
            return None;
        };
        let options = QdrantOptions { url, api_key: std::env::var("QDRANT_API_KEY").ok() };
        let folder = tempfile::tempdir().expect("a folder");
        Some(Server { folder, options, prefix: format!("test_{}_", RunId::random()) })
    }

    #[async_trait]
    impl Place for Server {
        async fn open(&self) -> (Arc<dyn Catalog>, Arc<dyn VectorStore>) {
            let catalog = Embedded::open(self.folder.path(), 1 << 20).await.expect("a catalog");
            let store = Qdrant::new(&self.options, &self.prefix).expect("a store");
            (Arc::new(catalog), Arc::new(store))
        }
    }

    crate::knowledge_conformance!(match server() {
        Some(server) => server,
        None => return,
    });
}
