//! One attempt of a node, wherever it runs.

use std::{panic::AssertUnwindSafe, time};

use futures::FutureExt as _;

use crate::{
    codes,
    engine::{Attempt, AttemptEnd, Inner, StandIn},
    error::{ErrorClass, NodeError},
    id::RunId,
    node::{ErasedNode, NodeCtx, Outcome},
    plan::PlanNode,
    time::Clock,
    units::Duration,
    value::Value,
};

/// Runs an attempt, or lets what stands in for it happen, until its deadline.
pub(crate) async fn run(
    node: &dyn ErasedNode,
    ctx: &NodeCtx,
    stand_in: Option<StandIn>,
    timeout: Option<Duration>,
    clock: &dyn Clock,
) -> Result<Outcome<Value>, NodeError> {
    let work = async {
        match stand_in {
            Some(stand_in) => {
                clock.sleep_until(stand_in.at).await;
                Ok(stand_in.result)
            }
            None => AssertUnwindSafe(node.run(ctx)).catch_unwind().await,
        }
    };
    match (ctx.deadline, timeout) {
        (Some(deadline), Some(timeout)) => tokio::select! {
            result = work => flatten(result),
            () = clock.sleep_until(deadline) => Err(timed_out(timeout)),
        },
        _ => flatten(work.await),
    }
}

/// What happens instead of a node, where something stands in for it.
pub(crate) fn stand_in(engine: &Inner, node: &PlanNode, ctx: &NodeCtx) -> Option<StandIn> {
    engine.intercept.as_ref()?.attempt(&Attempt {
        run: ctx.run,
        path: &ctx.path,
        kind: &node.kind,
        effect: node.effect,
        node: &*node.node,
        deadline: ctx.deadline,
    })
}

/// Tells whoever watches that an attempt is over.
pub(crate) fn attempted(
    engine: &Inner,
    run: RunId,
    path: &str,
    kind: &str,
    attempt: u32,
    took: time::Duration,
    result: &Result<Outcome<Value>, NodeError>,
) {
    let Some(observer) = &engine.observer else { return };
    let is_over = matches!(result, Err(_) | Ok(Outcome::Done(_) | Outcome::Port(..) | Outcome::Wrote(..)));
    let failed = result.as_ref().err().map(|error| (error.code, error.class));
    observer.attempted(run, &AttemptEnd { path, kind, attempt, took, goes_on: !is_over, failed });
}

pub(super) fn flatten(
    result: std::thread::Result<Result<Outcome<Value>, NodeError>>,
) -> Result<Outcome<Value>, NodeError> {
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(NodeError::internal(format!("the node type panicked: {}", text.unwrap_or_else(|| "no message".into()))))
    })
}

fn timed_out(limit: Duration) -> NodeError {
    NodeError::new(codes::NODE_TIMEOUT, ErrorClass::Timeout, format!("expected it to end within {limit}, it did not"))
        .hint("raise `timeout` of the node, or let `retry` try again")
}
