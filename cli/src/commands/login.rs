//! `login`, `logout`, `whoami`.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use liteagent_engine::codes;

use crate::{
    failure::{Exit, Failure},
    inputs,
    platform::block_on,
    remote::{Choice, Client, api::Me, sessions},
    shell::Shell,
};

/// The longest password or key that is read.
const LONGEST: u64 = 4_096;

/// Signs in at a server, and keeps the session for later commands.
#[derive(clap::Args)]
pub(crate) struct Login {
    /// The e-mail address; asked for without it
    #[arg(long, value_name = "ADDRESS", conflicts_with = "key")]
    email: Option<String>,
    /// Keeps a key instead, read from standard input: an API key, or the development key
    #[arg(long)]
    key: bool,
}

/// Ends the session at a server, and forgets it.
#[derive(clap::Args)]
pub(crate) struct Logout {}

/// Says who is signed in at a server.
#[derive(clap::Args)]
pub(crate) struct Whoami {}

impl Login {
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        let server = server.any()?;
        if server.is_in_the_open() {
            shell.note(format!("{server} has no TLS: whoever listens on the way can read what is sent"));
        }
        let me: Me = if self.key {
            let key = secret("the key: ")?;
            block_on(sessions::keep_key(&server, key))?
        } else {
            let email = match self.email {
                Some(email) => email,
                None if shell.can_ask() => inputs::ask("e-mail: ")?,
                None => {
                    return Err(Failure::usage(codes::NOT_LOGGED_IN, "it is not said who signs in")
                        .hint("give `--email`, and the password on standard input; or a key: `--key`"));
                }
            };
            let password = secret("password: ")?;
            block_on(sessions::sign_in(&server, &email, &password))?
        };
        shell.note(format!("signed in at {server} as {}", me.told()));
        Ok(Exit::Done)
    }
}

impl Logout {
    #[expect(clippy::unused_self, reason = "every verb runs itself")]
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        let server = server.any()?;
        let was_there = block_on(sessions::forget(&server))?;
        shell.note(if was_there {
            format!("signed out of {server}")
        } else {
            format!("nobody was signed in at {server}")
        });
        Ok(Exit::Done)
    }
}

impl Whoami {
    #[expect(clippy::unused_self, reason = "every verb runs itself")]
    pub(crate) fn run(self, shell: &Shell, server: &Choice) -> Result<Exit, Failure> {
        let client = Client::open(server.any()?)?;
        let me: Me = block_on(client.get("/api/auth/me"))?;
        shell.out(format!("{} at {}", me.told(), client.address()))?;
        Ok(Exit::Done)
    }
}

/// A line that nobody else shall see: from the terminal without echo, else from standard input.
fn secret(question: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let unreadable = |error: &std::io::Error| {
        Failure::usage(codes::INPUT_UNREADABLE, format!("standard input cannot be read: {error}"))
    };
    let line = if stdin.is_terminal() {
        rpassword::prompt_password(question).map_err(|error| unreadable(&error))?
    } else {
        let mut line = String::new();
        stdin.lock().take(LONGEST).read_line(&mut line).map_err(|error| unreadable(&error))?;
        line
    };
    let line = line.trim_end_matches(['\n', '\r']).to_owned();
    if line.is_empty() {
        return Err(Failure::usage(
            codes::INPUT_UNREADABLE,
            "expected a password or a key on standard input, found nothing",
        )
        .hint("pipe it in: `liteagent login --key < FILE`"));
    }
    Ok(line)
}
