//! `[documents]` of `liteagent.toml`.

use liteagent_documents::Limits;
use liteagent_engine::{
    codes,
    units::{Duration, Size},
};
use serde::Deserialize;

use super::FILE;
use crate::failure::Failure;

/// The largest file and text: what a message between processes can hold.
const MOST: Size = Size(2 << 30);

/// `[documents]`: what reading a document may take.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DocumentsConfig {
    /// Child processes, which read one document each at a time; as many as the machine has cores.
    processes: Option<usize>,
    /// The size of the file; 100MiB.
    file: Option<Size>,
    /// The size of the text that is made of it; 20MiB.
    text: Option<Size>,
    /// The memory of a child process, beside its program; 1GiB.
    memory: Option<Size>,
    /// How long reading may take; 60s.
    time: Option<Duration>,
    /// Pages, slides or sheets; 10000.
    pages: Option<u32>,
    /// The size of everything in a file that is an archive, such as DOCX; 512MiB.
    unpacked: Option<Size>,
    /// The entries of such a file; 10000.
    entries: Option<u32>,
}

impl DocumentsConfig {
    /// The limits: what is not said here is as usual.
    pub(crate) fn limits(&self) -> Result<Limits, Failure> {
        let usual = Limits::default();
        let size = |size: Option<Size>, usual| size.map_or(usual, |size| size.0);
        let limits = Limits {
            file: size(self.file, usual.file),
            text: size(self.text, usual.text),
            memory: size(self.memory, usual.memory),
            time: self.time.map_or(usual.time, |time| time.0),
            pages: self.pages.unwrap_or(usual.pages),
            unpacked: size(self.unpacked, usual.unpacked),
            entries: self.entries.unwrap_or(usual.entries),
        };
        let wrong = |what: String| {
            Err(Failure::usage(codes::CONFIG, format!("`[documents]` of `{FILE}`: {what}"))
                .hint("run `liteagent explain LA3004` to see every key"))
        };
        let numbers = [
            ("processes", self.processes.unwrap_or(1) as u64),
            ("file", limits.file),
            ("text", limits.text),
            ("memory", limits.memory),
            ("time", limits.time.as_millis() as u64),
            ("pages", limits.pages.into()),
            ("unpacked", limits.unpacked),
            ("entries", limits.entries.into()),
        ];
        if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
            return wrong(format!("expected more than nothing as `{name}`, found 0"));
        }
        if let Some((name, _)) = [("file", limits.file), ("text", limits.text)].iter().find(|(_, size)| *size > MOST.0)
        {
            return wrong(format!("expected {MOST} as `{name}` at most"));
        }
        Ok(limits)
    }

    /// How many child processes there are to be.
    pub(crate) fn processes(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        self.processes.unwrap_or_else(cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Limits, String> {
        let config: DocumentsConfig = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        config.limits().map_err(|failure| failure.message.replace("`[documents]` of `liteagent.toml`: ", ""))
    }

    #[test]
    fn limits_that_are_not_named_have_their_default() {
        let limits = read("file = \"5MiB\"\ntime = \"10s\"").unwrap();
        let usual = Limits::default();
        assert_eq!((limits.file, limits.time.as_secs()), (5 << 20, 10));
        assert_eq!((limits.text, limits.memory, limits.pages), (usual.text, usual.memory, usual.pages));
    }

    #[test]
    fn limits_that_make_no_sense_are_refused_by_name() {
        assert_eq!(read("processes = 0").unwrap_err(), "expected more than nothing as `processes`, found 0");
        assert_eq!(read("text = \"0B\"").unwrap_err(), "expected more than nothing as `text`, found 0");
        assert_eq!(read("file = \"3GiB\"").unwrap_err(), "expected 2GiB as `file` at most");
        assert!(read("file = 3").unwrap_err().contains("size"));
    }
}
