//! What runs used of models.

use super::samples::{Owned, used};
use crate::{
    event::RunStatus,
    store::{Append, DAY, Journal, Release, RunUsage, UsageRow},
    units::Millis,
    usage::Usage,
};

async fn end(journal: &dyn Journal, at: Millis, usage: RunUsage) -> Owned {
    let owned = Owned::create(journal, 1).await;
    let end = Release::Ended { status: RunStatus::Failed, error: None, conversation: None, usage: Box::new(usage) };
    journal.append(Append { at, ..owned.release(end) }).await.unwrap();
    owned
}

fn row(day: Millis, model: &str, runs: u64, input_tokens: u64) -> UsageRow {
    let usage = Usage { calls: runs, input_tokens, cost: 7 * input_tokens, ..Usage::default() };
    UsageRow { day: day * DAY, workflow: "support/answer".to_owned(), model: model.to_owned(), runs, usage }
}

pub async fn what_a_run_used_is_listed_with_its_end(journal: &dyn Journal) {
    let usage = Usage {
        calls: 2,
        input_tokens: 30,
        cached_tokens: 4,
        output_tokens: 5,
        reasoning_tokens: 1,
        cost: 1_234_567,
        unpriced: 1,
    };
    let spent = end(journal, 10, RunUsage { total: usage, ..RunUsage::default() }).await;
    let nothing = end(journal, 10, RunUsage::default()).await;
    assert_eq!(journal.run(spent.run).await.unwrap().unwrap().usage, usage);
    assert_eq!(journal.run(nothing.run).await.unwrap().unwrap().usage, Usage::default());
    assert_eq!(journal.usage(0, 10).await.unwrap(), [], "what others used for it counts for them");
}

pub async fn usage_adds_up_by_day_workflow_and_model_and_outlives_runs(journal: &dyn Journal) {
    end(journal, 5, used([("b/large", 100), ("a/small", 3)])).await;
    end(journal, DAY - 1, used([("b/large", 20)])).await;
    end(journal, DAY, used([("b/large", 4)])).await;
    let first = [row(0, "a/small", 1, 3), row(0, "b/large", 2, 120)];
    assert_eq!(journal.usage(9, 10).await.unwrap(), first);
    assert_eq!(journal.usage(DAY + 3, 5 * DAY).await.unwrap(), [row(1, "b/large", 1, 4)]);
    assert_eq!(journal.usage(2 * DAY, 9 * DAY).await.unwrap(), []);
    assert_eq!(journal.delete_ended(DAY, 10).await.unwrap(), 2);
    assert_eq!(journal.usage(0, DAY - 1).await.unwrap(), first);
}
