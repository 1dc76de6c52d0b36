//! What every form of wake-ups must do.

use std::sync::Arc;

use crate::{
    id::{JobId, RunId, SessionId},
    queue::{StepText, Wake, WakeTopic, Wakes},
    stream::{Piece, StreamEvent, StreamId},
};

/// Who listens hears its topic in order; the two handles may belong to two processes.
pub async fn wakes_reach_who_listens(from: &dyn Wakes, to: &dyn Wakes) {
    let (run, other) = (RunId::random(), RunId::random());
    let mut mail = to.listen(WakeTopic::Mail).await;
    let mut records = to.listen(WakeTopic::Run(run)).await;
    let mut texts = to.listen(WakeTopic::Texts(run)).await;
    let mut again = to.listen(WakeTopic::Run(run)).await;

    let answer: Arc<str> = "say".into();
    let place = |n| StreamId { seq: 8, n };
    let events = vec![
        (place(2), StreamEvent::Reset { answer: None, cause: None }),
        (place(3), StreamEvent::Text { answer: answer.clone(), text: "é \"1\"".into() }),
        (place(4), StreamEvent::Complete { answer }),
    ];
    let piece = Piece { epoch: u64::MAX, after: Some(place(1)), until: place(4), events };
    let piece = Wake::Piece(run, Arc::new(piece));
    let text = StepText { node: "each[3].say".into(), job: JobId::random(), at: 5, text: "é \"1\" 2".to_owned() };
    let text = Wake::Text(run, Arc::new(text));
    let rest = [
        Wake::Watch { run, anew: true },
        Wake::Watch { run: other, anew: false },
        Wake::Reconciled(SessionId::random()),
    ];
    let wakes = [
        Wake::Record(other, 1),
        Wake::Record(run, 7),
        Wake::Mail(other),
        Wake::Record(run, 8),
        Wake::Mail(run),
        piece.clone(),
        text.clone(),
    ];
    let wakes = wakes.into_iter().chain(rest.clone());
    for wake in wakes {
        from.publish(wake).await.unwrap();
    }
    for listener in [&mut records, &mut again] {
        assert_eq!(listener.next().await, Some(Wake::Record(run, 7)));
        assert_eq!(listener.next().await, Some(Wake::Record(run, 8)));
        assert_eq!(listener.next().await, Some(piece.clone()));
    }
    assert_eq!(texts.next().await, Some(text));
    assert_eq!(mail.next().await, Some(Wake::Mail(other)));
    assert_eq!(mail.next().await, Some(Wake::Mail(run)));
    for wake in rest {
        assert_eq!(mail.next().await, Some(wake));
    }
}
