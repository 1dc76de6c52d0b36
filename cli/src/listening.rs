//! Listening on a port, and being told to stop, for every command that serves.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
};

use liteagent_engine::error::Code;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::failure::Failure;

/// A port that is listened on.
pub(crate) struct Listening {
    /// What takes connections.
    pub(crate) listener: TcpListener,
    /// Where it is reached, also when the system chose the port.
    pub(crate) address: SocketAddr,
}

impl Listening {
    /// Listens; what goes wrong is told with a code, and with the flag that gives another port.
    pub(crate) async fn on(host: IpAddr, port: u16, flag: &str, code: Code) -> Result<Self, Failure> {
        let address = SocketAddr::new(host, port);
        let bound = async {
            let listener = TcpListener::bind(address).await?;
            Ok(Self { address: listener.local_addr()?, listener })
        };
        bound.await.map_err(|error: io::Error| {
            Failure::platform(code, format!("cannot listen on {address}: {error}")).hint(format!(
                "end what uses the port (`ss -ltnp` shows it), or choose another: `{flag} {}`",
                u32::from(port) + 1
            ))
        })
    }
}

/// Returns when this process has been told to stop so many times.
///
/// # Errors
/// When the system lets it not wait for signals.
pub(crate) fn told(times: usize) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        for _ in 0..times {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
    })
}
