//! Listening, and stopping without breaking what runs.

use std::{future::Future, pin::pin, time::Duration};

use axum::{Router, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tower::Service as _;

use crate::{Server, front::Peer};

/// How long the head of a request may take to arrive.
const HEAD: Duration = Duration::from_secs(10);
/// The most bytes that the head of a request has.
const MOST_HEAD: usize = 64 << 10;
/// How long to wait before the next connection is taken when the system gives none.
const PAUSE: Duration = Duration::from_millis(100);

/// What a server listens on.
pub struct Listeners {
    /// For everyone.
    pub api: TcpListener,
    /// For Prometheus.
    pub metrics: TcpListener,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request was answered.
    Drained,
    /// Requests that still went on at the deadline were cut off.
    CutOff,
}

/// Serves until `stop` is done; then takes no new connection, and waits at most `drain` for requests that go on.
pub async fn serve(server: &Server, listeners: Listeners, stop: impl Future<Output = ()>, drain: Duration) -> Ended {
    let graceful = GracefulShutdown::new();
    let background = tokio::spawn(server.background());
    let (router, metrics) = (server.router(), server.metrics());
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            (stream, peer) = accept(&listeners.api) => take(stream, peer, router.clone(), &graceful),
            (stream, peer) = accept(&listeners.metrics) => take(stream, peer, metrics.clone(), &graceful),
        }
    }
    drop(listeners);
    server.stop();
    background.abort();
    let drained = tokio::time::timeout(drain, async {
        graceful.shutdown().await;
        // They left HTTP behind, and with it what counts connections.
        server.sockets_closed().await;
    });
    let drained = drained.await;
    if drained.is_ok() { Ended::Drained } else { Ended::CutOff }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> (TcpStream, Peer) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, Peer(peer)),
            Err(error) => {
                // The system has no room for it, or the caller has gone: the next one may fare better.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves a connection in the background.
fn take(stream: TcpStream, peer: Peer, router: Router, graceful: &GracefulShutdown) {
    // Replies are written whole: to wait for more would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection sends its replies late");
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MOST_HEAD);
    let service = tower::service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().call(request)
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = graceful.watch(connection.into_owned());
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(error, "a connection broke");
        }
    });
}
