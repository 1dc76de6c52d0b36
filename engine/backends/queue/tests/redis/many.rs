//! The queue on several Redis servers: behind Sentinel, and in a Cluster.

use std::{sync::Arc, time::Duration};

use liteagent_engine::{
    queue::{Depth, Group, Job, Queue},
    testing::conformance::{queue::pointer, wakes::wakes_reach_who_listens},
};
use liteagent_queue::{
    RedisQueue, RedisWakes,
    testing::{RedisCluster, RedisSentinels},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_contract() {
    let cluster = Arc::new(RedisCluster::start());
    let tried = async || {
        let wiped = cluster.clone();
        crate::tried(cluster.address(), move || wiped.flush()).await
    };
    liteagent_engine::queue_conformance!(tried().await, here);

    let options = crate::options(cluster.address());
    wakes_reach_who_listens(&RedisWakes::new(&options).unwrap(), &RedisWakes::new(&options).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_keep_the_contract_and_name_another_master() {
    let sentinels = Arc::new(RedisSentinels::start());
    let tried = async || {
        let wiped = sentinels.clone();
        crate::tried(sentinels.address(), move || wiped.flush()).await
    };
    liteagent_engine::queue_conformance!(tried().await, here);

    let mut sentinels = Arc::into_inner(sentinels).unwrap();
    let options = crate::options(sentinels.address());
    let queue = RedisQueue::connect(options.clone()).await.unwrap();
    let jobs = (0..1_000).map(|number| Job::new(pointer(number), 1)).collect();
    queue.push(Group::Workflow, jobs).await.unwrap();
    assert_eq!(sentinels.servers[0].ask::<u32>(&["WAIT", "1", "30000"]).unwrap(), 1);

    // A reader that waits while the master dies is given what is pushed to the next one.
    let waiting = {
        let queue = RedisQueue::connect(options).await.unwrap();
        tokio::spawn(async move { queue.pop(Group::Default, "waits", 1, Duration::from_mins(2)).await })
    };
    sentinels.servers[0].kill();
    // Also a call that comes while there is no master.
    assert_eq!(
        queue.depth(Group::Workflow).await.unwrap(),
        Depth { ready: 1_000, oldest: Some(1), ..Depth::default() }
    );
    sentinels.wait_for_failover();
    queue.push(Group::Default, vec![Job::new(pointer(5), 1)]).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap()[0].job.pointer, pointer(5));

    let mut left = 1_000;
    while left > 0 {
        let popped = queue.pop(Group::Workflow, "one", 100, Duration::ZERO).await.unwrap();
        queue.ack(Group::Workflow, &popped).await.unwrap();
        left -= popped.len();
    }
    assert_eq!(queue.depth(Group::Workflow).await.unwrap(), Depth::default());
}
