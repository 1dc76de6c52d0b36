//! `migrate`: the schema of a PostgreSQL database.

use liteagent_backends::{
    RUNS,
    postgres::{Migrated, Migrations},
};
use liteagent_engine::{codes, store::StoreError};
use liteagent_knowledge::KNOWLEDGE;
use liteagent_server::store::SERVER;

use crate::{
    config::database::Database,
    failure::{Exit, Failure},
    platform::block_on,
    shell::Shell,
};

/// The schemas of everything that is kept there.
pub(crate) const SCHEMAS: [Migrations; 3] = [RUNS, SERVER, KNOWLEDGE];

/// Adds to the schema of the database of `DATABASE_URL` what this release needs; programs of the release before go on meanwhile.
/// It may be run from several machines at once. SQLite files are brought up to date when they are opened.
#[derive(clap::Args)]
pub(crate) struct Migrate {
    /// Also takes away what only older releases need: when none of their programs runs any more
    #[arg(long)]
    finish: bool,
}

impl Migrate {
    pub(crate) fn run(self, shell: &Shell) -> Result<Exit, Failure> {
        let database = Database::of_environment()?;
        if !database.is_shared() {
            shell.note("there is nothing to do: SQLite files are brought up to date when they are opened");
            return Ok(Exit::Done);
        }
        block_on(async {
            let Some(pool) = database.pool()? else { return Ok(Exit::Done) };
            for schema in &SCHEMAS {
                shell.out(told(&pool.migrate(schema, self.finish).await?))?;
                pool.fits(schema).await.map_err(|error| unfinished(schema, error))?;
            }
            Ok(Exit::Done)
        })
    }
}

/// What was done, in one line.
fn told(migrated: &Migrated) -> String {
    let Migrated { component, from, to, left } = migrated;
    let done = match (from, to) {
        (0, _) => format!("made version {to}"),
        (from, to) if from == to => format!("is of version {to}, nothing to do"),
        _ => format!("from version {from} to {to}"),
    };
    let waits = match left {
        0 => String::new(),
        _ => "; `liteagent migrate --finish` does the rest, when no older program runs any more".to_owned(),
    };
    format!("{component}: {done}{waits}")
}

/// The release before was never finished, and this one cannot begin.
fn unfinished(schema: &Migrations, error: StoreError) -> Failure {
    match error {
        StoreError::Older { .. } => {
            let message = format!("`{}`: what an earlier release began was not finished: {error}", schema.component);
            Failure::usage(codes::STORE_OLDER, message)
                .hint("when no older program runs any more, run `liteagent migrate --finish`")
        }
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_it_did_and_what_waits() {
        let said = |from, to, left| told(&Migrated { component: "runs", from, to, left });
        assert_eq!(said(0, 1, 0), "runs: made version 1");
        assert_eq!(said(1, 1, 0), "runs: is of version 1, nothing to do");
        assert_eq!(
            said(1, 2, 1),
            "runs: from version 1 to 2; `liteagent migrate --finish` does the rest, when no older program runs any more"
        );
    }
}
