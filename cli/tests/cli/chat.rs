//! Conversations: answers stream, turns are remembered, forked and cancelled, tools and people are asked in between.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{Read as _, Write as _},
    process::{Child, Stdio},
};

use serde_json::{Value as Json, json};

use super::{
    harness::{Folder, Said},
    provider::{Answer, Provider},
    terminal::Terminal,
};

const TALK: &str = "\
name: talk
conversation: { opening: What is it?, suggestions: [Tell me a story.] }
nodes:
  reply: { type: llm, messages: [{ history: { last: 10 } }, { user: \"{{ inputs.message }}\" }] }
  say: { type: answer, text: \"{{ reply.text }}\" }
";

const AGENT: &str = "\
name: agent
conversation: {}
nodes:
  agent:
    type: agent
    messages: [{ user: \"{{ inputs.message }}\" }]
    tools: { calculator: { builtin: calculator } }
  say: { type: answer, text: \"{{ agent.text }}\" }
";

const ASKS: &str = "\
name: asks
conversation: {}
nodes:
  person: { type: human-input, message: \"{{ inputs.message }}?\", form: { note: string }, actions: { send: Send } }
  say: { type: answer, text: \"They say: {{ person.form.note }}\" }
";

/// A folder whose model is this provider.
fn folder(provider: &Provider) -> Folder {
    let folder =
        Folder::new().with("liteagent.toml", &provider.config()).with(".env", "LITEAGENT_SECRET_WORK=sk-right\n");
    folder.with("talk.yaml", TALK).with("agent.yaml", AGENT).with("asks.yaml", ASKS)
}

/// Answers with the number of the question and its last message.
fn echo() -> Provider {
    Provider::new(|number, last| Answer::says(&format!("answer {number} to {last}")))
}

fn start(folder: &Folder, args: &[&str]) -> Child {
    let mut command = folder.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The lines of a person who sits at no terminal.
fn say(folder: &Folder, args: &[&str], lines: &str) -> Said {
    let mut child = start(folder, args);
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    Said::of(child.wait_with_output().unwrap())
}

#[test]
fn one_message_gets_one_answer_and_the_conversation_can_go_on() {
    let provider = echo();
    let folder = folder(&provider);
    let said = folder.run_args(&["chat", "talk", "--message", "/Hello there"]);
    assert_eq!((said.code, &*said.out), (0, "answer 0 to /Hello there\n"), "{}", said.err);
    assert!(said.err.starts_with("model: work/big ([models] in liteagent.toml); LITEAGENT_MODEL"), "{}", said.err);
    let id = said.err.split("to go on: liteagent chat talk --conversation ").nth(1).unwrap().trim();

    let said = folder.run_args(&["chat", "talk", "--conversation", id, "--message", "And?", "--json"]);
    let line: Json = serde_json::from_str(&said.out).unwrap();
    assert_eq!(said.err, "");
    assert_eq!((&line["conversation"], &line["turn"], &line["status"]), (&json!(id), &json!(2), &json!("succeeded")));
    assert_eq!((&line["answer"], &line["usage"]["tokens"]), (&json!("answer 1 to And?"), &json!(1500)));
    assert_eq!(provider.prompts()[1], "user: /Hello there\nassistant: answer 0 to /Hello there\nuser: And?");

    let said = folder.run_args(&["chat", "agent", "--conversation", id, "--message", "And?"]);
    assert!(
        said.code == 2 && said.err.contains("error[LA3006]") && said.err.contains("is one with `talk`"),
        "{}",
        said.err
    );
}

#[test]
fn each_line_of_stdin_is_a_turn_and_commands_look_back() {
    let provider = echo();
    let said = say(&folder(&provider), &["chat", "talk"], "one\n\ntwo\n/usage\n/trace\n/usge\n");
    assert_eq!(said.out, "answer 0 to one\nanswer 1 to two\n");
    assert_eq!(said.code, 2, "the last command was wrong: {}", said.err);
    assert!(
        said.err.contains("the last turn: 1,500 tokens in 1 call, 0.002 USD\n2 turns to here: 3,000 tokens"),
        "{}",
        said.err
    );
    assert!(said.err.contains("✓ reply") && said.err.contains("✓ say"), "{}", said.err);
    assert!(
        said.err.contains("error[LA3006]: there is no command `/usge`\n  = help: did you mean `usage`?"),
        "{}",
        said.err
    );
}

#[test]
fn turns_are_answered_again_edited_and_forked_beside_the_old_ones() {
    let provider = echo();
    let folder = folder(&provider);
    let lines = "one\ntwo\n/retry\n/edit deux\n/fork 1\nzwei\n/fork 0\nuno\n/fork 7\n";
    let said = say(&folder, &["chat", "talk", "--conversation", "tree"], lines);
    let first = "user: one\nassistant: answer 0 to one\nuser: ";
    let told = [
        "user: one".to_owned(),
        format!("{first}two"),
        format!("{first}two"),
        format!("{first}deux"),
        format!("{first}zwei"),
        "user: uno".to_owned(),
    ];
    assert_eq!(provider.prompts(), told);
    assert!(
        said.err.contains("goes on after turn 1, \"one\"\n") && said.err.contains("goes on after turn 0\n"),
        "{}",
        said.err
    );
    assert!(said.err.contains("error[LA3002]: expected a turn from 0 to 1, found 7"), "{}", said.err);
    // Another process goes on where this one was.
    say(&folder, &["chat", "talk", "--conversation", "tree"], "dos\n");
    assert_eq!(provider.prompts()[6], "user: uno\nassistant: answer 5 to uno\nuser: dos");
}

#[test]
fn a_failure_is_told_and_the_conversation_goes_on() {
    let provider = Provider::new(|number, _| match number {
        0 => Answer::Fails(400, "this is about nothing"),
        _ => Answer::says("now it works"),
    });
    let said = say(&folder(&provider), &["chat", "talk"], "one\n/retry\n");
    assert_eq!((said.code, &*said.out), (1, "now it works\n"));
    assert!(said.err.contains("error[LA24") && said.err.contains("this is about nothing\n  = help: "), "{}", said.err);
    assert_eq!(provider.prompts(), ["user: one", "user: one"]);
}

#[test]
fn calls_of_tools_are_shown_and_only_the_answer_is_on_stdout() {
    let provider = Provider::new(|number, last| match number {
        0 => Answer::Calls(vec![("calculator", json!({ "expression": "6 * 7" })), ("oracle", json!({}))]),
        _ => Answer::says(&format!("it is {}", if last.contains("oracle") { "unclear" } else { last })),
    });
    let said = folder(&provider).run_args(&["chat", "agent", "--message", "What is 6 * 7?"]);
    assert_eq!((said.code, &*said.out), (0, "it is unclear\n"), "{}", said.err);
    assert!(said.err.contains("  · round 1: calculator {\"expression\":\"6 * 7\"}\n"), "{}", said.err);
    assert!(said.err.contains("  ! round 1: oracle {}, which cannot be called so\n"), "{}", said.err);
    assert!(provider.prompts()[1].contains("tool: 42"), "{}", provider.prompts()[1]);
}

#[test]
fn an_answer_is_seen_while_it_comes_and_ctrl_c_cancels_the_turn() {
    let provider = Provider::new(|_, _| Answer::Stalls("The first words"));
    let folder = folder(&provider);
    let mut child = start(&folder, &["chat", "talk", "--message", "Tell me"]);
    let mut seen = [0; "The first words".len()];
    child.stdout.as_mut().unwrap().read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"The first words");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let said = Said::of(child.wait_with_output().unwrap());
    assert!(said.code == 130 && said.err.contains("cancelling; Ctrl-C again leaves at once"), "{}", said.whole());
    assert!(folder.run("runs list").out.contains("cancelled"));
}

#[test]
fn where_nobody_can_be_asked_a_turn_that_waits_says_how_to_answer_it() {
    let provider = echo();
    let folder = folder(&provider);
    let said = say(&folder, &["chat", "asks"], "Shall we\nAnd then\n");
    assert_eq!((said.code, &*said.out), (4, ""));
    assert!(said.err.contains("person --action send --form note=..."), "{}", said.err);
    let said = folder.run_args(&["chat", "asks", "--json", "--message", "Shall we"]);
    let line: Json = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &line["status"], &line["waiting_for"][0]["node"]), (4, &json!("waiting"), &json!("person")));
}

#[test]
fn at_a_terminal_a_person_talks_answers_questions_and_leaves() {
    let provider = Provider::new(|number, _| match number {
        0 => Answer::says("Hello to you"),
        1 => Answer::Stalls("Once upon"),
        _ => Answer::says("The end"),
    });
    let folder = folder(&provider);
    let mut terminal = Terminal::run(&folder, "chat talk");
    terminal.answer("e.g. Tell me a story.", "");
    terminal.answer("1> ", "Hello\r");
    terminal.answer("Hello to you", "");
    terminal.answer("2> ", "Tell me a story.\r");
    terminal.answer("Once upon", "\u{3}");
    terminal.answer("cancelling", "");
    terminal.answer("3> ", "/edit\r");
    terminal.answer("Tell me a story.", " Now!\r");
    terminal.answer("The end", "");
    terminal.answer("3> ", "\u{3}");
    terminal.answer("leaves", "");
    terminal.answer("3> ", "\u{4}");
    let (exit, shown) = terminal.end();
    assert!(exit == 0 && shown.contains("to go on: liteagent chat talk --conversation"), "{exit}: {shown}");
    assert!(provider.prompts()[2].ends_with("user: Tell me a story. Now!"), "{}", provider.prompts()[2]);

    let mut terminal = Terminal::run(&folder, "chat asks");
    terminal.answer("1> ", "Shall we\r");
    terminal.answer("Shall we?", "");
    terminal.answer("note: ", "fine\r");
    terminal.answer("[1-1]: ", "1\r");
    terminal.answer("They say: fine", "");
    terminal.answer("2> ", "Really\r");
    terminal.answer("note: ", "\u{4}");
    let (exit, shown) = terminal.end();
    assert!(exit == 4 && shown.contains("--action send --form note=..."), "{exit}: {shown}");
}

#[test]
fn a_workflow_that_is_no_chat_is_refused() {
    let folder = Folder::new().with("w.yaml", "name: w\nnodes:\n  a: { type: answer, text: Hi }\n");
    let said = folder.run("chat w");
    assert!(said.code == 2 && said.err.contains("error[LA3014]: expected a chat workflow, found `w`"), "{}", said.err);
}

/// Nothing depends on what it says, only that it says something piece by piece, and comes to an end.
#[test]
fn the_local_model_answers_as_it_goes_without_any_key() {
    let short = TALK.replace("type: llm,", "type: llm, max_tokens: 80,");
    let folder = Folder::new().with("talk.yaml", &short).with("agent.yaml", AGENT);
    let mut child = start(&folder, &["chat", "talk", "--message", "Tell me a long story about a bicycle."]);
    let mut stdout = child.stdout.take().unwrap();
    let mut piece = [0; 4096];
    let first = stdout.read(&mut piece).unwrap();
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    let said = Said::of(child.wait_with_output().unwrap());
    assert!(said.code == 0 && first > 0 && rest.len() > first, "{first} and {} bytes: {}", rest.len(), said.err);
    assert!(said.err.starts_with("model: local/smollm2-135m-instruct, small and in this process"), "{}", said.err);

    let said = folder.run_args(&["chat", "agent", "--message", "Say hello."]);
    assert!(said.err.contains("do not trust what it does with them"), "{}", said.err);
}
