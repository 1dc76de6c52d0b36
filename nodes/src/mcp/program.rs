//! An MCP server that is a program: messages are lines on its standard input and output.
//!
//! It is started before its first message, and ends with the last that knows it, or by itself; then the next message starts
//! it again. It gets a clean environment.

use std::{
    collections::HashMap,
    fmt::Display,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration as StdDuration,
};

use liteagent_engine::{
    codes,
    error::{ErrorClass, NodeError},
    units::Duration,
};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
};

use super::wire::{Exchange, MOST, answered};

/// How long a program may take to end after its input was closed.
const END: StdDuration = StdDuration::from_secs(2);

/// A program, as the configuration has it.
#[derive(Clone, Debug)]
pub struct McpProgram {
    /// The program, and its arguments.
    pub command: Vec<String>,
    /// The folder in which it starts.
    pub folder: PathBuf,
    /// Variables that it is given as they are.
    pub environment: Vec<(String, String)>,
    /// Variables, each with the name of the secret that is its value.
    pub secrets: Vec<(String, String)>,
    /// Whether programs are started at all.
    pub allowed: bool,
}

/// A program that runs.
#[derive(Debug)]
pub(super) struct Running {
    lines: mpsc::UnboundedSender<String>,
    waiting: Waiting,
}

/// Who waits for the answer to which request. `None` when nobody will be answered any more.
type Waiting = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Json>>>>>;

impl Running {
    /// Starts a program with these secrets, by variables.
    pub(super) fn start(name: &str, program: &McpProgram, secrets: Vec<(String, String)>) -> Result<Self, NodeError> {
        let shown = program.command.join(" ");
        if !program.allowed {
            let message = format!("the MCP server `{name}` is a program, and programs are not started: `{shown}`");
            return Err(NodeError::new(codes::MCP_PROGRAM, ErrorClass::Forbidden, message)
                .hint("set `LITEAGENT_MCP_PROGRAMS=true` in the environment, if you trust it"));
        }
        let failed = |error: &dyn Display| {
            let message = format!("the program of the MCP server `{name}` cannot be started (`{shown}`): {error}");
            NodeError::new(codes::MCP_PROGRAM, ErrorClass::Unavailable, message)
                .hint(format!("check `command` under `[mcp.{name}]` in `liteagent.toml`"))
        };
        let (path, arguments) = program.command.split_first().ok_or_else(|| failed(&"it has no name"))?;
        let mut child = Command::new(path)
            .args(arguments)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .envs(secrets)
            .current_dir(&program.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for the process that a person looks at.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&error))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed(&"it has no input and output"));
        };
        let (lines, outgoing) = mpsc::unbounded_channel();
        let waiting: Waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(complain(name.to_owned(), child.stderr.take()));
        tokio::spawn(write(stdin, outgoing));
        tokio::spawn(read(name.to_owned(), child, stdout, Arc::clone(&waiting), lines.downgrade()));
        Ok(Self { lines, waiting })
    }

    /// Sends a message. With an id, the answer to that id is waited for, as long as given.
    pub(super) async fn exchange(
        &self,
        name: &str,
        message: &Json,
        id: Option<u64>,
        timeout: Duration,
    ) -> Result<Exchange, NodeError> {
        let (told, answer) = oneshot::channel();
        if let Some(id) = id {
            match self.waiting.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
                Some(waiting) => drop(waiting.insert(id, told)),
                None => return Ok(Exchange::SessionLost),
            }
        }
        if self.lines.send(message.to_string()).is_err() {
            return Ok(Exchange::SessionLost);
        }
        if id.is_none() {
            return Ok(Exchange::Result(Json::Null));
        }
        match tokio::time::timeout(timeout.0, answer).await {
            Ok(Ok(answer)) => answered(name, &answer),
            // It may have done what it was asked: whether that is repeated is for policies to say.
            Ok(Err(_)) => {
                let message = format!("the program of the MCP server `{name}` ended before it answered");
                Err(NodeError::new(codes::MCP_PROGRAM, ErrorClass::Unavailable, message)
                    .hint("`LITEAGENT_LOG=warn` shows what it wrote to its standard error"))
            }
            Err(_) => {
                let message = format!("the MCP server `{name}` did not answer within {timeout}");
                Err(NodeError::new(codes::HTTP_TIMEOUT, ErrorClass::Timeout, message)
                    .hint(format!("raise `timeout` under `[mcp.{name}]` in `liteagent.toml`")))
            }
        }
    }
}

async fn write(mut stdin: ChildStdin, mut lines: mpsc::UnboundedReceiver<String>) {
    while let Some(line) = lines.recv().await {
        let written = async {
            stdin.write_all(line.as_bytes()).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        if written.await.is_err() {
            // Its output ends too, which tells whoever waits.
            return;
        }
    }
}

/// Reads answers until the program ends, or nobody knows it any more. Then nobody waits.
async fn read(
    name: String,
    mut child: Child,
    stdout: ChildStdout,
    waiting: Waiting,
    lines: mpsc::WeakUnboundedSender<String>,
) {
    let mut stdout = BufReader::new(stdout);
    loop {
        let line = match next(&mut stdout).await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(why) => {
                tracing::warn!("the program of the MCP server `{name}` is ended: {why}");
                break;
            }
        };
        let Ok(message) = serde_json::from_slice::<Json>(&line) else {
            let line = String::from_utf8_lossy(&line);
            tracing::warn!("the MCP server `{name}` wrote a line that is no message: {line}");
            continue;
        };
        let id = message.get("id").filter(|id| !id.is_null());
        match (message.get("method").and_then(Json::as_str), id) {
            (Some(method), Some(id)) => {
                if let Some(lines) = lines.upgrade() {
                    // When it is gone nobody waits for this.
                    let _ = lines.send(reply(method, id).to_string());
                }
            }
            (None, Some(id)) => {
                let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let waiter = id.as_u64().and_then(|id| waiting.as_mut()?.remove(&id));
                if let Some(waiter) = waiter {
                    // Whoever waited may have given up.
                    let _ = waiter.send(message);
                }
            }
            // A note that it does not want to be answered.
            (_, None) => {}
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    drop(stdout);
    if tokio::time::timeout(END, child.wait()).await.is_err()
        && let Err(error) = child.kill().await
    {
        tracing::warn!("the program of the MCP server `{name}` cannot be ended: {error}");
    }
}

/// The next line; `None` at the end.
async fn next(stdout: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>, String> {
    let mut line = Vec::new();
    let most = MOST as u64 + 1;
    let read = stdout.take(most).read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
    match read as u64 {
        0 => Ok(None),
        read if read == most && !line.ends_with(b"\n") => Err("a line is longer than 8 MiB".to_owned()),
        _ => Ok(Some(line)),
    }
}

/// What a server is told that asks something itself. We offer it nothing but a sign of life.
fn reply(method: &str, id: &Json) -> Json {
    if method == "ping" {
        return json!({ "jsonrpc": "2.0", "id": id, "result": {} });
    }
    let error = json!({ "code": -32601, "message": format!("this client does not offer `{method}`") });
    json!({ "jsonrpc": "2.0", "id": id, "error": error })
}

/// Passes on what a program says beside its messages.
async fn complain(name: String, stderr: Option<tokio::process::ChildStderr>) {
    let Some(stderr) = stderr else { return };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::warn!("the MCP server `{name}` says: {line}");
    }
}
