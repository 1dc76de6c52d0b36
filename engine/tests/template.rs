//! Rendering: what templates see, what they give, and how they fail.

use std::{fmt::Write as _, sync::Arc};

use liteagent_engine::{
    error::NodeError,
    scope::{NodeView, Roots, Scope},
    template::{self, Compiled, Template, TemplateTree},
    value,
    value::Value,
};

fn ended(output: Value) -> NodeView {
    NodeView::Ended { output, port: None, error: None }
}

fn scope() -> Arc<Scope> {
    let documents: Vec<_> = ["Leave", "Travel"].iter().map(|title| value!({ "title": title, "score": 0.5 })).collect();
    let error = value!({ "code": "LA2110", "class": "unavailable", "message": "down", "hint": null, "attempts": 3 });
    Arc::new(Scope {
        roots: Arc::new(Roots {
            inputs: value!({ "name": "Ada", "n": 3, "empty": "", "nothing": null, "big": 18_446_744_073_709_551_615_u64 }),
            env: value!({ "REGION": "eu" }),
            ..Roots::default()
        }),
        nodes: vec![
            ("search".into(), ended(Value::from_pairs([("documents", Value::from(documents))]))),
            ("bare".into(), ended(value!({}))),
            ("skipped".into(), NodeView::Skipped),
            ("broken".into(), NodeView::Ended { output: Value::Null, port: None, error: Some(error) }),
            ("form".into(), ended(value!({ "form": null, "action": "timeout" }))),
        ],
        locals: vec![("item".into(), value!({ "id": 7, "tags": ["a", "b"] }))],
        ..Scope::default()
    })
}

fn render(source: &str) -> Result<Value, NodeError> {
    Compiled::new(source).unwrap_or_else(|findings| panic!("{source}: {findings:?}")).render(&scope())
}

