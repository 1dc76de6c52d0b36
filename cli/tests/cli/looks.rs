//! How the commands look that run nothing.

use super::harness::{Folder, looks_like};

const WRONG: &str = "\
name: wrong
inputs: { who: string }
nodes:
  greet: { type: template-transform, template: \"Hello, {{ inputs.wo }} {{ gret.text }}\", templat: x }
outputs: { text: \"{{ greet.txt }}\" }
";

#[test]
fn every_finding_is_reported_at_once_with_its_place() {
    let folder = Folder::new().with("wrong.yaml", WRONG);
    looks_like!(folder.run("check").whole(), @r#"
    warning[LA0216]: the input `who` is never used
     --> wrong.yaml:2:11
      |
    2 | inputs: { who: string }
      |           ^^^ unused
      |
      = help: read it as `{{ inputs.who }}`, or remove it
    error[LA0205]: unknown input `wo`
     --> wrong.yaml:4:59
      |
    4 |   greet: { type: template-transform, template: "Hello, {{ inputs.wo }} {{ gret.text }}", templat: x }
      |                                                           ^^^^^^^^^ not declared
      |
      = help: did you mean `who`?
    error[LA0203]: unknown node `gret`
     --> wrong.yaml:4:75
      |
    4 |   greet: { type: template-transform, template: "Hello, {{ inputs.wo }} {{ gret.text }}", templat: x }
      |                                                                           ^^^^ no node has this id
      |
      = help: did you mean `greet`?
    error[LA0101]: unknown field `templat` in `template-transform`
     --> wrong.yaml:4:90
      |
    4 |   greet: { type: template-transform, template: "Hello, {{ inputs.wo }} {{ gret.text }}", templat: x }
      |                                                                                          ^^^^^^^ no such field
      |
      = help: did you mean `template`?
    error[LA0204]: `greet` has no member `txt`
     --> wrong.yaml:5:22
      |
    5 | outputs: { text: "{{ greet.txt }}" }
      |                      ^^^^^^^^^ no such member
      |
      = help: did you mean `text`?
    ---- stderr (1)
    checked 1 workflow: 4 errors, 1 warning
    "#);
}

#[test]
fn findings_are_also_json_and_annotations() {
    let folder = Folder::new().with("wrong.yaml", WRONG);
    let json: serde_json::Value = serde_json::from_str(&folder.run("check --format json").out).unwrap();
    let findings = json.as_array().or_else(|| json["diagnostics"].as_array()).unwrap();
    assert!(findings.iter().any(|finding| finding["code"] == "LA0203"), "{json}");
    let github = folder.run("check --format github").out;
    assert!(github.lines().all(|line| line.starts_with("::") && line.contains(" file=wrong.yaml,line=")), "{github}");
}

#[test]
fn help_lists_the_commands() {
    looks_like!(Folder::new().run("--help").out, @r"
    Workflow engine for LLM applications

    Usage: liteagent [OPTIONS] <COMMAND>

    Commands:
      check        Checks workflow files and reports every finding at once
      run          Runs a workflow and prints its outputs
      chat         Talks with a workflow
      index        Puts the documents of a folder into a knowledge base
      ask          Answers a question from a knowledge base
      search       Looks something up in a knowledge base, with the scores of each stage
      kb           Makes, lists, shows and deletes knowledge bases, and measures searches
      runs         Lists runs, shows one, answers one that waits, goes on with one
      backup       Writes everything that the data folder holds into one file, or looks whether such a
                   file is whole
      restore      Makes an installation from a backup
      migrate      Brings the schema of a PostgreSQL database up to date
      import       Moves an installation from SQLite files into PostgreSQL
      forget       Deletes everything that is kept about a subject
      test         Runs the tests of workflows
      eval         Runs a workflow over a data set with several models, and compares them
      graph        Draws a workflow as Mermaid, DOT or SVG
      nodes        Lists the node types, or shows one with its fields and examples
      models       Lists the language models, tries one, or fetches those that run in this program
      schema       Prints the JSON Schema of workflow files, for editors
      new          Writes a new workflow from a template
      init         Makes a folder a project: configuration, editor settings, an example
      fmt          Tidies workflow files
      explain      Explains an error code and how to mend its cause
      doctor       Checks this machine and this project, and says how to mend what is wrong
      serve        Serves workflows, runs and chat through an API, with everything in this process
      server       Serves the same API, and lets workers execute the runs
      worker       Executes runs that wait in the queues between processes; or lists the workers
      queue        Lists what waits in the queues between processes, and the jobs that nobody could do
      secrets      Lists, sets and deletes the secrets of the vault, and seals them with another key
      sandbox      Runs untrusted code for others, by HTTP; or builds what code runs in
      login        Signs in at a server, and keeps the session
      logout       Ends the session at a server
      whoami       Says who is signed in at a server
      deploy       Publishes the workflows of a folder on a server
      diff         Shows how the workflows of a folder differ from those of a server
      pull         Writes the workflows of a server into a folder
      logs         Shows what happens in a run on a server, as it happens
      completions  Prints a completion script for a shell
      help         Print this message or the help of the given subcommand(s)

    Options:
          --color <WHEN>
              Whether output has colours; `NO_COLOR` turns them off too

              Possible values:
              - auto:   On a terminal, unless `NO_COLOR` is set
              - always: Always
              - never:  Never
              
              [default: auto]

          --server <URL>
              The server that the command is meant for, instead of this machine; `LITEAGENT_SERVER` says
              the same

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version
    ");
}

#[test]
fn a_workflow_is_drawn_in_three_languages() {
    let folder = Folder::new().with("branch.yaml", BRANCH);
    looks_like!(folder.run("graph branch").out, @r#"
    flowchart TD
      loud["loud<br><small>if-else</small>"]
      subgraph each["each (iteration)"]
        each__line["line<br><small>template-transform</small>"]
        each__mark["mark<br><small>template-transform</small>"]
        each__line --> each__mark
      end
      shout["shout<br><small>template-transform</small>"]
      say["say<br><small>template-transform</small>"]
      loud -->|yes| shout
      loud -->|else| say
      each --> shout
      each --> say
      subgraph finally
        finally__done["done<br><small>template-transform</small>"]
      end
    "#);
    looks_like!(folder.run("graph branch --format dot").out, @r#"
    digraph workflow {
      compound=true;
      node [shape=box, style=rounded, fontname="sans-serif"];
      edge [fontname="sans-serif", fontsize=10];
      "loud" [label="loud\nif-else"];
      subgraph "cluster_each" {
        label="each (iteration)";
        "each.line" [label="line\ntemplate-transform"];
        "each.mark" [label="mark\ntemplate-transform"];
        "each.line" -> "each.mark";
      }
      "shout" [label="shout\ntemplate-transform"];
      "say" [label="say\ntemplate-transform"];
      "loud" -> "shout" [label="yes"];
      "loud" -> "say" [label="else"];
      "each.line" -> "shout" [ltail="cluster_each"];
      "each.line" -> "say" [ltail="cluster_each"];
      subgraph "cluster_finally" {
        label="finally";
        "finally.done" [label="done\ntemplate-transform"];
      }
    }
    "#);
    let svg = folder.run("graph branch --format svg").out;
    assert!(svg.starts_with("<svg ") && svg.contains(">yes<") && svg.contains(">each <"), "{svg}");
}

const BRANCH: &str = "\
name: branch
inputs: { items: \"string[]\", loud: { type: boolean, default: false } }
nodes:
  loud: { type: if-else, cases: { \"yes\": \"{{ inputs.loud }}\" } }
  each:
    type: iteration
    items: \"{{ inputs.items }}\"
    nodes:
      line: { type: template-transform, template: \"{{ item }}\" }
      mark: { type: template-transform, template: \"{{ line.text }}!\" }
    output: \"{{ mark.text }}\"
  shout: { type: template-transform, needs: [loud.yes], template: \"{{ each.output | join | upper }}\" }
  say: { type: template-transform, needs: [loud.else], template: \"{{ each.output | join }}\" }
outputs: { text: \"{{ shout.text if shout else say.text }}\" }
finally:
  done: { type: template-transform, template: \"{{ status }}\" }
";

#[test]
fn what_is_begun_by_a_command_checks_clean_and_runs() {
    let folder = Folder::new();
    assert_eq!(folder.run("init").code, 0);
    assert_eq!(folder.run("run hello").out, "Hello, world!\n");
    for template in ["hello", "http", "batch", "approval"] {
        let made = folder.run(&format!("new tools/{template} --template {template}"));
        assert_eq!((made.code, made.out), (0, format!("tools/{template}.yaml\n")));
    }
    assert_eq!(folder.run("check --deny-warnings").err, "checked 5 workflows: nothing wrong\n");
    assert_eq!(folder.run("run tools/batch --json").code, 0);
    assert_eq!(folder.run("fmt --check").err, "not tidy: 0 files\n");

    let again = folder.run("new tools/http");
    assert_eq!(again.code, 2);
    assert!(again.err.contains("error[LA3007]"), "{}", again.err);
    let kept = folder.run("init");
    assert!(kept.err.contains("kept   liteagent.toml"), "{}", kept.err);
    let said = folder.run("doctor");
    assert_eq!(said.code, 0, "{}", said.out);
}

#[test]
fn editors_are_set_up_and_what_is_there_is_kept() {
    let folder = Folder::new().with(".vscode/settings.json", "{}");
    let made = folder.run("init");
    assert!(made.err.contains("kept   .vscode/settings.json"), "{}", made.err);
    let read = |name: &str| std::fs::read_to_string(folder.path(name)).unwrap();
    assert_eq!(read(".vscode/settings.json"), "{}");
    assert!(read(".vscode/extensions.json").contains("redhat.vscode-yaml"));
    assert!(read("hello.yaml").starts_with("# yaml-language-server: $schema=.liteagent/workflow.schema.json\n"));
    let schema = read(".liteagent/workflow.schema.json");
    assert_eq!(schema, folder.run("schema").out);
    assert_eq!(read(".liteagent/workflow-test.schema.json"), folder.run("schema --test").out);

    // A clone has the schemas, and nothing else of the folder.
    let git = |args: &[&str]| {
        let mut command = std::process::Command::new("git");
        let output = command.args(args).current_dir(folder.path("")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(folder.run("run hello").code, 0);
    git(&["init", "-q"]);
    git(&["add", "."]);
    let ours = git(&["ls-files", ".liteagent"]);
    assert_eq!(ours, ".liteagent/workflow-test.schema.json\n.liteagent/workflow.schema.json\n");

    let old = schema.replace("liteagent 0.", "liteagent 0.0.");
    std::fs::write(folder.path(".liteagent/workflow.schema.json"), &old).unwrap();
    let new = folder.run("new support/answer");
    assert_eq!((new.code, new.out.as_str()), (0, "support/answer.yaml\n"));
    assert!(new.err.contains("wrote  .liteagent/workflow.schema.json\n"), "{}", new.err);
    assert_eq!(read(".liteagent/workflow.schema.json"), schema);
    assert!(read("support/answer.yaml").starts_with("# yaml-language-server: $schema=../.liteagent/workflow.schema"));
    let newer = schema.replace("liteagent 0.", "liteagent 999.");
    std::fs::write(folder.path(".liteagent/workflow.schema.json"), &newer).unwrap();
    assert_eq!(folder.run("init").code, 0);
    assert_eq!(read(".liteagent/workflow.schema.json"), newer);

    // Outside a project, `new` writes no settings.
    let other = Folder::new();
    assert_eq!(other.run("new hello").code, 0);
    assert!(other.path(".liteagent/workflow.schema.json").is_file() && !other.path(".vscode").exists());
}

#[test]
fn files_are_tidied_and_keep_their_comments() {
    let folder = Folder::new().with("a.yaml", "name: a   \nnodes: # all\n    b: { type: answer, text: hi }\n\n\n");
    let check = folder.run("fmt --check");
    assert_eq!((check.code, check.out.as_str()), (1, "a.yaml\n"));
    assert_eq!(folder.run("fmt").code, 0);
    let text = std::fs::read_to_string(folder.path("a.yaml")).unwrap();
    assert_eq!(text, "name: a\nnodes: # all\n  b: { type: answer, text: hi }\n");
    assert_eq!(folder.run("fmt --check").code, 0);
}

#[test]
fn a_code_is_explained_and_a_wrong_one_suggests_a_near_one() {
    let folder = Folder::new();
    assert!(folder.run("explain la0203").out.starts_with("# LA0203: "));
    looks_like!(folder.run("explain LA0204X").whole(), @r"
    ---- stderr (2)
    error[LA3006]: there is no code `LA0204X`
      = help: did you mean `LA0204`?
    ");
    assert!(folder.run("explain").out.contains("LA3001  there is no such workflow"));
}

#[test]
fn a_completion_script_names_the_verbs() {
    let script = Folder::new().run("completions bash").out;
    assert!(script.contains("signal") && script.contains("--deny-warnings"));
}
