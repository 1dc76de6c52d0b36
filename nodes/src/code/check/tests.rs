//! What is found, and that nothing that a text can hold ends the process or takes for ever.

use liteagent_engine::diagnostic::Severity;

use super::*;
use crate::code::python_modules;

/// The codes and messages of the findings.
fn found(language: Language, inputs: &[&str], code: &str) -> Vec<String> {
    let modules = python_modules();
    let findings = findings(&Subject { language, code, inputs: inputs.to_vec(), modules: &modules });
    let shown = |finding: &ConfigFinding| {
        let mark = if finding.severity == Severity::Error { "" } else { "?" };
        format!("{}{mark} {}", finding.error.code, finding.error.message)
    };
    findings.iter().map(shown).collect()
}

#[track_caller]
fn is_clean(language: Language, inputs: &[&str], code: &str) {
    assert_eq!(found(language, inputs, code), [""; 0], "{code}");
}

#[track_caller]
fn says(language: Language, inputs: &[&str], code: &str, expected: &[&str]) {
    assert_eq!(found(language, inputs, code), expected, "{code}");
}

#[test]
fn good_python_is_clean() {
    for (inputs, code) in [
        (&["a", "b"][..], "def main(a, b): return {'c': a + b}"),
        (
            &["a"],
            "async def main(a, *, b=2, **more):\n    async with a as c:\n        return {'d': [await x async for x in c]}",
        ),
        (&["a", "b"], "def main(**inputs): return inputs"),
        (&[], "import xml.etree.ElementTree as tree, json\nfrom collections import *\nmain = lambda: {}"),
        (&["a"], "from yaml import safe_load as main"),
        (&[], "try:\n    import numpy\nexcept ImportError:\n    numpy = None\ndef main(): return {}"),
        (&[], "from contextlib import suppress\nwith suppress(ImportError):\n    import torch\ndef main(): return {}"),
        (&[], "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas\ndef main(): return {}"),
        (&[], "from __future__ import annotations\nfrom . import helpers\ndef main(): return {}"),
        (&[], "if True:\n    def main(): return {}\nelse:\n    def main(): return {'a': 1}"),
        (&[], "globals()['main'] = lambda: {}"),
        (&["x"], "import functools\n@functools.cache\ndef main(y): return {}"),
        (
            &["n"],
            "def main(n: int) -> dict[str, int]:\n    match n:\n        case 0: return {}\n    type Row = dict[str, int]\n    def f[T](x: T) -> T: return x\n    return {'n': f(n)}",
        ),
        (
            &["name"],
            "def main(name):\n    return {'text': f'{{{name}}} and {{literal}}', 'nested': f\"{f'{name!r:>{10}}'}\"}",
        ),
        (&[], "import jinja2\ndef main(): return {'text': jinja2.Template('Hello {{ name }}').render(name='x')}"),
        (
            &["rows"],
            "def main(rows):\n    for row in rows:\n        while row:\n            if row.x: continue\n            break\n    return {'all': [y for x in rows for y in x]}",
        ),
        (
            &["x"],
            "class A:\n    x = [i for i in range(3)]\n    def f(self):\n        def g():\n            yield 1\n        return [*g()]\ndef main(x): return {}",
        ),
    ] {
        is_clean(Language::Python, inputs, code);
    }
}

