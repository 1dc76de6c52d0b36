//! A Cluster of three nodes.

use super::{RedisServer, free_port, until};
use crate::redis::RedisAddress;

/// Three masters that share the keys.
pub struct RedisCluster {
    /// The nodes.
    pub nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes and waits until every one of them says that the Cluster works.
    pub fn start() -> Self {
        const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        let buses: Vec<u16> = SLOTS.iter().map(|_| free_port()).collect();
        let nodes: Vec<RedisServer> = buses
            .iter()
            .map(|bus| {
                let bus = bus.to_string();
                let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "5000"];
                RedisServer::start_with(&[&["--save", ""], cluster.as_slice()].concat())
            })
            .collect();
        for (number, (node, (first, last))) in nodes.iter().zip(SLOTS).enumerate() {
            node.ask::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).unwrap();
            node.ask::<()>(&["CLUSTER", "ADDSLOTSRANGE", first, last]).unwrap();
        }
        for (node, bus) in nodes.iter().zip(&buses).skip(1) {
            let (port, bus) = (node.port.to_string(), bus.to_string());
            nodes[0].ask::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).unwrap();
        }
        for node in &nodes {
            until("a node of the Cluster is ready", || {
                let said = node.ask::<String>(&["CLUSTER", "INFO"]).unwrap_or_default();
                said.contains("cluster_state:ok") && said.contains("cluster_known_nodes:3")
            });
        }
        Self { nodes }
    }

    /// The address, by its first node: the others are found out.
    pub fn address(&self) -> RedisAddress {
        format!("redis+cluster://127.0.0.1:{}", self.nodes[0].port).parse().unwrap()
    }

    /// Deletes everything.
    pub fn flush(&self) {
        for node in &self.nodes {
            node.flush();
        }
    }
}