#[test]
fn a_lone_expression_keeps_its_type_and_other_text_becomes_a_string() {
    for (source, expected) in [
        ("{{ inputs.n }}", value!(3)),
        ("  {{ inputs.n + 1 }}\n", value!(4)),
        ("{{ inputs.big }}", value!(18_446_744_073_709_551_615_u64)),
        ("n={{ inputs.n }}\n", value!("n=3\n")),
        ("{{ search.documents[0].title }}", value!("Leave")),
        ("{{ search.documents[-1]['title'] }}", value!("Travel")),
        ("{{ search.documents | length > 0 }}", value!(true)),
        ("{{ inputs.nothing }}", value!(null)),
        ("{{ item.tags }}", value!(["a", "b"])),
        ("{{ item }}", value!({ "id": 7, "tags": ["a", "b"] })),
        ("{{ {'a': [1, item.id]} }}", value!({ "a": [1, 7] })),
        ("{{ item.tags }} {{ true }} {{ 1.5 }} {{ item }}", value!(r#"["a","b"] true 1.5 {"id":7,"tags":["a","b"]}"#)),
        ("{% for d in search.documents %}{{ loop.index }}:{{ d.title }} {% endfor %}", value!("1:Leave 2:Travel ")),
        ("{% raw %}{{ x }}{% endraw %}{% if true %}!{% endif %}", value!("{{ x }}!")),
        ("{{ 1 < item.id <= 7 }}", value!(true)),
        ("{{ 'a' ~ 1 ~ true ~ item.tags }}", value!(r#"a1true["a","b"]"#)),
        ("{{ search.documents | map(attribute='title') | join(', ') }}", value!("Leave, Travel")),
        (
            "{% set ns = namespace(n=0) %}{% for d in search.documents %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
            value!("2"),
        ),
        ("{% macro row(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ row(1) }}{{ row(2, 'y') }}", value!("[1x][2y]")),
        ("{% set a, b = [1, 2] %}{% with c = a + b %}{{ c }}{% endwith %}", value!("3")),
    ] {
        assert_eq!(render(source).unwrap_or_else(|error| panic!("{source}: {error}")), expected, "{source}");
    }
}

#[test]
fn nodes_are_true_when_they_have_a_value_and_can_always_be_asked_how_they_ended() {
    for (source, expected) in [
        ("{{ 'yes' if bare else 'no' }}", value!("yes")),
        ("{{ 'yes' if skipped else 'no' }}", value!("no")),
        ("{{ 'yes' if broken else 'no' }}", value!("no")),
        ("{{ skipped }}", value!(null)),
        ("{{ bare.ok and not skipped.ok }}", value!(true)),
        (
            "{{ [bare is ran, skipped is skipped, broken is failed, bare is skipped] }}",
            value!([true, true, true, false]),
        ),
        ("{{ broken.error.message }}", value!("down")),
        ("{{ bare.error }}", value!(null)),
        ("{{ skipped.form.note | default('none') }}", value!("none")),
        ("{{ skipped.list | first | upper | default('none') }}", value!("none")),
        ("{{ (skipped if skipped else form).form.note | default('No reason.') }}", value!("No reason.")),
        ("{{ form.form.note | default('No reason.') }}", value!("No reason.")),
        ("{{ (skipped or search).documents | length }}", value!(2)),
        ("{{ skipped is defined }}", value!(false)),
        ("{{ skipped.a.b is defined }}", value!(false)),
        ("{{ inputs.nothing | default('x') }}", value!("x")),
        ("{{ inputs.empty | default('x', true) }}", value!("x")),
        ("{{ search.documents[0].titel | default('x') }}", value!("x")),
    ] {
        assert_eq!(render(source).unwrap_or_else(|error| panic!("{source}: {error}")), expected, "{source}");
    }
}

#[test]
fn failures_name_the_expression_the_cause_and_the_way_out() {
    let sources = [
        "{{ skipped.text }}",
        "Hello {{ skipped.text | upper }}",
        "{{ broken.text }}",
        "{{ search.documents[0].titel }}",
        "{{ search.documents[5].title }}",
        "{{ search.docs | length }}",
        "{{ form.form.note }}",
        "{{ inputs.name.first }}",
        "Hello {{ inputs.nothing }}",
        "{% if true %}{{ inputs.nothing }}{% endif %}",
        "{% for d in search.documents %}{{ d.nope }}{% endfor %}",
        "{{ inputs.name < 3 }}",
        "{{ (inputs.n + 1) + inputs.name }}",
        "{{ unknown.x }}",
        "{{ 1 if skipped.text == 'a' else 2 }}",
        "{{ 'x' | int }}",
        "{{ inputs.name | regex_match('(') }}",
        "{{ inputs.name | date }}",
        "{{ [1, none] | join(',') }}",
        "{{ inputs is ran }}",
        "{{ 'a' * 10000000000 }}",
        "{{ range(1000000000) | list }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(t='0123456789abcdef') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
        "{% for i in range(200) %}{{ 'x' * 100000 }}{% endfor %}",
        "{{ ('a' * 1000000) | replace('a', 'b' * 1000) }}",
        "{{ ('a' * 100000) | regex_replace('(a+)', '$1' * 1000) }}",
        "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    ];
    let mut shown = String::new();
    for source in sources {
        let error = render(source).expect_err(source);
        writeln!(shown, "{source}\n  {} {}: {}", error.code, error.class, error.message).unwrap();
        writeln!(shown, "  hint: {}", error.hint.as_deref().unwrap_or("-")).unwrap();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_value_that_passes_through_is_shared() {
    let Value::List(items) = render("{{ search.documents }}").unwrap() else { panic!("expected a list") };
    let scope = scope();
    let compiled = Compiled::new("{{ search.documents if true else [] }}").unwrap();
    let (Value::List(one), Value::List(other)) = (compiled.render(&scope).unwrap(), compiled.render(&scope).unwrap())
    else {
        panic!("expected lists")
    };
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(items, one);
}

#[test]
fn every_example_of_the_documentation_gives_what_it_says() {
    for doc in template::filters().iter().chain(template::tests()).chain(template::functions()) {
        if doc.example.is_empty() {
            continue;
        }
        let expected: Value = serde_json::from_str(doc.gives).unwrap_or_else(|error| panic!("{}: {error}", doc.name));
        let given = render(doc.example).unwrap_or_else(|error| panic!("{}: {error}", doc.name));
        assert_eq!(given, expected, "{}", doc.name);
    }
}

#[test]
fn the_tables_are_sorted_and_every_name_in_them_exists() {
    for table in [template::filters(), template::tests(), template::functions()] {
        assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}

#[test]
fn fields_take_literals_and_templates_of_their_type() {
    let read = |json: serde_json::Value| serde_json::from_value::<Template<u32>>(json);
    assert_eq!(read(serde_json::json!(5)).unwrap().render(&scope()).unwrap(), 5);
    assert_eq!(read(serde_json::json!("{{ inputs.n }}")).unwrap().render(&scope()).unwrap(), 3);
    assert_eq!(
        read(serde_json::json!("5")).unwrap_err().to_string(),
        "expected an integer of 0 or more, found the string `5`"
    );
    let error = read(serde_json::json!("{{ inputs.name }}")).unwrap().render(&scope()).unwrap_err();
    assert_eq!(error.message, "`{{ inputs.name }}`: expected an integer of 0 or more, found the string `Ada`");
    let text: Template<String> = serde_json::from_value(serde_json::json!("{{ inputs.n }}")).unwrap();
    assert_eq!(text.render(&scope()).unwrap(), "3");
    assert!(serde_json::from_value::<Template<String>>(serde_json::json!(3)).is_err());
    let tree: TemplateTree =
        serde_json::from_value(serde_json::json!({ "a": ["{{ inputs.n }}", { "b": "x{{ item.id }}" }], "c": 1 }))
            .unwrap();
    assert_eq!(tree.render(&scope()).unwrap(), value!({ "a": [3, { "b": "x7" }], "c": 1 }));
}

#[test]
fn what_a_url_takes_in_is_one_segment_or_value() {
    let cases = [
        ("https://e.org/orders/{{ id }}", "https://e.org/orders/a%2Fb%3F%26%20%C3%BC"),
        ("https://e.org/?q={{ id }}", "https://e.org/?q=a%2Fb%3F%26%20%C3%BC"),
        ("https://e.org/{{ id | raw_url }}", "https://e.org/a/b?& ü"),
        ("https://e.org/{{ up }}/x", "https://e.org/%2E%2E/x"),
        ("{{ id }}", "a/b?& ü"),
        ("https://{{ host }}/{{ id }}", "https://h.org:80/a%2Fb%3F%26%20%C3%BC"),
    ];
    let scope = scope().with_locals([("id", value!("a/b?& ü")), ("up", value!("..")), ("host", value!("h.org:80"))]);
    let scope = Arc::new(scope);
    for (source, expected) in cases {
        let url = Template::<String>::parse(source).unwrap();
        assert_eq!(url.render_url(&scope).unwrap(), expected, "{source}");
    }
    for (source, of_host) in [
        ("https://e.org/{{ id }}", ""),
        ("https://{{ host }}/{{ id }}", "host"),
        ("https://e.org{{ id }}", "id"),
        ("https://e.org:{{ id }}/", "id"),
        ("{{ host }}/x/{{ id }}", "host"),
        ("{{ host }}{{ id }}/{{ up }}", "host id"),
        ("{{ up }}://{{ host }}/{{ id }}", "up host"),
        ("{{ host ~ id }}", "host id"),
        ("https://e.org?{{ id }}", ""),
        ("/orders/{{ id }}", ""),
    ] {
        let template = Compiled::new(source).unwrap();
        let roots: Vec<_> = template.host_references().map(|reference| &*reference.root).collect();
        assert_eq!(roots.join(" "), of_host, "{source}");
    }
}
