//! The queue and the wake-ups on one Redis server.

use liteagent_engine::{
    queue::{Group, Queue as _, QueueError, Wake, WakeTopic, Wakes},
    testing::conformance::queue::{Tried, wakes_reach_who_listens},
};
use liteagent_queue::{RedisQueue, RedisWakes, testing::RedisServer};

async fn fresh() -> Box<Tried> {
    let server = RedisServer::start();
    crate::tried(server.address(), move || server.flush()).await
}

mod conformance {
    liteagent_engine::queue_conformance!(super::fresh().await);
}

#[tokio::test]
async fn a_server_that_may_throw_jobs_away_is_refused() {
    let server = RedisServer::start_with(&["--save", "", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let refused = RedisQueue::connect(crate::options(server.address())).await.err();
    assert_eq!(refused, Some(QueueError::Evicts("allkeys-lru".into())));
}

#[tokio::test]
async fn wrong_credentials_are_said_at_once_and_right_ones_work() {
    let server = RedisServer::start_with(&["--save", ""]);
    server.ask::<()>(&["ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all"]).unwrap();
    server.ask::<()>(&["CONFIG", "SET", "requirepass", "other"]).unwrap();
    let connect = async |login: &str| {
        let address = format!("redis://{login}127.0.0.1:{}", server.port).parse().unwrap();
        RedisQueue::connect(crate::options(address)).await
    };
    for wrong in ["", "worker:wrong@"] {
        let error = connect(wrong).await.err().unwrap();
        assert!(matches!(error, QueueError::Credentials(_)), "{error}");
        assert!(!error.to_string().contains("wrong@"));
    }
    connect("worker:secret@").await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter() {
    let server = RedisServer::start();
    let options = crate::options(server.address());
    let stream = format!("{{{}:workflow}}:stream", options.prefix);
    let queue = RedisQueue::connect(options).await.unwrap();
    server.ask::<()>(&["XADD", &stream, "*", "job", "5 0 0 what/is/this key"]).unwrap();
    assert_eq!(queue.pop(Group::Workflow, "one", 5, std::time::Duration::ZERO).await.unwrap(), []);
    let letters = queue.dead_letters(Group::Workflow, None, 5).await.unwrap();
    assert_eq!(letters[0].unreadable.as_deref(), Some("5 0 0 what/is/this key"));
    assert_eq!(queue.retry_dead(Group::Workflow, &[letters[0].id.clone()], 0).await.unwrap(), 0);
    assert_eq!(queue.drop_dead(Group::Workflow, &[letters[0].id.clone()]).await.unwrap(), 1);
}

#[tokio::test]
async fn wake_ups_go_from_process_to_process_and_a_break_is_heard() {
    let mut server = RedisServer::start();
    let options = crate::options(server.address());
    let (from, to) = (RedisWakes::new(&options).unwrap(), RedisWakes::new(&options).unwrap());
    wakes_reach_who_listens(&from, &to).await;

    let mut mail = to.listen(WakeTopic::Mail).await;
    server.kill();
    server.start_again();
    assert_eq!(mail.next().await, Some(Wake::Missed));
    wakes_reach_who_listens(&from, &to).await;
}
