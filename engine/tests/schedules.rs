//! When schedules fire next, compared with what was found by other means: `schedules.py` wrote `schedules.tsv`.

#![allow(clippy::tests_outside_test_module, reason = "integration tests are test modules")]

use chrono::DateTime;
use liteagent_engine::time::{Schedule, iso};

#[test]
fn schedules_fire_as_the_vectors_say() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("schedules.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [cron, zone, from, next] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let millis = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        let found = Schedule::parse(cron, zone).unwrap().next_after(millis(from));
        count += 1;
        if found != Some(millis(next)) {
            wrong.push(format!("{line}, found {}", found.map_or_else(|| "nothing".to_owned(), iso)));
        }
    }
    assert!(count >= 300, "{count} vectors");
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}
