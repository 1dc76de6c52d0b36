//! Redis servers as child processes, on free ports and in temporary folders; they end with their handles.
//!
//! `redis-server` of Debian's package must be there.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "for tests: a failure says where")]
#![expect(clippy::print_stderr, reason = "for tests")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue, RedisResult, cmd};
use tempfile::TempDir;

pub use self::{cluster::RedisCluster, sentinel::RedisSentinels};
use crate::redis::RedisAddress;

mod cluster;
mod sentinel;

/// How long servers may take to do what they are asked.
const PATIENCE: Duration = Duration::from_mins(1);

/// One server. What it holds is in its folder only where the options say so.
pub struct RedisServer {
    child: Child,
    folder: TempDir,
    options: Vec<String>,
    /// Its port on this machine.
    pub port: u16,
}

impl RedisServer {
    /// Starts a server that keeps nothing.
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"])
    }

    /// Starts a server with options of `redis-server`.
    pub fn start_with(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let child = spawn(&folder, port, &options);
        let server = Self { child, folder, options, port };
        server.wait_until_ready();
        server
    }

    /// Its address.
    pub fn address(&self) -> RedisAddress {
        format!("redis://127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// Ends the process with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port after [`Self::kill`].
    pub fn start_again(&mut self) {
        self.child = spawn(&self.folder, self.port, &self.options);
        self.wait_until_ready();
    }

    /// Lets it stand still, or go on.
    pub fn pause(&self, pause: bool) {
        let signal = if pause { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap().success());
    }

    /// Deletes everything.
    pub fn flush(&self) {
        self.ask::<()>(&["FLUSHALL"]).unwrap();
    }

    /// Sends it a command.
    pub fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        ask(self.port, words)
    }

    fn wait_until_ready(&self) {
        until("a server answers", || self.ask::<String>(&["PING"]).is_ok());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // One that was killed already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir, port: u16, options: &[String]) -> Child {
    let mut command = server(folder.path());
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"]).arg(folder.path()).args(options);
    command.spawn().expect("`redis-server` must be installed: apt-get install redis-server")
}

fn server(folder: &Path) -> Command {
    let mut command = Command::new("redis-server");
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// A port that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn ask<T: FromRedisValue>(port: u16, words: &[&str]) -> RedisResult<T> {
    let mut connection = connection(port)?;
    let (name, arguments) = words.split_first().unwrap();
    cmd(name).arg(arguments).query(&mut connection)
}

fn connection(port: u16) -> RedisResult<Connection> {
    let connection = Client::open(("127.0.0.1", port))?.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(connection)
}

/// Waits until a condition holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    eprintln!("{what}: after {:?}", begun.elapsed());
}
