//! Language models: lists, a call that tries one, a workflow that asks one, and keys that are never shown.

#![expect(clippy::unwrap_used, reason = "a helper that fails, fails its test")]

use super::{
    harness::{Folder, Said, looks_like},
    provider::{Provider, config},
};

const ASK: &str = "\
name: ask
nodes:
  reply: { type: llm, messages: [{ user: Count. }] }
outputs: { text: \"{{ reply.text }}\" }
";

fn run(folder: &Folder, key: &str, args: &[&str]) -> Said {
    Said::of(folder.command(args).env("LITEAGENT_SECRET_WORK", key).output().unwrap())
}

#[test]
fn models_are_listed_with_what_they_can_and_cost() {
    let folder = Folder::new().with("liteagent.toml", &config("127.0.0.1:9".parse().unwrap()));
    looks_like!(run(&folder, "sk-right", &["models"]).whole(), @r"
    MODEL                        ALIAS         CAN                CONTEXT  IN  OUT  FROM
    local/all-minilm-l6-v2       embed         vectors            256      0   0    in this process
    work/big                     default fast  tools images json  32k      1   2    LITEAGENT_SECRET_WORK in the environment or in .env
    local/smollm2-135m-instruct                json               8k       0   0    in this process
    ---- stderr (0)
    prices in US dollars per million tokens, looked up on 2026-11-25
    model: work/big ([models] in liteagent.toml); LITEAGENT_MODEL chooses another
    ");
    let listed = folder.command(&["models", "list", "--json"]).env("ANTHROPIC_API_KEY", "sk-1").output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let claude = rows.as_array().unwrap().iter().find(|row| row["model"] == "anthropic/claude-sonnet-5-5").unwrap();
    assert_eq!(
        (&claude["input"], &claude["tools"], &claude["from"]),
        (&2.0.into(), &true.into(), &"ANTHROPIC_API_KEY in the environment".into())
    );
    assert!(!rows.to_string().contains("sk-1"));
}

#[test]
fn without_a_provider_the_local_models_stand_for_every_alias() {
    let folder = Folder::new().with("ask.yaml", ASK);
    let local = |row: &serde_json::Value| {
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("model"), row["aliases"].as_array().unwrap().len(), text("kind"), row["ready"].as_bool().unwrap())
    };
    let rows: serde_json::Value = serde_json::from_str(&folder.run("models list --json").out).unwrap();
    let rows: Vec<_> = rows.as_array().unwrap().iter().map(local).collect();
    let (chat, embed) = ("local/smollm2-135m-instruct".to_owned(), "local/all-minilm-l6-v2".to_owned());
    assert!(rows.contains(&(chat.clone(), 2, "chat".to_owned(), true)), "{rows:?}");
    assert!(rows.contains(&(embed, 1, "embedding".to_owned(), true)), "{rows:?}");
    let said = folder.run("models test embed");
    assert!(said.out.starts_with("local/all-minilm-l6-v2: a vector of 384 numbers"), "{}", said.whole());
    let said = folder.run("run ask");
    assert!(
        said.code == 0 && said.err.starts_with(&format!("model: {chat}, small and in this process")),
        "{}",
        said.err
    );
}

#[test]
fn weights_that_are_missing_are_told_with_the_command_that_fetches_them() {
    let folder = Folder::new().with("ask.yaml", ASK);
    let run = |args: &[&str]| {
        Said::of(
            folder.command(args).env("LITEAGENT_CACHE", folder.path("empty")).env("PATH", "/nowhere").output().unwrap(),
        )
    };
    let said = run(&["models"]);
    assert!(said.out.contains("in this process, after liteagent models pull"), "{}", said.out);
    assert!(
        said.err.contains("Its weights are not here yet: `liteagent models pull` fetches 92 MB once"),
        "{}",
        said.err
    );
    let said = run(&["run", "ask"]);
    assert!(said.code == 1 && said.err.contains("error[LA2441]: `reply`"), "{}", said.err);
    assert!(said.err.contains("= help: run `liteagent models pull`: it downloads 92 MB once"), "{}", said.err);
    let said = run(&["doctor"]);
    assert!(
        said.out.contains(
            "odd   local models  the weights of local/smollm2-135m-instruct and local/all-minilm-l6-v2 are not here"
        ),
        "{}",
        said.out
    );
    // No Python can be found, so nothing is fetched.
    let said = run(&["models", "pull"]);
    assert!(
        said.code == 3 && said.err.contains("error[LA2446]") && said.err.contains("cannot run `python3`"),
        "{}",
        said.err
    );
}

#[test]
fn classes_are_found_by_the_local_embedding_model_where_no_provider_is_set() {
    let yaml = "\
name: sort
inputs: { text: string }
nodes:
  route:
    type: question-classifier
    query: \"{{ inputs.text }}\"
    classes: { billing: Invoices and payments., bug: The program crashes or shows an error. }
outputs: { class: \"{{ route.class }}\" }
";
    let folder = Folder::new().with("sort.yaml", yaml);
    let ended = folder.run_args(&["run", "sort", "--json", "-i", "text=You charged my card twice this month."]);
    let ended: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended["outputs"]["class"], "billing");
    assert!(ended["usage"].to_string().contains("local/all-minilm-l6-v2"), "{}", ended["usage"]);
}

#[test]
fn a_model_is_tried_with_one_call() {
    let folder = Folder::new().with("liteagent.toml", &Provider::saying("one two three").config());
    let said = run(&folder, "sk-right", &["models", "test"]);
    assert!(said.code == 0 && said.out.starts_with("work/big: one two three\nfirst token after "), "{}", said.whole());
    assert!(said.out.contains("1000 tokens in, 500 out, 0.002 USD"), "{}", said.out);

    let said = run(&folder, "sk-wrong-key", &["models", "test", "work/big"]);
    looks_like!(said.whole(), @r"
    ---- stderr (1)
    error[LA2403]: `work` does not accept its key: Incorrect API key provided: [key]
      = help: put a valid key into `LITEAGENT_SECRET_WORK` in the environment or in `.env`; `liteagent models test work/big` tries it
    ");
    assert_eq!(run(&folder, "", &["models", "test", "nobody/x"]).code, 2);
}

#[test]
fn a_run_says_which_model_it_asks() {
    let folder =
        Folder::new().with("liteagent.toml", &Provider::saying("one two three").config()).with("ask.yaml", ASK);
    let said = run(&folder, "sk-right", &["run", "ask"]);
    assert!(said.code == 0 && said.out.contains("one two three"), "{}", said.whole());
    assert!(
        said.err.starts_with("model: work/big ([models] in liteagent.toml); LITEAGENT_MODEL chooses another\n"),
        "{}",
        said.err
    );
    assert_eq!(run(&folder, "sk-right", &["run", "ask", "--json"]).err, "");

    let said = run(&folder, "sk-wrong-key", &["run", "ask"]);
    assert!(
        said.code == 1 && said.err.contains("error[LA2403]: `reply`: `work` does not accept its key"),
        "{}",
        said.err
    );
    let shown = folder.run("runs show").whole() + &folder.run(&format!("runs export {}", folder.newest())).whole();
    assert!(!(said.whole() + &shown).contains("sk-wrong-key"), "a key stands nowhere");
}

#[test]
fn the_address_of_a_provider_is_open_for_its_models_alone() {
    let provider = Provider::saying("one");
    let address = provider.address();
    let yaml = format!(
        "name: get\nnodes:\n  get: {{ type: http-request, url: \"http://{address}/v1/chat/completions\" }}\noutputs: {{ status: \"{{{{ get.status }}}}\" }}\n"
    );
    let folder = Folder::new().with("liteagent.toml", &provider.config()).with("get.yaml", &yaml);
    let said = run(&folder, "sk-right", &["run", "get"]);
    assert!(said.code == 1 && said.err.contains("error[LA2201]"), "{}", said.err);
}

#[test]
fn what_is_wrong_with_the_configuration_is_told_with_its_place() {
    let folder = |toml: &str| Folder::new().with("liteagent.toml", toml);
    let said = folder("[providers.x]\nbas_url = \"x\"").run("models");
    assert!(
        said.code == 2 && said.err.contains("unknown key `providers.x.bas_url`\n  = help: did you mean `base_url`?"),
        "{}",
        said.err
    );
    let said = folder("[models]\ndefault = \"nobody/x\"").run("doctor");
    assert!(
        said.out.contains("BAD   models        `models.default` of `liteagent.toml`: expected a provider"),
        "{}",
        said.out
    );
    let said = folder(&config("127.0.0.1:9".parse().unwrap())).run("doctor");
    assert!(said.out.contains("odd   models        the provider `work` has no key"), "{}", said.out);
    assert!(said.out.contains("to mend it: set `LITEAGENT_SECRET_WORK`"), "{}", said.out);
}
