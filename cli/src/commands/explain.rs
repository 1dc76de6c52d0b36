//! `explain`: the page of an error code.

use liteagent_engine::codes;

use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

/// Every page of `docs/errors`, by code.
const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Explains an error code and how to mend its cause.
#[derive(clap::Args)]
pub(crate) struct Explain {
    /// The code, as in `LA0203`; all codes are listed without one
    code: Option<String>,
}

impl Explain {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let Some(code) = self.code else {
            let lines: Vec<String> = codes::ALL.iter().map(|(code, title)| format!("{code}  {title}")).collect();
            shell.out(lines.join("\n"))?;
            return Ok(Exit::Done);
        };
        let wanted = code.to_uppercase();
        let Some((_, page)) = PAGES.iter().find(|(code, _)| *code == wanted) else {
            let known = PAGES.iter().map(|(code, _)| *code);
            return Err(Failure::usage(codes::UNKNOWN_NAME, format!("there is no code `{code}`")).near(
                &wanted,
                known,
                "run `liteagent explain` to list every code",
            ));
        };
        shell.out(page)?;
        Ok(Exit::Done)
    }
}
