//! `wait`: for a time, or for a signal.

use chrono::{DateTime, NaiveDate, NaiveTime};
use liteagent_engine::{event, node::prelude::*, time};

/// Waits for a length of time, until a moment, or for a signal.
///
/// The run takes no memory while it waits, and goes on after a restart. Exactly one of `for`, `until` and `signal`
/// is given. With `signal`, the common field `timeout` limits the wait; then the port `timeout` opens.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitConfig {
    /// How long, from the moment at which the node starts.
    #[serde(default, rename = "for")]
    pub duration: Option<Template<Duration>>,
    /// Until when: a moment such as `2026-03-01T09:00:00Z`, or a date, which means its midnight in UTC. A moment that
    /// has passed ends the wait at once.
    #[serde(default)]
    pub until: Option<Template<String>>,
    /// The name of the signal that ends the wait. It is sent with `liteagent runs signal RUN NAME`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub signal: Option<String>,
}

/// How the wait ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WaitOutput {
    /// What the signal carried; `null` when time ended the wait.
    pub payload: Value,
    /// Who sent the signal; `null` when nobody is known.
    pub by: Option<String>,
    /// When the wait ended: `2026-03-01T09:00:00.000Z`.
    pub at: String,
}

/// See [`WaitConfig`].
pub struct Wait {
    ends: Ends,
}

enum Ends {
    After(Template<Duration>),
    At(Template<String>),
    Signal(String),
}

impl Node for Wait {
    const TYPE: &'static str = "wait";
    const META: NodeMeta = NodeMeta::pure(Family::Flow, EXAMPLES);
    type Config = WaitConfig;
    type Output = WaitOutput;

    fn new(config: Self::Config) -> Result<Self, ConfigError> {
        let ends = match (config.duration, config.until, config.signal) {
            (Some(duration), None, None) => Ends::After(duration),
            (None, Some(until), None) => {
                if let Some(Err(message)) = until.as_literal().and_then(Value::as_str).map(moment) {
                    return Err(ConfigError::new(codes::WAIT_FOR, "/until", message));
                }
                Ends::At(until)
            }
            (None, None, Some(signal)) if !signal.is_empty() => Ends::Signal(signal),
            _ => {
                let message = "expected exactly one of `for`, `until` and `signal`";
                return Err(ConfigError::new(codes::WAIT_FOR, "", message)
                    .hint("write `for: 2h`, `until: \"{{ inputs.start }}\"` or `signal: order-paid`"));
            }
        };
        Ok(Self { ends })
    }

    fn waits(&self) -> bool {
        true
    }

    fn ports(&self) -> Vec<String> {
        match self.ends {
            Ends::Signal(_) => vec!["timeout".to_owned()],
            Ends::After(_) | Ends::At(_) => Vec::new(),
        }
    }

    async fn run(&self, ctx: &NodeCtx) -> Result<Outcome<Self::Output>, NodeError> {
        let (signal, until) = match &self.ends {
            Ends::After(duration) => (None, Some(ctx.now.saturating_add(ctx.render(duration)?.millis()))),
            Ends::At(until) => (None, Some(moment(&ctx.render(until)?).map_err(bad_time)?)),
            Ends::Signal(name) => (Some(name.clone()), None),
        };
        Ok(Outcome::Wait(event::Wait { signal, until, ask: Value::Null }))
    }

    async fn resume(&self, _: &NodeCtx, event: Resume) -> Result<Outcome<Self::Output>, NodeError> {
        match event {
            Resume::Signal { payload, by, at } => Ok(Outcome::Done(WaitOutput { payload, by, at: time::iso(at) })),
            Resume::TimedOut { at } => {
                let output = WaitOutput { payload: Value::Null, by: None, at: time::iso(at) };
                Ok(match self.ends {
                    Ends::Signal(_) => Outcome::Port("timeout".to_owned(), output),
                    Ends::After(_) | Ends::At(_) => Outcome::Done(output),
                })
            }
            Resume::ChildEnded { .. } => Err(NodeError::internal("expected a signal or a time, found a child run")),
        }
    }
}

fn moment(text: &str) -> Result<Millis, String> {
    let text = text.trim();
    let date = || text.parse::<NaiveDate>().map(|date| date.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
    DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.timestamp_millis())
        .or_else(|_| date())
        .map_err(|_| format!("expected a moment such as `2026-03-01T09:00:00Z`, found `{text}`"))
}

fn bad_time(message: String) -> NodeError {
    NodeError::new(codes::BAD_TIME, ErrorClass::Invalid, message)
        .hint("give `until` a moment with its time zone, or a date")
}

const EXAMPLES: &[Example] = &[
    Example {
        title: "Two hours",
        yaml: "type: wait\nfor: 2h\n",
        scope: "",
        gives: "{ wait: { until: 1772362800000 } }",
    },
    Example {
        title: "Until a moment that comes from outside",
        yaml: "type: wait\nuntil: \"{{ inputs.start }}\"\n",
        scope: "inputs: { start: 2026-03-02T08:00:00+01:00 }",
        gives: "{ wait: { until: 1772434800000 } }",
    },
    Example {
        title: "For a signal, at most three days",
        yaml: "type: wait\nsignal: order-paid\ntimeout: 3d\n",
        scope: "",
        gives: "{ wait: { signal: order-paid } }",
    },
    Example {
        title: "A moment that nobody can read",
        yaml: "type: wait\nuntil: \"{{ inputs.start }}\"\n",
        scope: "inputs: { start: tomorrow }",
        gives: "{ error: LA2105 }",
    },
];

#[cfg(test)]
mod tests {
    use liteagent_engine::{
        testing::{NodeTest, TestNode},
        value,
    };

    use super::*;

    fn build(fields: &str) -> Result<TestNode, ConfigError> {
        NodeTest::new(&crate::registry(), &format!("type: wait\n{fields}")).build()
    }

    #[tokio::test]
    async fn a_signal_hands_on_what_it_carries_and_time_opens_its_port() {
        let node = build("signal: paid").unwrap();
        assert_eq!(node.node.ports(), ["timeout"]);
        let signal = Resume::Signal { payload: value!({ "total": 3 }), by: Some("shop".to_owned()), at: 0 };
        let at = "1970-01-01T00:00:00.000Z";
        assert_eq!(
            node.resume(signal).await,
            value!({ "output": { "payload": { "total": 3 }, "by": "shop", "at": at } })
        );
        assert_eq!(
            node.resume(Resume::TimedOut { at: 0 }).await,
            value!({ "port": "timeout", "output": { "payload": null, "by": null, "at": at } })
        );
        assert_eq!(
            build("for: 1s").unwrap().resume(Resume::TimedOut { at: 0 }).await,
            value!({ "output": { "payload": null, "by": null, "at": at } })
        );
    }

    #[test]
    fn exactly_one_end_is_given_and_literals_are_read_at_once() {
        for fields in ["{}", "for: 1s\nsignal: x", "for: 1s\nuntil: 2026-03-01", "until: soon", "signal: ''"] {
            let yaml = if fields == "{}" { "" } else { fields };
            assert_eq!(build(yaml).err().unwrap().code, codes::WAIT_FOR, "{fields}");
        }
        assert_eq!(build("for: 30").err().unwrap().code, codes::INVALID_CONFIG);
    }
}
