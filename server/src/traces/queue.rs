//! The way to the collector: a queue with an end, which nobody waits at.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt as _;
use liteagent_engine::{
    capability::{Http, HttpBody, HttpCall},
    codes, units,
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::TraceSettings;
use crate::{accounts::Refused, metrics::Metrics};

/// Spans that wait; what comes while so many do is dropped.
const MOST: usize = 2_048;
/// Spans that are sent at once.
const BATCH: usize = 512;
/// How long a span waits for others to go with it.
const WAIT: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of its answer.
const MOST_ANSWER: usize = 64 << 10;

/// The queue, and the task that empties it.
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    metrics: Arc<Metrics>,
    closing: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Queue {
    pub(super) fn open(settings: &TraceSettings, http: Arc<dyn Http>, metrics: Arc<Metrics>) -> Result<Self, Refused> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client(http))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint)
            .with_timeout(PATIENCE);
        let mut exporter = exporter.build().map_err(|error| {
            Refused::new(codes::TRACES, format!("the collector `{}` cannot be used: {error}", settings.endpoint))
                .hint("set `OTEL_EXPORTER_OTLP_ENDPOINT` to its address, such as `http://collector:4318`")
        })?;
        // It reads the standard variables that name the service and its attributes.
        let resource = Resource::builder();
        let resource = match settings.service {
            Some(name) => resource.with_service_name(name),
            None => resource,
        };
        exporter.set_resource(&resource.build());
        let (spans, waiting) = mpsc::channel(MOST);
        let closing = watch::Sender::new(false);
        let sending = Sending { exporter, waiting, metrics: metrics.clone(), closing: closing.subscribe() };
        Ok(Self { spans, metrics, closing, task: Mutex::new(Some(tokio::spawn(sending.run()))) })
    }

    /// Queues a span. When there is no room for it, it is dropped and counted.
    pub(super) fn send(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.metrics.spans_dropped(1);
        }
    }

    /// Sends what is left, for at most this long.
    pub(super) async fn close(&self, most: Duration) {
        self.closing.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && timeout(most, task).await.is_err()
        {
            tracing::warn!("traces were left behind: the collector does not take them");
        }
    }
}

/// What empties the queue.
struct Sending {
    exporter: SpanExporter,
    waiting: mpsc::Receiver<SpanData>,
    metrics: Arc<Metrics>,
    closing: watch::Receiver<bool>,
}

impl Sending {
    async fn run(mut self) {
        let mut is_away = false;
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            self.gather(&mut batch).await;
            if batch.is_empty() {
                return;
            }
            let count = batch.len() as u64;
            match timeout(PATIENCE, self.exporter.export(batch)).await {
                Ok(Ok(())) => is_away = false,
                failed => {
                    self.metrics.spans_dropped(count);
                    // Once is enough for a collector that stays away.
                    if !std::mem::replace(&mut is_away, true) {
                        let why =
                            failed.map_or_else(|_| "it takes too long".to_owned(), |failed| format!("{failed:?}"));
                        tracing::warn!(
                            why,
                            "the collector of traces does not take them: they are dropped until it does"
                        );
                    }
                }
            }
        }
    }

    /// Takes what waits, and what comes within a moment; nothing when the queue is closed and empty.
    async fn gather(&mut self, batch: &mut Vec<SpanData>) {
        let is_closing = tokio::select! {
            biased;
            _ = self.waiting.recv_many(batch, BATCH) => false,
            _ = self.closing.wait_for(|closing| *closing) => true,
        };
        if is_closing {
            self.waiting.close();
            self.waiting.recv_many(batch, BATCH).await;
            return;
        }
        let until = tokio::time::Instant::now() + WAIT;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                _ = self.closing.wait_for(|closing| *closing) => return,
                count = self.waiting.recv_many(batch, room) => if count == 0 { return },
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }
}

/// The one outgoing client, as the exporter wants it.
struct Client(Arc<dyn Http>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let call = HttpCall {
            method: parts.method.to_string(),
            url: parts.uri.to_string(),
            headers: headers.collect(),
            body: HttpBody::Bytes(body),
            redirects: 0,
            timeout: Some(units::Duration(PATIENCE)),
        };
        let mut reply = self.0.send(call).await?;
        let mut answer = Vec::new();
        while let Some(piece) = reply.body.next().await {
            let piece = piece?;
            if answer.len() + piece.len() > MOST_ANSWER {
                return Err("the answer of the collector is too long".into());
            }
            answer.extend_from_slice(&piece);
        }
        Ok(Response::builder().status(reply.status).body(Bytes::from(answer))?)
    }
}
