//! The queue and the wake-ups on one Redis server.

use std::{num::NonZeroU32, process::Command, sync::Arc, time::Duration};

use liteagent_engine::{
    id::SessionId,
    queue::{
        Back, Group, Job, Pace, Paces as _, Queue as _, QueueError, Rate, Rates as _, Roster as _, Taken, Wake,
        WakeTopic, Wakes, WorkerInfo,
    },
    testing::conformance::{
        queue::{Tried, pointer},
        wakes::wakes_reach_who_listens,
    },
};
use liteagent_queue::{
    RedisAddress, RedisOptions, RedisPaces, RedisQueue, RedisRates, RedisRoster, RedisWakes,
    testing::{RedisServer, free_port},
};

const GROUP: Group = Group::Workflow;

async fn fresh() -> Arc<Tried> {
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
async fn wrong_credentials_are_said_at_once_and_the_documented_user_is_enough() {
    let server = RedisServer::start();
    let own = crate::options(server.address());
    let (keys, channels) = (format!("~{{{}:*}}*", own.prefix), format!("&{}:*", own.prefix));
    let user = ["ACL", "SETUSER", "liteagent", "on", ">secret", &keys, &channels, "+@all", "-@dangerous", "+info"];
    server.ask::<()>(&user).unwrap();
    server.ask::<()>(&["ACL", "SETUSER", "default", "off"]).unwrap();
    let with = |login: &str| {
        let address = format!("redis://{login}127.0.0.1:{}", server.port).parse().unwrap();
        RedisOptions { address, ..own.clone() }
    };
    for wrong in ["", "liteagent:wrong@", "nobody:secret@"] {
        let error = RedisQueue::connect(with(wrong)).await.err().unwrap();
        assert!(matches!(error, QueueError::Credentials(_)), "{error}");
        assert!(!error.to_string().contains("wrong@"));
    }

    let options = with("liteagent:secret@");
    let queue = RedisQueue::connect(options.clone()).await.unwrap();
    queue.generation(GROUP).await.unwrap();
    queue.push(GROUP, (0..4).map(|number| Job::new(pointer(number), 1)).collect()).await.unwrap();
    let popped = queue.pop(GROUP, "one", 4, Duration::ZERO).await.unwrap();
    assert_eq!(queue.extend(GROUP, &popped).await.unwrap(), [true; 4]);
    queue.ack(GROUP, &popped[..1]).await.unwrap();
    queue.release(GROUP, &popped[1..2], Back::HandedOver).await.unwrap();
    queue.dead(GROUP, &popped[2..3], "tried").await.unwrap();
    queue.claim(GROUP, "two", 4).await.unwrap();
    let letters = queue.dead_letters(GROUP, None, 5).await.unwrap();
    assert_eq!(queue.retry_dead(GROUP, &[letters[0].id.clone()], 2).await.unwrap(), 1);
    assert_eq!(queue.pop(GROUP, "one", 4, Duration::from_secs(1)).await.unwrap().len(), 2);
    assert_eq!(queue.pop(GROUP, "one", 4, Duration::from_millis(1)).await.unwrap(), []);
    let wakes = RedisWakes::new(&options).unwrap();
    wakes_reach_who_listens(&wakes, &wakes).await;
}

#[tokio::test]
async fn workers_are_there_until_they_leave_or_say_nothing() {
    let server = RedisServer::start();
    let options = crate::options(server.address());
    let (one, other) = (RedisRoster::new(&options).unwrap(), RedisRoster::new(&options).unwrap());
    let worker = |name: &str| WorkerInfo {
        id: SessionId::random(),
        name: name.to_owned(),
        host: "mars".to_owned(),
        queues: vec![Group::Workflow, Group::Indexing],
        concurrency: 8,
        active: 3,
        draining: false,
        version: "1".to_owned(),
        started_at: 1,
        seen_at: 2,
    };
    let (b, a, silent) = (worker("b"), worker("a"), worker("c"));
    for worker in [&b, &a, &silent] {
        one.tell(worker).await.unwrap();
    }
    let draining = WorkerInfo { draining: true, ..a };
    one.tell(&draining).await.unwrap();
    // Its time is over.
    let key = format!("{{{}:workers}}:{}", options.prefix, silent.id);
    server.ask::<()>(&["DEL", &key]).unwrap();
    assert_eq!(other.workers().await.unwrap(), [draining.clone(), b.clone()]);
    one.leave(b.id).await.unwrap();
    assert_eq!(other.workers().await.unwrap(), [draining]);
    assert_eq!(server.ask::<usize>(&["SCARD", &format!("{{{}:workers}}", options.prefix)]).unwrap(), 1);
}

#[tokio::test]
async fn rates_are_counted_together_and_room_comes_back() {
    let server = RedisServer::start();
    let options = crate::options(server.address());
    let (one, other) = (RedisRates::new(&options).unwrap(), RedisRates::new(&options).unwrap());
    let rate = NonZeroU32::new(7).unwrap();
    for left in (0..7).rev() {
        let rates = if left % 2 == 0 { &one } else { &other };
        assert_eq!(rates.spend("ada", rate).await.unwrap(), Rate::Counted { left });
    }
    for rates in [&one, &other] {
        let Rate::Exceeded { wait } = rates.spend("ada", rate).await.unwrap() else { panic!("the eighth is too many") };
        assert!(wait > Duration::ZERO && wait <= Duration::from_mins(1) / 7, "{wait:?}");
    }
    assert_eq!(one.spend("eve", rate).await.unwrap(), Rate::Counted { left: 6 });
    // As if half of it had got its room again.
    let key = format!("{{{}:rates}}:ada", options.prefix);
    let full: f64 = server.ask(&["GET", &key]).unwrap();
    server.ask::<()>(&["SET", &key, &format!("{:.3}", full - 30e6), "PX", "60000"]).unwrap();
    assert!(matches!(other.spend("ada", rate).await.unwrap(), Rate::Counted { left: 2..=3 }));
}

#[tokio::test]
async fn paces_and_pauses_are_kept_to_together() {
    let server = RedisServer::start();
    let options = crate::options(server.address());
    let (one, other) = (RedisPaces::new(&options).unwrap(), RedisPaces::new(&options).unwrap());
    // A burst of 9 s: three calls, and 900 tokens.
    let pace = Pace { calls: NonZeroU32::new(20), tokens: NonZeroU32::new(6_000) };
    for tokens in [200, 200, 0] {
        assert_eq!(one.take("a", pace, tokens).await.unwrap(), Taken::Now);
    }
    let Taken::In(wait) = other.take("a", pace, 100).await.unwrap() else { panic!("the fourth call is too many") };
    assert!(wait > Duration::ZERO && wait <= Duration::from_secs(3), "{wait:?}");
    assert_eq!(other.take("b", pace, 0).await.unwrap(), Taken::Now, "another account");

    // What is larger than everything passes when all is there, and is paid for afterwards.
    let tokens = Pace { calls: None, ..pace };
    assert_eq!(one.take("c", tokens, 3_000).await.unwrap(), Taken::Now);
    let Taken::In(wait) = other.take("c", tokens, 900).await.unwrap() else { panic!("nothing is left") };
    assert!(wait > Duration::from_secs(29) && wait <= Duration::from_secs(30), "{wait:?}");
    other.settle("c", tokens, -2_950).await.unwrap();
    assert_eq!(one.take("c", tokens, 850).await.unwrap(), Taken::Now, "it used 50");
    one.settle("c", tokens, 6_000).await.unwrap();
    let Taken::In(wait) = one.take("c", tokens, 1).await.unwrap() else { panic!("far more was used") };
    assert!(wait > Duration::from_secs(55), "{wait:?}");

    one.pause("b", Duration::from_mins(1)).await.unwrap();
    one.pause("b", Duration::from_secs(5)).await.unwrap();
    let Taken::Paused(wait) = other.take("b", Pace::default(), 1).await.unwrap() else { panic!("it is left alone") };
    assert!(wait > Duration::from_secs(58), "{wait:?}");
    // As if that were over.
    server.ask::<()>(&["DEL", &format!("{{{}:pace:b}}:pause", options.prefix)]).unwrap();
    assert_eq!(other.take("b", Pace::default(), 1).await.unwrap(), Taken::Now);
}

#[tokio::test]
async fn connections_are_encrypted_and_only_a_trusted_certificate_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (key, certificate) = (file("key.pem"), file("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=redis", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", &key, "-out", &certificate])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = free_port().to_string();
    let encrypted = ["--tls-port", &port, "--tls-key-file", &key, "--tls-cert-file", &certificate];
    let only = ["--tls-auth-clients", "no", "--tls-ca-cert-file", &certificate];
    let _server = RedisServer::start_with(&[encrypted.as_slice(), &only].concat());

    let address: RedisAddress = format!("rediss://127.0.0.1:{port}").parse().unwrap();
    let trusted = RedisOptions {
        certificate: Some(std::fs::read(&certificate).unwrap().into()),
        ..crate::options(address.clone())
    };
    let queue = RedisQueue::connect(trusted.clone()).await.unwrap();
    queue.push(GROUP, vec![Job::new(pointer(1), 1)]).await.unwrap();
    assert_eq!(queue.pop(GROUP, "one", 1, Duration::from_secs(1)).await.unwrap().len(), 1);
    let wakes = RedisWakes::new(&trusted).unwrap();
    wakes_reach_who_listens(&wakes, &wakes).await;

    let unknown = RedisOptions { deadline: Duration::from_secs(1), ..crate::options(address) };
    let error = RedisQueue::connect(unknown).await.err().unwrap();
    assert!(matches!(&error, QueueError::Unreachable(reason) if reason.contains("certificate")), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_becomes_a_dead_letter() {
    let server = RedisServer::start();
    let options = crate::options(server.address());
    let stream = format!("{{{}:workflow}}:stream", options.prefix);
    let queue = RedisQueue::connect(options).await.unwrap();
    server.ask::<()>(&["XADD", &stream, "*", "job", "5 0 0 what/is/this key"]).unwrap();
    assert_eq!(queue.pop(GROUP, "one", 5, Duration::ZERO).await.unwrap(), []);
    let letters = queue.dead_letters(GROUP, None, 5).await.unwrap();
    assert_eq!(letters[0].unreadable.as_deref(), Some("5 0 0 what/is/this key"));
    assert_eq!(queue.retry_dead(GROUP, &[letters[0].id.clone()], 0).await.unwrap(), 0);
    assert_eq!(queue.drop_dead(GROUP, &[letters[0].id.clone()]).await.unwrap(), 1);
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
