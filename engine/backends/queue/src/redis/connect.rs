//! Makes connections: to the one server, to the present master, or to a Cluster.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisFuture,
    RedisResult, TlsCertificates, TlsMode, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cmd,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

use crate::redis::{
    RedisOptions,
    address::{Login, RedisMode},
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// One connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(node) => node.req_packed_command(command),
            Self::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Node(node) => node.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Node(node) => node.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Makes connections.
pub(super) enum Connector {
    Single(Client),
    Sentinel(Mutex<SentinelClient>),
    Cluster { nodes: Vec<ConnectionInfo>, certificates: Option<TlsCertificates> },
}

impl Connector {
    pub(super) fn new(options: &RedisOptions) -> RedisResult<Self> {
        let address = &options.address;
        if address.tls {
            // Fails when there is one already, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let certificates =
            options.certificate.as_ref().map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem.to_vec()) });
        Ok(match &address.mode {
            RedisMode::Single => Self::Single(match (servers(options)?.swap_remove(0), certificates) {
                (server, Some(certificates)) if address.tls => Client::build_with_tls(server, certificates)?,
                (server, _) => Client::open(server)?,
            }),
            RedisMode::Cluster => Self::Cluster { nodes: servers(options)?, certificates },
            RedisMode::Sentinel(master) => {
                let Login { user, password } = &address.sentinel_login;
                let hosts = address.hosts.iter().map(|host| place(host, address.tls));
                let mut client = SentinelClientBuilder::new(hosts, master, SentinelServerType::Master)?
                    .set_client_to_redis_db(address.database);
                if address.tls {
                    client = client.set_client_to_redis_tls_mode(TlsMode::Secure);
                    if let Some(certificates) = certificates {
                        client = client
                            .set_client_to_redis_certificates(certificates.clone())
                            .set_client_to_sentinel_certificates(certificates);
                    }
                }
                if let Some(user) = &address.login.user {
                    client = client.set_client_to_redis_username(user);
                }
                if let Some(password) = &address.login.password {
                    client = client.set_client_to_redis_password(password);
                }
                if let Some(user) = user {
                    client = client.set_client_to_sentinel_username(user);
                }
                if let Some(password) = password {
                    client = client.set_client_to_sentinel_password(password);
                }
                Self::Sentinel(Mutex::new(client.build()?))
            }
        })
    }

    /// Connects. `answer` is how long one command may take: a server that hangs is found out by it.
    pub(super) async fn connect(&self, answer: Duration) -> RedisResult<Connection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(Some(answer));
        Ok(match self {
            Self::Single(client) => Connection::Node(node(client, &config).await?),
            Self::Sentinel(client) => {
                let master = client.lock().await.async_get_client().await?;
                Connection::Node(node(&master, &config).await?)
            }
            Self::Cluster { nodes, certificates } => {
                let mut client = ClusterClient::builder(nodes.clone())
                    .connection_timeout(CONNECT)
                    .response_timeout(answer)
                    // Trying again is the link's, with its own deadline; redirects are followed all the same.
                    .retries(3)
                    .max_retry_wait(200);
                if let Some(certificates) = certificates {
                    client = client.certs(certificates.clone());
                }
                Connection::Cluster(client.build()?.get_async_connection().await?)
            }
        })
    }

    /// A client for a node that hears what is published: the server, the present master, or any node of a Cluster, which
    /// tell each other. `turn` chooses among nodes.
    pub(super) async fn subscriber(&self, turn: usize) -> RedisResult<Client> {
        match self {
            Self::Single(client) => Ok(client.clone()),
            Self::Sentinel(client) => client.lock().await.async_get_client().await,
            Self::Cluster { nodes, certificates } => {
                let node = nodes[turn % nodes.len()].clone();
                match certificates {
                    Some(certificates) => Client::build_with_tls(node, certificates.clone()),
                    None => Client::open(node),
                }
            }
        }
    }
}

async fn node(client: &Client, config: &AsyncConnectionConfig) -> RedisResult<MultiplexedConnection> {
    let mut node = client.get_multiplexed_async_connection_with_config(config).await?;
    // A server that wants credentials says so to a short command only.
    let () = cmd("PING").query_async(&mut node).await?;
    Ok(node)
}

fn place((host, port): &(String, u16), tls: bool) -> ConnectionAddr {
    let (host, port) = (host.clone(), *port);
    if tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn servers(options: &RedisOptions) -> RedisResult<Vec<ConnectionInfo>> {
    let address = &options.address;
    let server = |host| {
        let server = place(host, address.tls).into_connection_info()?;
        let mut settings = server.redis_settings().clone().set_db(address.database);
        if let Some(user) = &address.login.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &address.login.password {
            settings = settings.set_password(password);
        }
        Ok(server.set_redis_settings(settings))
    };
    address.hosts.iter().map(server).collect()
}