#[test]
fn good_javascript_is_clean() {
    for (inputs, code) in [
        (&["a", "b"][..], "function main({ a, b }) { return { c: a + b } }"),
        (&["a"], "const main = async ({ a, b = 2, ...rest }) => ({ c: await a, rest });"),
        (&["a"], "export async function main(inputs) { return inputs }"),
        (&["a"], "const run = ({ a }) => ({ a });\nexport { run as main };"),
        (&["a"], "const wait = await Promise.resolve(1);\nexport const main = ({ a }) => ({ a: a + wait });"),
        (&["a"], "globalThis.main = ({ a }) => ({ a });"),
        (&["a-b"], "function main({ 'a-b': x }) { return { x } }"),
        (
            &["rows"],
            "function main({ rows }) { return { n: rows.map((r) => r.x / 2 / 3).filter((r) => /^[a-z(]+$/.test(r)).length } }",
        ),
        (
            &["a"],
            "class Sum { #n = 0; static { this.x = 1 } add(n) { this.#n += n ?? 0; return this } get n() { return this.#n } }\nfunction main({ a }) { return { n: new Sum().add(a).n, t: `${a}${{ a }}` } }",
        ),
        (&["a"], "let fs;\ntry { fs = require('fs') } catch {}\nfunction main({ a }) { return {} }"),
    ] {
        is_clean(Language::JavaScript, inputs, code);
    }
}

#[test]
fn every_error_of_syntax_is_told_at_once() {
    says(
        Language::Python,
        &[],
        "def main(:\n    x = (1\n    return {}\nprint 'x'\n",
        &[
            "LA1132 this is not Python: expected a parameter or the end of the parameter list",
            "LA1132 this is not Python: expected `)`, found `return`",
        ],
    );
    says(
        Language::Python,
        &[],
        "return {'a': 1}",
        &["LA1132 this is not Python: `return` statement outside of a function"],
    );
    says(
        Language::JavaScript,
        &[],
        "function main({ a ) { return {} }",
        &["LA1132 this is not JavaScript: expected `,` or `}` but found `)`"],
    );
}

#[test]
fn main_is_missing_or_not_seen() {
    says(Language::Python, &["a"], "def run(a): return {}", &["LA1133 the code defines no function `main`"]);
    says(Language::Python, &[], "", &["LA1133 the code defines no function `main`"]);
    says(
        Language::JavaScript,
        &["a"],
        "const run = ({ a }) => ({ a });",
        &["LA1133 the code defines no function `main`"],
    );
    says(
        Language::JavaScript,
        &["a"],
        "const x = await 1;\nfunction main({ a }) { return { a, x } }",
        &["LA1133 `main` is not exported, and the code is a module"],
    );
}

#[test]
fn parameters_and_inputs_go_together() {
    says(
        Language::Python,
        &["row", "limit"],
        "def main(rows, limit, /, *, page=1, key): return {}",
        &[
            "LA1134 `main` takes `rows` by its place alone, and inputs are passed by name",
            "LA1134 `main` takes `limit` by its place alone, and inputs are passed by name",
            "LA1134 `main` needs `key`, which is not among the inputs",
            "LA1134 `main` does not take the input `row`",
            "LA1134 `main` does not take the input `limit`",
        ],
    );
    says(
        Language::JavaScript,
        &["rows", "limit"],
        "function main({ row, page = 1 }) { return {} }",
        &[
            "LA1134? `main` needs `row`, which is not among the inputs",
            "LA1134? `main` does not take the input `rows`",
            "LA1134? `main` does not take the input `limit`",
        ],
    );
    says(
        Language::JavaScript,
        &["a", "b"],
        "function main(a, b) { return {} }",
        &["LA1134 `main` is called with one object, so `b` is never given"],
    );
}

#[test]
fn imports_that_fail_are_found_wherever_they_stand() {
    says(
        Language::Python,
        &[],
        "import jsno, numpy.linalg, ssl\ndef main():\n    from requests import get\n    import xml.etre\n    import pyyaml, no_such_thing_at_all\n    return {}",
        &[
            "LA1135 there is no module `jsno` in the sandbox",
            "LA1135 `numpy` cannot be imported: it holds machine code (a C extension), which the sandbox does not run",
            "LA1135 `ssl` is part of Python, but needs a machine, which the sandbox does not have",
            "LA1135 `requests` cannot be imported: it needs the network, which the sandbox does not have",
            "LA1135 there is no module `xml.etre` in the sandbox",
            "LA1135 there is no module `pyyaml` in the sandbox",
            "LA1135 there is no module `no_such_thing_at_all` in the sandbox",
        ],
    );
    says(
        Language::JavaScript,
        &[],
        "import _ from 'lodash';\nexport async function main() { const fs = await import('node:fs'); return {} }",
        &[
            "LA1135 JavaScript in the sandbox has no modules, so `lodash` cannot be imported",
            "LA1135 JavaScript in the sandbox has no modules, so `fs` cannot be imported",
        ],
    );
    says(
        Language::JavaScript,
        &[],
        "const axios = require('axios');\nfunction main() { return {} }",
        &["LA1135 JavaScript in the sandbox has no modules, so `axios` cannot be imported"],
    );
    let all = Modules::default();
    let unknown = findings(&Subject {
        language: Language::Python,
        code: "import x\ndef main(): return {}",
        inputs: vec![],
        modules: &all,
    });
    assert!(unknown.is_empty(), "what nobody knows is not checked");
}

