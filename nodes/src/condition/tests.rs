use liteagent_engine::{testing::NodeTest, value::Value};
use rstest::rstest;
use serde_json::json;

use super::Operator;

fn operator(name: &str) -> Operator {
    serde_json::from_value(json!(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// `Some` of the result, `None` for an error: a wrong type is a failure of the node, never `false`.
fn holds(value: serde_json::Value, name: &str, to: serde_json::Value) -> Option<bool> {
    operator(name).holds(&Value::from(value), &Value::from(to)).ok()
}

const NAMES: [&str; 21] = [
    "contains",
    "not contains",
    "start with",
    "end with",
    "is",
    "is not",
    "empty",
    "not empty",
    "in",
    "not in",
    "all of",
    "=",
    "≠",
    ">",
    "<",
    "≥",
    "≤",
    "null",
    "not null",
    "exists",
    "not exists",
];

#[test]
fn names_are_read_and_written() {
    for name in NAMES {
        assert_eq!(operator(name).as_str(), name);
    }
}

/// A falsy value: the positive ones give `false`, the negative ones `true`, and the other side is not even looked at.
#[rstest]
#[case(json!(null))]
#[case(json!(""))]
#[case(json!(0))]
#[case(json!(0.0))]
#[case(json!([]))]
#[case(json!({}))]
fn falsy_values_hold_nothing(#[case] value: serde_json::Value) {
    for name in ["contains", "start with", "end with"] {
        assert_eq!(holds(value.clone(), name, json!("x")), Some(false), "{name}");
    }
    assert_eq!(holds(value.clone(), "not contains", json!("x")), Some(true));
    assert_eq!(holds(value.clone(), "in", json!(["x"])), Some(false));
    assert_eq!(holds(value.clone(), "in", json!("no list")), Some(false));
    assert_eq!(holds(value.clone(), "not in", json!("no list")), Some(true));
    assert_eq!(holds(value.clone(), "all of", json!(["x"])), Some(false));
    assert_eq!(holds(value.clone(), "empty", json!(null)), Some(true));
    assert_eq!(holds(value, "not empty", json!(null)), Some(false));
}

/// `null`: `is` and `is not` are both false, and so are all comparisons of numbers.
#[test]
fn null_is_nothing_and_is_not_anything() {
    for name in ["is", "is not", "=", "≠", ">", "<", "≥", "≤"] {
        assert_eq!(holds(json!(null), name, json!("1")), Some(false), "{name}");
    }
    for (name, expected) in [("null", true), ("not null", false), ("exists", false), ("not exists", true)] {
        assert_eq!(holds(json!(null), name, json!(null)), Some(expected), "{name}");
        assert_eq!(holds(json!(""), name, json!(null)), Some(!expected), "{name}");
    }
}

#[rstest]
// Texts hold parts; another type beside a text is compared by its text.
#[case(json!("order 7"), "contains", json!("der"), Some(true))]
#[case(json!("order 7"), "contains", json!(7), Some(true))]
#[case(json!("order 7"), "not contains", json!("Order"), Some(true))]
#[case(json!("order"), "start with", json!("or"), Some(true))]
#[case(json!("order"), "end with", json!("or"), Some(false))]
#[case(json!("order"), "start with", json!(7), None)]
#[case(json!(["order"]), "start with", json!("or"), None)]
// Lists hold items, of the same type.
#[case(json!(["a", "b"]), "contains", json!("b"), Some(true))]
#[case(json!([1, 2]), "contains", json!(2.0), Some(true))]
#[case(json!([1, 2]), "contains", json!("2"), Some(false))]
#[case(json!([1, 2]), "not contains", json!(3), Some(true))]
#[case(json!(5), "contains", json!("5"), None)]
#[case(json!({ "a": 1 }), "not contains", json!("a"), None)]
#[case(json!("b"), "in", json!(["a", "b"]), Some(true))]
#[case(json!("c"), "not in", json!(["a", "b"]), Some(true))]
#[case(json!("b"), "in", json!("abc"), None)]
#[case(json!("b"), "not in", json!("abc"), None)]
// `all of` takes texts or booleans, in a text too.
#[case(json!(["a", "b", "c"]), "all of", json!(["a", "c"]), Some(true))]
#[case(json!(["a"]), "all of", json!(["a", "c"]), Some(false))]
#[case(json!("a and c"), "all of", json!(["a", "c"]), Some(true))]
#[case(json!(["a"]), "all of", json!([]), Some(true))]
#[case(json!([true, false]), "all of", json!(["true", false]), Some(true))]
#[case(json!(5), "all of", json!(["5"]), Some(false))]
#[case(json!(["a"]), "all of", json!(["a", 1]), None)]
#[case(json!(["a"]), "all of", json!("a"), None)]
// `is` takes texts and booleans.
#[case(json!("a"), "is", json!("a"), Some(true))]
#[case(json!(""), "is", json!(""), Some(true))]
#[case(json!("a"), "is not", json!("b"), Some(true))]
#[case(json!("1"), "is", json!(1), Some(false))]
#[case(json!(1), "is", json!(1), None)]
#[case(json!(1), "is not", json!(1), None)]
// Beside a boolean, the other side is read as one.
#[case(json!(true), "is", json!("true"), Some(true))]
#[case(json!(true), "is", json!(1), Some(true))]
#[case(json!(false), "is not", json!("1"), Some(true))]
#[case(json!(true), "is", json!("yes"), None)]
#[case(json!(true), "is", json!(1.5), None)]
#[case(json!([true, true]), "contains", json!("false"), Some(false))]
#[case(json!(true), "contains", json!("true"), None)]
fn texts_lists_and_booleans(
    #[case] value: serde_json::Value,
    #[case] name: &str,
    #[case] to: serde_json::Value,
    #[case] expected: Option<bool>,
) {
    assert_eq!(holds(value, name, to), expected);
}

#[rstest]
// With an integer, `=` and `≠` cut the other side to an integer; a text must be a whole number.
#[case(json!(3), "=", json!("3"), Some(true))]
#[case(json!(3), "=", json!(" 3 "), Some(true))]
#[case(json!(3), "=", json!(3.9), Some(true))]
#[case(json!(3), "≠", json!(3.9), Some(false))]
#[case(json!(3), "=", json!("3.9"), None)]
#[case(json!(0), "=", json!("0"), Some(true))]
#[case(json!(3.5), "=", json!("3.5"), Some(true))]
#[case(json!(3.5), "≠", json!(3), Some(true))]
#[case(json!("3"), "=", json!("3"), None)]
#[case(json!(3), "=", json!("three"), None)]
#[case(json!(3), "=", json!(null), None)]
#[case(json!(true), "=", json!("1"), Some(true))]
#[case(json!(true), "≠", json!(0), Some(true))]
// Order keeps fractions.
#[case(json!(3), ">", json!("2.9"), Some(true))]
#[case(json!(3), "<", json!(3.9), Some(true))]
#[case(json!(3), "≥", json!("3"), Some(true))]
#[case(json!(3), "≤", json!(3.0), Some(true))]
#[case(json!(2.5), ">", json!(2), Some(true))]
#[case(json!(9_007_199_254_740_993_i64), ">", json!("9007199254740992"), Some(true))]
#[case(json!("3"), ">", json!(2), None)]
#[case(json!(3), ">", json!("many"), None)]
#[case(json!(3), ">", json!([1]), None)]
#[case(json!(3), ">", json!("nan"), None)]
fn numbers(
    #[case] value: serde_json::Value,
    #[case] name: &str,
    #[case] to: serde_json::Value,
    #[case] expected: Option<bool>,
) {
    assert_eq!(holds(value, name, to), expected);
}

async fn port(case: &str, scope: &str) -> String {
    let yaml = format!("type: if-else\ncases:\n  a: {case}");
    let outcome = NodeTest::new(&crate::registry(), &yaml).scope(scope).run().await;
    let text = outcome.get("port").or_else(|| outcome.get("error")).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("{outcome}")).to_owned()
}

#[tokio::test]
async fn what_follows_the_comparison_that_decides_is_not_evaluated() {
    let broken = "{ value: '{{ inputs.absent.x }}', operator: is, to: x }";
    let yes = "{ value: a, operator: is, to: a }";
    let no = "{ value: a, operator: is, to: b }";
    assert_eq!(port(&format!("{{ any: [{yes}, {broken}] }}"), "").await, "a");
    assert_eq!(port(&format!("{{ all: [{no}, {broken}] }}"), "").await, "else");
    assert_eq!(port(&format!("{{ all: [{yes}, {broken}] }}"), "").await, "LA2001");
    assert_eq!(port(&format!("{{ any: [{no}, {no}] }}"), "").await, "else");
    assert_eq!(port(&format!("{{ all: [{yes}, {yes}] }}"), "").await, "a");
}

#[tokio::test]
async fn files_are_compared_one_by_one() {
    let scope = "\
inputs:
  files:
    - { id: f1, name: report.PDF, mime: application/pdf, size: 2000, sha256: x }
    - { id: f2, name: photo.jpg, mime: image/jpeg, size: 10, sha256: x }
    - { id: f3, name: README, mime: text/plain, size: 10, sha256: x }
  none: []
";
    let ask = async |operator: &str, tests: &str| {
        let case = format!("{{ all: [{{ value: '{{{{ inputs.files }}}}', operator: {operator}, files: {tests} }}] }}");
        port(&case, scope).await
    };
    // Any file will do; with an operator that begins with `not`, it must hold for all of them.
    assert_eq!(ask("contains", "{ all: [{ key: type, operator: in, to: [image, audio] }] }").await, "a");
    assert_eq!(ask("contains", "{ all: [{ key: type, operator: not in, to: [image] }] }").await, "else");
    assert_eq!(ask("contains", "{ all: [{ key: type, operator: is, to: document }] }").await, "a");
    assert_eq!(ask("contains", "{ all: [{ key: size, operator: \"≥\", to: '2000' }] }").await, "a");
    assert_eq!(
        ask("contains", "{ any: [{ key: name, operator: is, to: x }, { key: name, operator: is, to: README }] }").await,
        "a"
    );
    assert_eq!(ask("not contains", "{ all: [{ key: mime_type, operator: is not, to: video/mp4 }] }").await, "a");
    // Extensions have a dot, written or not.
    assert_eq!(ask("all of", "{ all: [{ key: extension, operator: is, to: jpg }] }").await, "a");
    assert_eq!(ask("all of", "{ all: [{ key: extension, operator: is, to: .PDF }] }").await, "a");
    assert_eq!(ask("contains", "{ all: [{ key: name, operator: '>', to: 1 }] }").await, "LA2101");
    assert_eq!(ask("is", "{ all: [] }").await, "LA1105");

    let empty = "{ all: [{ value: '{{ inputs.none }}', operator: contains, files: { all: [{ key: name, operator: is, to: x }] } }] }";
    assert_eq!(port(empty, scope).await, "else");
    let one = "{ all: [{ value: '{{ inputs.files[0] }}', operator: contains, files: { all: [{ key: name, operator: is, to: x }] } }] }";
    assert_eq!(port(one, scope).await, "LA2101");
}

#[tokio::test]
async fn comparisons_that_are_not_complete_are_refused() {
    for case in [
        "{ }",
        "{ all: [] }",
        "{ all: [{ value: a, operator: is, to: a }], any: [{ value: a, operator: is, to: a }] }",
        "{ all: [{ value: a, operator: is }] }",
        "{ all: [{ value: a, operator: empty, to: a }] }",
        "{ all: [{ value: a, operator: contains, to: a, files: { all: [] } }] }",
        "{ all: [{ value: a, operator: contains, files: { } }] }",
        "{ all: [{ value: a, operator: contains, files: { all: [{ key: name, operator: is }] } }] }",
    ] {
        assert_eq!(port(case, "").await, "LA1105", "{case}");
    }
    assert_eq!(port("{ all: [{ value: a, operator: equals, to: a }] }", "").await, "LA1001");
    assert_eq!(port("[a]", "").await, "LA1001");
}
