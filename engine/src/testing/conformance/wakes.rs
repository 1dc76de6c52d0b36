//! What every form of wake-ups must do.

use crate::{
    id::RunId,
    queue::{Wake, WakeTopic, Wakes},
};

/// Who listens hears its topic in order; the two handles may belong to two processes.
pub async fn wakes_reach_who_listens(from: &dyn Wakes, to: &dyn Wakes) {
    let (run, other) = (RunId::random(), RunId::random());
    let mut mail = to.listen(WakeTopic::Mail).await;
    let mut records = to.listen(WakeTopic::Run(run)).await;
    let mut again = to.listen(WakeTopic::Run(run)).await;

    let wakes =
        [Wake::Record(other, 1), Wake::Record(run, 7), Wake::Mail(other), Wake::Record(run, 8), Wake::Mail(run)];
    for wake in wakes {
        from.publish(wake).await.unwrap();
    }
    for listener in [&mut records, &mut again] {
        assert_eq!(listener.next().await, Some(Wake::Record(run, 7)));
        assert_eq!(listener.next().await, Some(Wake::Record(run, 8)));
    }
    assert_eq!(mail.next().await, Some(Wake::Mail(other)));
    assert_eq!(mail.next().await, Some(Wake::Mail(run)));
}
