//! One exchange: a call is sent, and its head comes back, or what went wrong.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream::BoxStream};
use liteagent_engine::{
    capability::HttpCall,
    codes,
    error::NodeError,
    units::{self, Millis},
};

use super::{Service, tries::Pass};
use crate::{
    failure::{Fault, Kind, Said, classify},
    limit::{self, Told},
};

/// As much of a refusal is read.
const MOST_OF_A_REFUSAL: usize = 64 << 10;

/// Why an attempt failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// What went wrong, and what the provider said when it refused.
    Fault(Fault, Option<Box<Said>>),
    /// An error that is told as it is.
    Passed(NodeError),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault, None)
    }
}

/// A reply with a good status.
pub(super) struct Reply {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: BoxStream<'static, Result<Bytes, NodeError>>,
    pub(super) pass: Pass,
    pub(super) sent_at: Millis,
}

impl Service {
    /// Sends a call. The time until the first token runs from here.
    pub(super) async fn exchange(&self, call: HttpCall, pass: Pass) -> Result<Reply, Failed> {
        let sent_at = self.clock.now();
        let limit = self.provider.patience.first_token;
        let reply = tokio::select! {
            biased;
            reply = self.http.send(call) => reply,
            () = self.clock.sleep_until(sent_at.saturating_add(limit.millis())) => {
                pass.failed(self.clock.now(), true);
                return Err(stalled("no answer", limit).into());
            }
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let failed = of_http(error);
                pass.failed(self.clock.now(), is_outage(&failed));
                return Err(failed);
            }
        };
        if (200..300).contains(&reply.status) {
            return Ok(Reply { headers: reply.headers, body: reply.body, pass, sent_at });
        }
        let told = Told::read(&reply.headers, self.clock.now());
        let wait = limit::wait(&reply.headers, reply.retry_after);
        let body = self.read(reply.body, MOST_OF_A_REFUSAL).await.unwrap_or_default();
        let said = Said::of_body(&body);
        let fault = classify(reply.status, Said::of_body(&body), wait);
        Err(self.settle(fault, Some(Box::new(said)), pass, &told))
    }

    /// Tells limiter and breaker of a fault.
    pub(super) fn settle(&self, fault: Fault, said: Option<Box<Said>>, pass: Pass, told: &Told) -> Failed {
        let now = self.clock.now();
        let fault = if fault.kind == Kind::Rate {
            if let Some(watcher) = &self.watcher {
                watcher.model_refused(&self.provider.name);
            }
            let until = pass.refused(fault.wait, told, now);
            let wait = u64::try_from(until - now).ok().map(Duration::from_millis);
            fault.after(wait)
        } else {
            pass.failed(now, fault.kind.is_outage());
            fault
        };
        Failed::Fault(fault, said)
    }

    /// Reads a body that is not long, each piece within the time between tokens.
    pub(super) async fn read(
        &self,
        mut body: BoxStream<'static, Result<Bytes, NodeError>>,
        most: usize,
    ) -> Result<BytesMut, Failed> {
        let limit = self.provider.patience.between_tokens;
        let mut whole = BytesMut::new();
        while whole.len() < most {
            let until = self.clock.now().saturating_add(limit.millis());
            let piece = tokio::select! {
                biased;
                piece = body.next() => piece,
                () = self.clock.sleep_until(until) => return Err(stalled("nothing more came", limit).into()),
            };
            match piece {
                None => return Ok(whole),
                Some(Ok(piece)) => whole.extend_from_slice(&piece[..piece.len().min(most - whole.len())]),
                Some(Err(error)) => return Err(of_http(error)),
            }
        }
        Ok(whole)
    }
}

/// Nothing came for too long.
pub(super) fn stalled(what: &str, limit: units::Duration) -> Fault {
    Fault::new(Kind::Stalled, format!("{what} for {limit}"))
}

/// What a failure of the HTTP client means for a call of a model.
pub(super) fn of_http(error: NodeError) -> Failed {
    match error.code {
        codes::HTTP_UNREACHABLE | codes::HTTP_TIMEOUT => Fault::new(Kind::Unreachable, error.message).into(),
        codes::HTTP_REQUEST | codes::HTTP_URL => Fault::new(Kind::Request, error.message).into(),
        _ => Failed::Passed(error),
    }
}

fn is_outage(failed: &Failed) -> bool {
    matches!(failed, Failed::Fault(fault, _) if fault.kind.is_outage())
}
