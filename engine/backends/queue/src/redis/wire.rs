//! How jobs are written in Redis: `priority attempt pushed_at pointer key`. The key is last, because it may be any text.

use liteagent_engine::{queue::Job, units::Millis};

pub(super) fn write(job: &Job) -> String {
    let Job { pointer, priority, key, not_before: _, attempt, pushed_at } = job;
    format!("{} {attempt} {pushed_at} {pointer} {key}", (*priority).min(Job::HIGHEST))
}

/// Reads a job; the error is what was found.
pub(super) fn read(found: Vec<u8>) -> Result<Job, String> {
    let text = String::from_utf8(found).map_err(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())?;
    let mut parts = text.splitn(5, ' ');
    let job = (|| {
        Some(Job {
            priority: parts.next()?.parse().ok().filter(|priority| *priority <= Job::HIGHEST)?,
            attempt: parts.next()?.parse().ok()?,
            pushed_at: parts.next()?.parse().ok()?,
            pointer: parts.next()?.parse().ok()?,
            key: parts.next()?.to_owned(),
            not_before: None,
        })
    })();
    job.ok_or(text)
}

/// When a job comes, as scripts read it.
pub(super) fn due(not_before: Option<Millis>) -> String {
    not_before.unwrap_or(0).to_string()
}

#[cfg(test)]
mod tests {
    use liteagent_engine::{id::RunId, queue::Pointer};

    use super::*;

    #[test]
    fn what_is_no_job_is_given_back_as_it_was() {
        let job = Job::new(Pointer::Run(RunId::random()), 5).key("a b ");
        assert_eq!(read(write(&job).into_bytes()), Ok(job));
        for wrong in ["", "5 0 0 run_x k", "x 0 0 y z", "5 0 0"] {
            assert_eq!(read(wrong.as_bytes().to_vec()), Err(wrong.to_owned()));
        }
        assert_eq!(read(vec![b'5', 0xff]), Err("5\u{fffd}".to_owned()));
    }
}
