//! Which server is meant.

use liteagent_engine::codes;

use super::{Address, sessions};
use crate::{config::setting, failure::Failure};

/// What the command line says about the server.
#[derive(Debug)]
pub(crate) struct Choice(Option<String>);

impl Choice {
    /// What `--server` says.
    pub(crate) fn of(flag: Option<String>) -> Self {
        Self(flag)
    }

    /// The server that is named: by `--server`, else by `LITEAGENT_SERVER`. For commands that also work without one.
    pub(crate) fn named(&self) -> Result<Option<Address>, Failure> {
        let text = self.0.clone().or_else(|| setting("LITEAGENT_SERVER"));
        text.map(|text| Address::parse(&text)).transpose()
    }

    /// That, else the one where somebody last signed in. For commands that mean nothing without one.
    pub(crate) fn any(&self) -> Result<Address, Failure> {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        sessions::last()?.ok_or_else(|| {
            Failure::usage(codes::NO_SERVER, "it is not said which server is meant").hint(
                "name it: `--server https://agents.example.org`, or set `LITEAGENT_SERVER`; `liteagent login` keeps it",
            )
        })
    }

    /// For commands that work on this machine alone: naming a server would mean nothing.
    pub(crate) fn refuse(&self) -> Result<(), Failure> {
        if self.0.is_none() {
            return Ok(());
        }
        Err(Failure::usage(codes::NOT_REMOTE, "this command works on this machine alone, and takes no `--server`")
            .hint("leave `--server` out; `docs/guides/deploying.md` names the commands that take it"))
    }
}
