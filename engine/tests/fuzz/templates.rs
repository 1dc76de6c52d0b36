//! Templates from anyone: none panics, none overflows the stack, none goes on for ever.

use std::{path::Path, sync::Arc};

use liteagent_engine::{
    scope::{NodeView, Roots, Scope},
    template::Compiled,
    testing::{fuzz, mutated},
    value,
};
use proptest::prelude::*;

use super::texts_of;

/// Pieces of syntax in any order.
const PIECES: &str =
    "(\\{\\{|\\}\\}|\\{%|%\\}|\\{#|#\\}| |-|if|for|in|endif|set|x|\\.|\\||\\(|\\)|\\[|'|\"|ü|1|,|=){0,24}";

fn scope() -> Arc<Scope> {
    let output = value!({ "text": "Ünï", "list": [1, "a", null, [2], { "k": 0.5 }], "n": -3, "none": null });
    Arc::new(Scope {
        roots: Arc::new(Roots { inputs: value!({ "a": 1, "b": "two", "c": [3, 4] }), ..Roots::default() }),
        nodes: vec![
            ("x".into(), NodeView::Ended { output, port: None, error: None }),
            ("y".into(), NodeView::Skipped),
            ("z".into(), NodeView::Unsettled),
        ],
        ..Scope::default()
    })
}

/// Compiles and renders it; what matters is that this returns, and that every span lies within the text.
fn survive(source: &str) {
    match Compiled::new(source) {
        Ok(compiled) => {
            for reference in compiled.references() {
                assert!(source.get(reference.span.clone()).is_some(), "{source}");
            }
            let scope = scope();
            let first = compiled.render(&scope).map_err(|error| error.message);
            let second = compiled.render(&scope).map_err(|error| error.message);
            assert_eq!(first, second, "{source}");
            let _ = compiled.render_url(&scope);
        }
        Err(findings) => {
            assert!(!findings.is_empty());
            for finding in findings {
                assert!(source.get(finding.span.clone()).is_some(), "{source}: {finding:?}");
            }
        }
    }
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("x".to_owned()),
        Just("y.text".to_owned()),
        Just("x.list".to_owned()),
        Just("inputs.c".to_owned()),
        Just("x.error".to_owned()),
        Just("none".to_owned()),
        Just("i".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f32>().prop_map(|number| format!("{number:?}")),
        "[a-zü{}%\"'\\\\]{0,4}".prop_map(|text| serde_json::to_string(&text).expect("text has a JSON form")),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "and", "or", "in", "not in",
        ]);
        let filters: Vec<&str> =
            liteagent_engine::template::filters().iter().map(|doc| doc.name).chain(["nope", "__get"]).collect();
        let tests: Vec<&str> = liteagent_engine::template::tests().iter().map(|doc| doc.name).collect();
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (inner.clone(), prop::sample::select(filters.clone())).prop_map(|(a, filter)| format!("{a} | {filter}")),
            (inner.clone(), prop::sample::select(filters), inner.clone())
                .prop_map(|(a, filter, b)| format!("({a}) | {filter}({b})")),
            (inner.clone(), prop::sample::select(tests)).prop_map(|(a, test)| format!("({a} is {test})")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a})[{b}:]")),
            inner.clone().prop_map(|a| format!("({a}).k")),
            inner.clone().prop_map(|a| format!("not {a}")),
            inner.clone().prop_map(|a| format!("range({a})")),
            prop::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
        ]
    })
}

fn statement() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        expression().prop_map(|a| format!("{{{{ {a} }}}}")),
        "[a-z{}%# \n]{0,6}",
        expression().prop_map(|a| format!("{{% set i = {a} %}}")),
        Just("{%- raw -%}{{ raw }}{% endraw %}".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (expression(), inner.clone()).prop_map(|(a, b)| format!("{{% for i in {a} %}}{b}{{% endfor %}}")),
            (expression(), inner.clone())
                .prop_map(|(a, b)| format!("{{% for i, j in {a} if j %}}{b}{{% else %}}{{% endfor %}}")),
            (expression(), inner.clone()).prop_map(|(a, b)| format!("{{% if {a} -%}} {b}{{% elif x %}}{{% endif %}}")),
            (expression(), inner.clone()).prop_map(|(a, b)| format!("{{% with i = {a} %}}{b}{{% endwith %}}")),
            inner.clone().prop_map(|a| format!("{{% macro m(i=1) %}}{a}{{% endmacro %}}{{{{ m() }}}}")),
            inner.clone().prop_map(|a| format!("{{% set i | upper %}}{a}{{% endset %}}")),
            inner.clone().prop_map(|a| format!("{{% filter replace('a', 'b') %}}{a}{{% endfilter %}}")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a}{b}")),
        ]
    })
}

