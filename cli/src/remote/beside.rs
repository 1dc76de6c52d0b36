//! The process that serves the data folder of a project: how others on this machine find it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use liteagent_engine::codes;
use serde::{Deserialize, Serialize};

use super::{Address, Client};
use crate::{config::database::Database, failure::Failure, kept, project::Project};

/// Where it says how it is reached, for its owner alone.
const FILE: &str = "server.json";
/// What it holds for as long as it lives: a file that a killed process left means nothing.
const LOCK: &str = "server.lock";

/// How a server is reached.
#[derive(Serialize, Deserialize)]
struct Said {
    url: String,
    key: String,
}

/// While this is there, others on this machine find the server.
pub(crate) struct Announced {
    file: PathBuf,
    _lock: File,
}

/// Says how the server of a data folder is reached; `None` when another one has said so.
pub(crate) fn announce(data: &Path, address: SocketAddr, key: &str) -> Result<Option<Announced>, Failure> {
    // Whoever looks whether a server lives holds the lock for a moment.
    const LOOKS: u32 = 20;
    const MOMENT: Duration = Duration::from_millis(5);
    let lock = open(data).map_err(|error| unusable(data, &error))?;
    let mut is_ours = false;
    for _ in 0..LOOKS {
        match lock.try_lock() {
            Ok(()) => {
                is_ours = true;
                break;
            }
            Err(TryLockError::WouldBlock) => thread::sleep(MOMENT),
            Err(TryLockError::Error(error)) => return Err(unusable(data, &error)),
        }
    }
    if !is_ours {
        return Ok(None);
    }
    let mut reached = address;
    if reached.ip().is_unspecified() {
        reached.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    let said = Said { url: format!("http://{reached}"), key: key.to_owned() };
    let file = data.join(FILE);
    let text = serde_json::to_string(&said).map_err(|error| unusable(data, &error))?;
    kept::write(&file, &text).map_err(|error| unusable(data, &error))?;
    Ok(Some(Announced { file, _lock: lock }))
}

impl Drop for Announced {
    fn drop(&mut self) {
        // Without the lock, what it says means nothing.
        let _ = fs::remove_file(&self.file);
    }
}

/// The server that serves the data folder of a project, when one does.
pub(crate) fn server(project: &Project) -> Result<Option<Client>, Failure> {
    // Many processes share the other database: each takes what nobody owns, and leaves the rest to its owner's inbox.
    if Database::of_environment()?.is_shared() {
        return Ok(None);
    }
    let data = project.data();
    if !is_held(&data).map_err(|error| unusable(&data, &error))? {
        return Ok(None);
    }
    let Some(text) = kept::read(&data.join(FILE)).map_err(|error| unusable(&data, &error))? else { return Ok(None) };
    let Said { url, key } = serde_json::from_str(&text).map_err(|error| unusable(&data, &error))?;
    Client::beside(Address::parse(&url)?, key).map(Some)
}

fn is_held(data: &Path) -> io::Result<bool> {
    let lock = match File::open(data.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(data: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(data.join(LOCK))
}

fn unusable(data: &Path, error: &dyn std::fmt::Display) -> Failure {
    let file = data.join(FILE);
    Failure::usage(codes::SESSION_FILE, format!("`{}` cannot be used: {error}", file.display()))
        .hint("let it be yours alone (`chmod 600`), or delete it and start the server again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_found_while_it_lives_and_one_of_two_is() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let address = "0.0.0.0:8000".parse().unwrap();
        assert!(!is_held(data).unwrap());
        let announced = announce(data, address, "la_key").unwrap().unwrap();
        assert!(is_held(data).unwrap());
        assert!(kept::read(&data.join(FILE)).unwrap().unwrap().contains("http://127.0.0.1:8000"));
        assert!(announce(data, address, "la_other").unwrap().is_none());
        drop(announced);
        assert!(!is_held(data).unwrap() && !data.join(FILE).exists());
        assert!(announce(data, address, "la_other").unwrap().is_some());
    }
}
