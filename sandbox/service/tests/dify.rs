//! The programs that a client of Dify's sandbox makes of an author's code, run by the real interpreters.

mod common;

use std::sync::Arc;

use common::{ask, service};
use liteagent_sandbox::{Config, Sandbox};
use serde_json::{Value, json};

/// `{"name": "Ada", "mark": "ü"}` as such a client passes inputs to Python.
const INPUTS: &str = "eyJuYW1lIjogIkFkYSIsICJtYXJrIjogIsO8In0=";

#[expect(clippy::disallowed_methods, reason = "tests look where make puts the guests")]
fn routes() -> axum::Router {
    let runner = Sandbox::new(Config::of_cache(|name| std::env::var(name).ok())).unwrap();
    service(Arc::new(runner)).routes()
}

/// Does what such a client does with an answer: the text between the first and the last tag.
async fn result(routes: &axum::Router, language: &str, code: &str) -> String {
    let body = json!({ "language": language, "code": code, "preload": "", "enable_network": true });
    let answer = ask(routes, "POST", "/v1/sandbox/run", "application/json", body.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!((&told["code"], &told["data"]["error"]), (&json!(0), &json!("")), "{told}");
    let stdout = told["data"]["stdout"].as_str().unwrap();
    let (_, rest) = stdout.split_once("<<RESULT>>").expect("the first tag");
    rest.rsplit_once("<<RESULT>>").expect("the last tag").0.to_owned()
}

fn python(code: &str) -> String {
    format!(
        "{code}\n\n\
         import json\nfrom base64 import b64decode\n\n\
         given = json.loads(b64decode('{INPUTS}').decode('utf-8'))\n\n\
         returned = main(**given)\n\n\
         text = json.dumps(returned, indent=4)\n\
         line = f'''<<RESULT>>{{text}}<<RESULT>>'''\n\
         print(line)\n"
    )
}

/// Templates are pasted between triple quotes, or passed as base64.
fn jinja(template: &str) -> String {
    format!(
        "def main(**given):\n    \
             import jinja2\n    \
             template = jinja2.Template({template})\n    \
             return template.render(**given)\n\n\
         import json\nfrom base64 import b64decode\n\n\
         given = json.loads(b64decode('{INPUTS}').decode('utf-8'))\n\
         text = main(**given)\n\
         line = f'''<<RESULT>>{{text}}<<RESULT>>'''\n\
         print(line)\n"
    )
}

#[tokio::test]
async fn python_returns_what_main_returns() {
    let routes = routes();
    let code = "def main(name: str, mark: str) -> dict:\n    print('on the way')\n    return {'text': f'{name}<<>>{mark}', 'n': 1}";
    let text = result(&routes, "python3", &python(code)).await;
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "text": "Ada<<>>ü", "n": 1 }));
}

#[tokio::test]
async fn jinja_returns_the_text() {
    let routes = routes();
    let pasted = "'''Hello {{ name }}{% if mark %} {{ mark }}{% endif %}\n'''";
    assert_eq!(result(&routes, "python3", &jinja(pasted)).await, "Hello Ada ü");
    let encoded = "__import__('base64').b64decode('SGVsbG8ge3sgbmFtZSB9fQ==').decode('utf-8')";
    assert_eq!(result(&routes, "python3", &jinja(encoded)).await, "Hello Ada");
}

#[tokio::test]
async fn javascript_returns_what_main_returns() {
    let routes = routes();
    let code = "function main({ name, mark }) { console.log('on the way'); return { text: name + mark } }";
    // Inputs stand in the program as JSON; what is assigned is declared nowhere.
    let plain = format!(
        "// the author's\n{code}\n\ngiven = main({{\n  \"name\": \"Ada\",\n  \"mark\": \"ü\"\n}})\n\n\
         given = JSON.stringify(given)\n\nline = `<<RESULT>>${{given}}<<RESULT>>`\n\nconsole.log(line)\n"
    );
    // Later versions pass them as base64.
    let encoded = format!(
        "{code}\nvar given = JSON.parse(Buffer.from('{INPUTS}', 'base64').toString('utf-8'))\n\
         var returned = main(given)\nvar text = JSON.stringify(returned)\n\
         var line = `<<RESULT>>${{text}}<<RESULT>>`\nconsole.log(line)\n"
    );
    for program in [plain, encoded] {
        let text = result(&routes, "nodejs", &program).await;
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({ "text": "Adaü" }), "{program}");
    }
}

#[tokio::test]
async fn a_failure_is_an_error_that_is_not_empty() {
    let routes = routes();
    let run = async |language: &str, code: &str| {
        let body = json!({ "language": language, "code": code });
        ask(&routes, "POST", "/v1/sandbox/run", "application/json", body.to_string()).await.json()["data"].clone()
    };
    let raised = run("python3", &python("def main(**given):\n    print('before')\n    return 1 / 0")).await;
    assert_eq!((&raised["exit_code"], &raised["stdout"]), (&json!(1), &json!("before\n")));
    let error = raised["error"].as_str().unwrap();
    assert!(error.starts_with("process exited with code 1\nTraceback (most recent call last):\n"), "{error}");
    assert!(error.ends_with("ZeroDivisionError: division by zero\n"), "{error}");
    assert!(error.ends_with(raised["stderr"].as_str().unwrap()), "{error}");
    let exited = run("python3", "import sys\nsys.stderr.write('why')\nsys.exit(3)").await;
    assert_eq!((&exited["exit_code"], &exited["error"]), (&json!(3), &json!("process exited with code 3\nwhy")));
    let missing = run("python3", "import numpy").await;
    assert!(missing["error"].as_str().unwrap().contains("hint: `numpy` needs code of the machine"), "{missing}");
    let thrown = run("nodejs", "throw new TypeError('no')").await;
    assert!(thrown["error"].as_str().unwrap().contains("TypeError: no"), "{thrown}");
    let warned = run("python3", "import sys\nprint('careful', file=sys.stderr)").await;
    assert_eq!((&warned["error"], &warned["stderr"]), (&json!(""), &json!("careful\n")));
}