#[test]
fn braces_of_a_template_are_a_warning() {
    let message = "LA1136? code is not a template: these braces reach the interpreter as they are";
    says(Language::Python, &[], "def main():\n    x = '{{ inputs.name }}'\n    return {}", &[message]);
    says(
        Language::Python,
        &[],
        "def main():\n    return {'a': '{{ a }}', 'b': '{{ b }}'}",
        &[&format!("{message}, here and in 1 more places")],
    );
    says(Language::JavaScript, &[], "function main() { return { a: '{{ a.b | upper }}' } }", &[message]);
}

#[test]
fn nothing_that_a_text_can_hold_ends_the_process_or_takes_for_ever() {
    let unchecked = |why: &str| format!("LA1137? the code {why}, so it is not checked before it runs");
    let many = LONGEST / 8;
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(many), close.repeat(many));
    for code in [
        deep("(", ")"),
        deep("[", "]"),
        deep("{", "}"),
        "-".repeat(LONGEST),
        "not ".repeat(LONGEST / 4),
        format!("1{}", "+1".repeat(LONGEST / 2 - 1)),
        format!("a{}", ".a".repeat(LONGEST / 2 - 1)),
        "lambda:".repeat(LONGEST / 7),
        "f'{".repeat(LONGEST / 3),
        format!("x={}1", "1 if 1 else ".repeat(LONGEST / 12 - 1)),
        "((".repeat(LONGEST / 2),
        format!("1{}", "**1".repeat(LONGEST / 3 - 1)),
        (0..500).fold(String::new(), |code, depth| code + &format!("{}if 1:\n", " ".repeat(depth))),
    ] {
        drop(found(Language::Python, &[], &code));
    }
    for code in [
        "!".repeat(LONGEST),
        "a=>".repeat(LONGEST / 3),
        "a=".repeat(LONGEST / 2),
        "a?b:".repeat(LONGEST / 4),
        "a:".repeat(LONGEST / 2),
        "if(1)".repeat(LONGEST / 5),
        "new ".repeat(LONGEST / 4),
        "typeof ".repeat(LONGEST / 7),
        "if(1)1\nelse ".repeat(LONGEST / 12),
        format!("1{}", "**1".repeat(LONGEST / 3 - 1)),
        format!("a{}", "?.a".repeat(LONGEST / 3 - 1)),
        "async ".repeat(LONGEST / 6),
        format!("{}1{}", "(a,(b=".repeat(70), "))".repeat(70)).repeat(LONGEST / 600),
        "class extends ".repeat(LONGEST / 14),
    ] {
        drop(found(Language::JavaScript, &[], &code));
    }
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{", "}"), ("(a,(b=", "))"), ("`${", "}`"), ("async(", ")"), ("({a:", "})")]
    {
        assert_eq!(
            found(Language::JavaScript, &[], &deep(open, close)[..LONGEST / 8]),
            [unchecked("is nested too deep")],
            "{open}"
        );
    }
    let long = "x = 1\n".repeat(LONGEST);
    assert_eq!(found(Language::Python, &[], &long), [unchecked("is longer than 128 KiB")]);
}