#[test]
fn templates_of_every_shape_never_panic() {
    let source = prop_oneof![
        expression().prop_map(|expression| format!("{{{{ {expression} }}}}")),
        statement(),
        PIECES,
        "\\PC{0,40}".prop_map(|text| format!("{{{{ {text} }}}}")),
        "\\PC{0,40}".prop_map(|text| format!("{{% {text} %}}")),
        "\\PC{0,40}",
    ];
    fuzz(&source, |source| survive(source));
}

#[test]
fn damaged_templates_never_panic() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/templates");
    fuzz(
        &mutated(texts_of(&[folder]), &["{{", "}}", "{%", "%}", "x.", "|", "(", "[", "'", "if ", "else", "é"]),
        |source| {
            survive(source);
        },
    );
}

#[test]
fn long_and_deep_templates_are_taken_or_refused_without_overflow() {
    for count in [60, 120, 250, 20_000] {
        let nested =
            |open: &str, inner: &str, close: &str| format!("{}{inner}{}", open.repeat(count), close.repeat(count));
        for source in [
            format!("{{{{ {} }}}}", nested("(", "x", ")")),
            format!("{{{{ {} }}}}", nested("[", "x", "]")),
            format!("{{{{ {} }}}}", nested("{1:", "x", "}")),
            format!("{{{{ {} }}}}", nested("x[", "1", "]")),
            format!("{{{{ {} }}}}", nested("not ", "x", "")),
            format!("{{{{ {} }}}}", nested("-", "1", "")),
            format!("{{{{ {} }}}}", nested("", "1", " + 1")),
            format!("{{{{ {} }}}}", nested("", "1", " < 1")),
            format!("{{{{ {} }}}}", nested("", "1", " ~ 1")),
            format!("{{{{ {} }}}}", nested("", "x", ".y")),
            format!("{{{{ {} }}}}", nested("", "x", " | list")),
            format!("{{{{ {} | default(1) }}}}", nested("", "y", ".y | list")),
            format!("{{{{ {} }}}}", nested("1 if x else ", "1", "")),
            format!("{{{{ {} }}}}", nested("", "x", " is ran")),
            format!("{{{{ {} }}}}", nested("", "range", "(1)")),
            nested("{% if x %}", "", "{% endif %}"),
            nested("{% for i in x.list %}", "", "{% endfor %}"),
            format!("{{% if x %}}{}{{% endif %}}", nested("", "", "{% elif x %}")),
            nested("{% set i %}", "", "{% endset %}"),
            nested("{% macro m() %}", "", "{% endmacro %}"),
            nested("{% filter upper %}", "", "{% endfilter %}"),
            nested("{{ x.n }}", "", ""),
            nested("\n", "{{ nope }", ""),
        ] {
            survive(&source);
        }
    }
}

#[test]
fn work_and_growth_without_end_are_stopped() {
    for source in [
        "{{ ('x' * 1000000) | indent(100000) }}",
        "{{ ('x\n' * 1000000) | indent(1000) }}",
        "{{ '%9999999999s' | format('x') }}",
        "{{ '%99999999s' | format('x') }}",
        "{{ 'x' | urlencode * 100000000 }}",
        "{{ (range(100000) | list) * 100000 }}",
        "{{ range(100000) | map('string') | map('upper') | join('x' * 10000) }}",
        "{{ 10 ** 10000 }}",
        "{{ 'a' | replace('', 'b' * 100000) * 1000 }}",
        "{{ x.text | truncate(3, 'y' * 10000000) }}",
        "{{ ('(' * 100000) | regex_match('(' * 100000) }}",
        "{{ 'a' | regex_match('((a{100}){100}){100}') }}",
        "{{ 0 | date('%Y' * 100000) }}",
        "{{ 1e300 | date }}",
        "{{ '1' * 100000 | int }}",
        "{% set l = [1] %}{% for i in range(64) %}{% set l = [l, l] %}{% endfor %}{{ l }}",
        "{% set ns = namespace() %}{% set ns.a = [ns] %}{% set ns.a = [ns.a, ns.a] %}{{ ns | tojson }}",
        "{% set ns = namespace(l=[1]) %}{% for i in range(64) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
        "{% for a in x.list recursive %}{{ loop(x.list) }}{% endfor %}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ [[1]] | sum(start=[]) }}",
        "{{ range(100000) | groupby('x') | list | length }}",
        "{{ (x.list * 30000) | unique | list | length }}",
        "{{ ([[1] * 1000] * 1000) | tojson | length }}",
        "{{ (('[' * 100000) | fromjson) }}",
    ] {
        survive(source);
    }
}
