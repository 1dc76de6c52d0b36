//! On a terminal: questions are asked, and a person may leave without an answer. `script` makes the terminal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::{harness::Folder, runs::APPROVAL};

/// The binary on a terminal of its own.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    fn run(folder: &Folder, line: &str) -> Self {
        let command = format!("exec timeout 60 {} {line}", env!("CARGO_BIN_EXE_liteagent"));
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &command, "/dev/null"]).current_dir(folder.path("."));
        script.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", folder.path(".")).env("LITEAGENT_MIN_FREE", "0B");
        script.env("SHELL", "/bin/sh").env("TERM", "xterm");
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keys, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keys, screen, shown: String::new() }
    }

    /// Reads until a text is shown, and then types an answer.
    fn answer(&mut self, question: &str, typed: &str) {
        let from = self.shown.len();
        let mut bytes = [0; 1024];
        while !self.shown[from..].contains(question) {
            let count = self.screen.read(&mut bytes).unwrap();
            assert!(count > 0, "`{question}` was not asked:\n{}", self.shown);
            self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        self.keys.write_all(typed.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// The exit code, and everything that was shown.
    fn end(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        // The end of a terminal may be an error of reading.
        let _ = self.screen.read_to_end(&mut rest);
        let status = self.child.wait().unwrap();
        (status.code().unwrap_or(-1), self.shown + &String::from_utf8_lossy(&rest))
    }
}

#[test]
fn what_is_missing_is_asked_for_and_a_person_answers() {
    let workflow = APPROVAL.replace("{ type: string, default: a chair }", "{ type: string, description: What to buy }");
    let folder = Folder::new().with("approval.yaml", &workflow);
    let mut terminal = Terminal::run(&folder, "run approval");
    terminal.answer("what (What to buy): ", "a lamp\n");
    terminal.answer("note: ", "fine\n");
    terminal.answer("price (optional): ", "\n");
    terminal.answer("[1-2]: ", "7\n");
    terminal.answer("[1-2]: ", "1\n");
    let (exit, shown) = terminal.end();
    assert!(exit == 0 && shown.contains("Shall we buy a lamp?") && shown.contains("bought: fine"), "{exit}: {shown}");
}

#[test]
fn a_person_may_leave_a_question_and_the_run_waits_on() {
    let folder = Folder::new().with("approval.yaml", APPROVAL);
    for key in ["\u{3}", "\u{4}"] {
        let mut terminal = Terminal::run(&folder, "run approval");
        terminal.answer("note: ", key);
        let (exit, shown) = terminal.end();
        let is_told = shown.contains("liteagent runs signal") && shown.contains("--action approve");
        assert!(exit == 4 && is_told, "{key:?}: {exit}: {shown}");
        assert!(folder.run("runs list --status waiting").out.contains("approval"));
    }
}

#[test]
fn what_a_run_says_is_shown_once_and_when_it_says_it() {
    let workflow = "name: talk\nnodes:\n  hello: { type: answer, text: \"Good \\e[2Jmorning.\" }\n  ask: { type: human-input, needs: [hello], message: Sure?, form: { note: string }, actions: { yes: Yes } }\n  bye: { type: answer, needs: [ask.yes], text: \"Noted: {{ ask.form.note }}\" }\n";
    let folder = Folder::new().with("talk.yaml", workflow);
    let mut terminal = Terminal::run(&folder, "run talk");
    terminal.answer("note: ", "fine\n");
    terminal.answer("[1-1]: ", "1\n");
    let asked = terminal.shown.clone();
    let (exit, shown) = terminal.end();
    assert_eq!(exit, 0, "{shown}");
    assert!(asked.contains("Good [2Jmorning.\r\n"), "said before the question, and moves no cursor: {asked}");
    assert_eq!((shown.matches("morning").count(), shown.matches("Noted: fine").count()), (1, 1), "{shown}");
    assert!(!shown.contains("{}"), "there are no outputs: {shown}");
}
