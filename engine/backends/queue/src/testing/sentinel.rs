//! A master, a replica, and three sentinels.

use std::{
    collections::HashMap,
    process::{Child, Command},
};

use redis::RedisResult;
use tempfile::TempDir;

use super::{RedisServer, ask, free_port, server, until};
use crate::redis::RedisAddress;

/// Sentinels that watch over a master named `main`.
pub struct RedisSentinels {
    /// First the master, then its replica.
    pub servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

struct Sentinel {
    child: Child,
    _folder: TempDir,
    port: u16,
}

impl RedisSentinels {
    /// Starts all, and waits until every sentinel knows the replica and the others.
    pub fn start() -> Self {
        let master = RedisServer::start();
        let replica = RedisServer::start_with(&[
            "--save",
            "",
            "--replicaof",
            &format!("127.0.0.1 {}", master.port),
            "--repl-diskless-sync-delay",
            "0",
        ]);
        until("the replica follows", || {
            replica.ask::<String>(&["INFO", "replication"]).is_ok_and(|said| said.contains("master_link_status:up"))
        });
        let sentinels: Vec<Sentinel> = (0..3).map(|_| Sentinel::start(master.port)).collect();
        for sentinel in &sentinels {
            until("a sentinel knows the others", || {
                sentinel.master().is_ok_and(|known| {
                    let is = |name: &str, value| known.get(name).is_some_and(|known| known == value);
                    is("num-other-sentinels", "2") && is("num-slaves", "1") && is("flags", "master")
                })
            });
        }
        Self { servers: vec![master, replica], sentinels }
    }

    /// The address.
    pub fn address(&self) -> RedisAddress {
        let hosts: Vec<String> = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port)).collect();
        format!("redis+sentinel://{}/main", hosts.join(",")).parse().unwrap()
    }

    /// Waits until every sentinel says that the replica is the master, which must have been killed.
    pub fn wait_for_failover(&self) {
        let replica = self.servers[1].port.to_string();
        for sentinel in &self.sentinels {
            until("a sentinel has another master", || {
                sentinel.master().is_ok_and(|known| known.get("port") == Some(&replica))
            });
        }
    }

    /// Deletes everything, while the first server is the master.
    pub fn flush(&self) {
        self.servers[0].flush();
    }
}

impl Sentinel {
    fn start(master: u16) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n",
            folder.path().display()
        );
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, settings).unwrap();
        let mut command: Command = server(folder.path());
        let child = command.arg(&file).arg("--sentinel").spawn().unwrap();
        Self { child, _folder: folder, port }
    }

    fn master(&self) -> RedisResult<HashMap<String, String>> {
        ask(self.port, &["SENTINEL", "MASTER", "main"])
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // One that ended by itself is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
