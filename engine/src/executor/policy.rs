//! What follows from a failed attempt: from the error's class, the node's policy and the attempt's number.

use crate::{
    codes,
    definition::{OnError, Retry},
    error::NodeError,
    event::AfterFailure,
    plan::PlanNode,
    units::Millis,
    value::Value,
};

/// What follows from a failure. `draw` is a random number from 0 to 1, for the jitter.
pub(super) fn after_failure(node: &PlanNode, error: &NodeError, attempt: u32, now: Millis, draw: f64) -> AfterFailure {
    if let Some(retry) = &node.retry
        && attempt < retry.attempts
        && covers(retry, error)
    {
        return AfterFailure::Retry(now + wait(retry, error, attempt, draw));
    }
    unhandled(node)
}

/// What follows from a failure that is not tried again.
pub(super) fn unhandled(node: &PlanNode) -> AfterFailure {
    match &node.on_error {
        OnError::Fail => AfterFailure::Fail,
        OnError::Continue => AfterFailure::Continue,
        OnError::Outputs(outputs) => AfterFailure::StandIn(Value::from(serde_json::Value::Object(outputs.clone()))),
    }
}

fn covers(retry: &Retry, error: &NodeError) -> bool {
    // A fault of a node type, or a budget, is the same at the next attempt.
    if error.code == codes::NODE_PANICKED {
        return false;
    }
    if retry.classes.is_empty() { error.class.is_retryable() } else { retry.classes.contains(&error.class) }
}

/// `backoff`, longer by `factor` each time, at most `max`, of which `jitter` is drawn; at least what the other side asks.
fn wait(retry: &Retry, error: &NodeError, attempt: u32, draw: f64) -> Millis {
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let longest = retry.max.millis() as f64;
    let full = (retry.backoff.millis() as f64 * retry.factor.powi(exponent)).min(longest);
    let drawn = full * (1.0 - retry.jitter * draw);
    let asked = error.retry_after.map_or(0, |wait| Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX));
    (drawn.round() as Millis).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::ErrorClass, units::Duration};

    fn retry(jitter: f64) -> Retry {
        Retry {
            attempts: 5,
            backoff: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(5),
            jitter,
            classes: Vec::new(),
        }
    }

    #[test]
    fn waits_grow_up_to_the_longest_and_honour_the_other_side() {
        let error = NodeError::new(codes::NODE_TIMEOUT, ErrorClass::Timeout, "slow");
        let waits: Vec<Millis> = (1..=5).map(|attempt| wait(&retry(0.0), &error, attempt, 0.5)).collect();
        assert_eq!(waits, [1000, 2000, 4000, 5000, 5000]);
        assert_eq!(wait(&retry(0.5), &error, 1, 1.0), 500);
        assert_eq!(wait(&retry(0.5), &error, 1, 0.0), 1000);

        let asked = error.retry_after(std::time::Duration::from_secs(9));
        assert_eq!(wait(&retry(0.0), &asked, 1, 0.5), 9000);
    }

    #[test]
    fn classes_decide_what_is_tried_again() {
        let of = |class| NodeError::new(codes::NODE_TIMEOUT, class, "");
        assert!(covers(&retry(0.0), &of(ErrorClass::RateLimited)));
        assert!(!covers(&retry(0.0), &of(ErrorClass::Invalid)));
        let only = Retry { classes: vec![ErrorClass::Invalid], ..retry(0.0) };
        assert!(covers(&only, &of(ErrorClass::Invalid)));
        assert!(!covers(&only, &of(ErrorClass::Timeout)));
        assert!(!covers(&Retry { classes: ErrorClass::ALL.to_vec(), ..retry(0.0) }, &NodeError::internal("panicked")));
    }
}
