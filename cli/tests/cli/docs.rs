//! The documentation is true: every YAML block that is a whole workflow checks clean.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use liteagent_queue::testing::RedisServer;

use super::{
    fleet::Working,
    harness::{Folder, Said},
    serve::Serving,
};

#[test]
fn every_workflow_in_the_documentation_checks_clean() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let folder = Folder::new();
        for (line, block) in blocks(&text, "yaml").into_iter().filter(|(_, block)| is_workflow(block)) {
            count += 1;
            let folder = Folder::new().with("block.yaml", &block);
            let said = folder.run("check --deny-warnings block.yaml");
            if said.code != 0 {
                wrong.push(format!("{}:{line}\n{}", page.display(), said.out));
            }
        }
        drop(folder);
    }
    assert!(count > 5, "no workflows were found in the documentation");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A `console` block holds commands (`$ liteagent ...`, `$ curl ...`, `$ mkdir ...`, `$ sed ...`) and what they say. The workflows of the page lie in the
/// folder under their names, and so do blocks whose fence names a file: "```yaml greet.test.yaml". After
/// `$ liteagent serve ... &` a server answers until the end of the page; where a page has `$ liteagent server &`, a Redis is there as well.
#[test]
fn every_command_in_the_guides_works() {
    let mut wrong = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut folder = Folder::new();
        for (_, block) in blocks(&text, "yaml").into_iter().filter(|(_, block)| is_workflow(block)) {
            folder = folder.with(&format!("{}.yaml", name_of(&block)), &block);
        }
        for (name, block) in files(&text) {
            folder = folder.with(&name, &block);
        }
        let redis = text.contains("\n$ liteagent server").then(RedisServer::start);
        let url = redis.as_ref().map(|redis| format!("redis://127.0.0.1:{}", redis.port));
        let settings: Vec<_> = url.iter().map(|url| ("REDIS_URL", url.as_str())).collect();
        let (mut serving, mut workers) = (None, Vec::new());
        for (line, block) in blocks(&text, "console") {
            for (command, expected) in commands(&block) {
                let started = command.strip_suffix('&').and_then(|command| command.strip_prefix("liteagent "));
                let started = started.and_then(|command| command.trim().split_once(' ').or(Some((command.trim(), ""))));
                match started {
                    Some(("worker", args)) => {
                        // The port of the page may be taken.
                        let args = args.replace("--port 9001", "");
                        workers.push(Working::start(&folder, &words(&args), &settings));
                        continue;
                    }
                    Some((role, args)) => {
                        serving = Some(Serving::start_as(&folder, role, &words(args), &settings));
                        continue;
                    }
                    None => {}
                }
                let said = match unset(&command).strip_prefix("liteagent ") {
                    Some(_) => run(&folder, serving.as_ref(), &command, &settings),
                    None => shell(&folder, serving.as_ref(), &command),
                };
                let whole = said.out.clone() + &said.err;
                if let Some(missing) = expected.iter().find(|expected| !whole.contains(expected.trim())) {
                    wrong
                        .push(format!("{}:{line}: `{command}` does not say `{missing}`, but\n{whole}", page.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs the binary, against the server of the page; ` < FILE` gives it a file on standard input, `LITEAGENT_DATA=FOLDER` before it
/// another data folder.
fn run(folder: &Folder, serving: Option<&Serving>, line: &str, settings: &[(&str, &str)]) -> Said {
    let line = at_server(serving, line);
    let data = line.strip_prefix(DATA).and_then(|rest| rest.split_once(' ')).map(|(data, _)| data.to_owned());
    let line = unset(&line).trim_start_matches("liteagent ").to_owned();
    let (line, file) = line.split_once(" < ").map_or((&*line, None), |(line, file)| (line, Some(file)));
    let mut command = folder.command(&words(line));
    command.envs(data.map(|data| ("LITEAGENT_DATA", data))).envs(settings.iter().copied());
    if let Some(file) = file {
        command.stdin(fs::File::open(folder.path(file)).unwrap());
    }
    Said::of(command.output().unwrap())
}

/// A line with the address of the server of the page.
fn at_server(serving: Option<&Serving>, line: &str) -> String {
    let address = serving.map_or_else(String::new, |serving| serving.address.to_string());
    line.replace("127.0.0.1:8000", &address)
}

/// Runs a line as a shell does, against the server of the page.
fn shell(folder: &Folder, serving: Option<&Serving>, line: &str) -> Said {
    let line = at_server(serving, line);
    Said::of(Command::new("sh").args(["-c", &line]).current_dir(folder.path("")).output().unwrap())
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut pages = vec![root.join("README.md")];
    for folder in ["docs/guides", "docs/errors"] {
        pages.extend(fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    pages.sort();
    pages
}

/// The fenced blocks of a language, with the line that each begins at.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut open {
            Some((_, block)) if line.trim_start() != "```" => block.push_str(&format!("{line}\n")),
            Some(_) => found.extend(open.take()),
            None if line.trim_start() == format!("```{language}") => open = Some((number + 2, String::new())),
            None => {}
        }
    }
    found
}

/// The fenced blocks that name a file, with that name.
fn files(text: &str) -> Vec<(String, String)> {
    let fences = text.lines().filter_map(|line| line.strip_prefix("```")?.split_once(' '));
    let named = fences.map(|(language, name)| (name.to_owned(), format!("{language} {name}")));
    named.filter_map(|(name, fence)| Some((name, blocks(text, &fence).pop()?.1))).collect()
}

/// Pages also show parts of workflows; a whole one has a name and nodes.
fn is_workflow(block: &str) -> bool {
    let has = |key: &str| block.lines().any(|line| line.starts_with(key));
    has("name:") && has("nodes:")
}

fn name_of(block: &str) -> &str {
    block.lines().find_map(|line| line.strip_prefix("name:")).unwrap().split('#').next().unwrap().trim()
}

/// What stands before a command that works in another data folder.
const DATA: &str = "LITEAGENT_DATA=";

/// A command without that.
fn unset(command: &str) -> &str {
    command.strip_prefix(DATA).and_then(|rest| rest.split_once(' ')).map_or(command, |(_, program)| program)
}

fn is_run(command: &str) -> bool {
    ["liteagent ", "curl ", "mkdir ", "sed ", DATA].iter().any(|program| command.starts_with(program))
}

/// The commands of a block, each with the lines that it must say; `...` stands for anything.
fn commands(block: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ").filter(|command| is_run(command)) {
            found.push((command.to_owned(), Vec::new()));
        } else if line.trim() != "..."
            && let Some((_, expected)) = found.last_mut()
        {
            expected.push(line.to_owned());
        }
    }
    found
}

/// Splits a command as a shell does, as far as single quotes go.
fn words(command: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for (i, part) in command.split('\'').enumerate() {
        if i % 2 == 1 { words.push(part) } else { words.extend(part.split_whitespace()) }
    }
    words
}
