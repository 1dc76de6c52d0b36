//! The place of something in a trace, and how it is handed on.

use std::sync::Arc;

use liteagent_engine::{engine::Start, id::RunId, value::Value};
use opentelemetry::trace::{SpanId, TraceId};

/// The header of the W3C, and the member of a trigger that keeps it.
pub(super) const TRACEPARENT: &str = "traceparent";

tokio::task_local! {
    /// The request that is being answered.
    pub(super) static ANSWERED: Joining;
}

/// What a run that a request starts goes on with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    /// The span of the request.
    pub(super) context: Context,
    /// The id of the run, when the trace is this server's own: both have the same.
    pub(super) run: Option<RunId>,
}

/// The place of a span in a trace: what is above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: TraceId,
    /// The span above; [`SpanId::INVALID`] when there is none.
    pub(super) parent: SpanId,
    /// Whether that span is another program's.
    pub(super) is_remote: bool,
    /// Whether it is sent.
    pub(super) is_sampled: bool,
}

impl Context {
    /// Reads a `traceparent`; nonsense is none.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        // Later versions may have more parts.
        let is_whole = is_hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !is_whole || !is_hex(trace, 32) || !is_hex(parent, 16) || !is_hex(flags, 2) {
            return None;
        }
        let (trace, parent) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(parent).ok()?);
        if trace == TraceId::INVALID || parent == SpanId::INVALID {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace, parent, is_remote: true, is_sampled: flags & 1 == 1 })
    }

    /// The `traceparent` for what is below.
    pub(super) fn header(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace, self.parent, u8::from(self.is_sampled))
    }
}

/// Lets a run go on with the trace of the request that starts it.
pub(crate) fn join(start: Start) -> Start {
    let Ok(Joining { context, run }) = ANSWERED.try_with(|joining| *joining) else { return start };
    let Value::Object(members) = &start.trigger else { return start };
    let mut members = (**members).clone();
    members.insert(TRACEPARENT.into(), Value::from(context.header()));
    Start { id: start.id.or(run), trigger: Value::Object(Arc::new(members)), ..start }
}

/// The id of the run that the request which is answered starts: its trace has the same one. `None` where no trace begins here.
pub(crate) fn run_of_request() -> Option<RunId> {
    ANSWERED.try_with(|joining| joining.run).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_written() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = Context::parse(text).unwrap();
        assert!(context.is_sampled && context.is_remote);
        assert_eq!(context.header(), text);
        assert!(!Context::parse(&text.replace("-01", "-00")).unwrap().is_sampled);
        assert!(Context::parse(&text.replace("00-0", "01-0").replace("-01", "-01-more")).is_some());
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert_eq!(Context::parse(wrong), None, "{wrong}");
        }
    }
}
