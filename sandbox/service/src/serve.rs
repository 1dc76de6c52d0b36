//! Listening, and stopping without breaking what runs.

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::serve::ListenerExt as _;
use tokio::{net::TcpListener, sync::oneshot};

use crate::Service;

/// What a service listens on.
pub struct Listeners {
    /// For callers.
    pub calls: TcpListener,
    /// For Prometheus.
    pub metrics: TcpListener,
}

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every call that ran was answered.
    Drained,
    /// Calls that still ran at the deadline were ended.
    CutOff,
}

/// Serves until `stop` is done; then takes no new call, and waits at most `drain` for those that run. Metrics are served to
/// the end.
///
/// # Errors
/// When a listener fails.
pub async fn serve(
    service: &Arc<Service>,
    listeners: Listeners,
    stop: impl Future<Output = ()>,
    drain: Duration,
) -> io::Result<Ended> {
    let (drained, told) = oneshot::channel::<()>();
    // Replies are written whole: to wait for more would only delay them.
    let calls = listeners.calls.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection sends its replies late");
        }
    });
    let calls = axum::serve(calls, service.routes()).with_graceful_shutdown(async move {
        let _ = told.await; // dropped or told, it is time
    });
    let serving = async move {
        let mut calls = std::pin::pin!(calls.into_future());
        tokio::select! {
            ended = &mut calls => return ended.map(|()| Ended::Drained),
            () = stop => {}
        }
        drop(drained);
        match tokio::time::timeout(drain, calls).await {
            Ok(ended) => ended.map(|()| Ended::Drained),
            Err(_) => Ok(Ended::CutOff),
        }
    };
    let metrics = axum::serve(listeners.metrics, service.metrics_routes()).into_future();
    tokio::select! {
        ended = serving => ended,
        ended = metrics => Err(ended.err().unwrap_or_else(|| io::Error::other("the listener of metrics ended"))),
    }
}
