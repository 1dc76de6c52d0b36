//! What starts runs besides a person: schedules, webhooks, and runs of other workflows.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{event::RunStatus, template::TemplateTree, units::Duration};

/// What starts runs: a schedule (`cron`), a request (`webhook`), or the end of a run (`after`).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Trigger {
    /// By time.
    Schedule(ScheduleTrigger),
    /// By a request.
    Webhook(WebhookTrigger),
    /// By the end of a run of another workflow.
    After(AfterTrigger),
}

impl Trigger {
    /// The inputs of the runs that it starts.
    pub fn inputs(&self) -> &IndexMap<String, TemplateTree> {
        match self {
            Self::Schedule(schedule) => &schedule.inputs,
            Self::Webhook(webhook) => &webhook.inputs,
            Self::After(after) => &after.inputs,
        }
    }

    /// Whether it starts anything.
    pub fn is_enabled(&self) -> bool {
        match self {
            Self::Schedule(schedule) => schedule.enabled,
            Self::Webhook(webhook) => webhook.enabled,
            Self::After(after) => after.enabled,
        }
    }

    /// What templates see as `trigger.type`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Schedule(_) => "schedule",
            Self::Webhook(_) => "webhook",
            Self::After(_) => "after",
        }
    }
}

/// Starts runs by time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleTrigger {
    /// Five or six fields as in crontab, with `L`, `W` and `#`, or `@daily` and its like.
    pub cron: String,
    /// An IANA name such as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub timezone: String,
    /// What becomes of firings that were due while no server ran: `skip`, `last` (one run, for the newest of them) or `all`
    /// (at most the newest 1,000).
    #[serde(default, skip_serializing_if = "is_default")]
    pub missed: Missed,
    /// What becomes of a firing while a run of the same schedule goes on: `allow`, `skip`, `queue` or `replace`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub overlap: Overlap,
    /// Each firing comes up to so much later, by an amount that is always the same for the same firing: many schedules
    /// of one minute do not all begin at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Duration>,
    /// Whether it fires.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// The inputs of the runs that it starts; templates see `trigger`, `env` and `sys`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, TemplateTree>,
}

/// What becomes of firings that were due while no server ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing: they are left out.
    Skip,
    /// The newest of them fires.
    #[default]
    Last,
    /// All of them fire, one after the other, at most the newest 1,000.
    All,
}

/// What becomes of a firing while a run of the same schedule goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Its run begins beside the other one.
    #[default]
    Allow,
    /// It starts no run.
    Skip,
    /// Its run begins when the other one has ended.
    Queue,
    /// The other run is cancelled, and its run begins when that has ended.
    Replace,
}

/// Starts a run for each request to `/hooks/PATH`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookTrigger {
    /// Which requests, and how they are answered.
    pub webhook: Webhook,
    /// Whether it takes requests.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// The inputs of the runs that it starts; templates see `trigger` (`json`, `body`, `headers`, `query`), `env` and `sys`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, TemplateTree>,
}

/// Which requests start runs, and how they are answered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The path below `/hooks/`, such as `shop/orders`. No other workflow of the installation has it with this method.
    #[schemars(
        length(max = 200),
        regex(pattern = r"^[A-Za-z0-9_-]+([/.][A-Za-z0-9_-]+)*$"),
        extend("patternErrorMessage" = "expected a path such as `shop/orders`")
    )]
    pub path: String,
    /// The method of the requests.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: HookMethod,
    /// How the sender proves who it is: `{ hmac: ... }`, `{ bearer: ... }`, or `none` where anyone may send.
    pub auth: HookAuth,
    /// The header that names a delivery, such as `X-GitHub-Delivery`: the same one within 24 hours gives the same run.
    /// Deliveries that are signed with a time or an id are told apart by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = HEADER), extend("patternErrorMessage" = HEADER_MESSAGE))]
    pub delivery: Option<String>,
    /// What the sender is answered: `now` (202 with the id of the run) or `wait` (what `webhook-reply` says).
    #[serde(default, skip_serializing_if = "is_default")]
    pub reply: HookReply,
}

/// What names of headers look like.
const HEADER: &str = "^[A-Za-z0-9-]+$";
const HEADER_MESSAGE: &str = "expected the name of a header, such as `X-Signature`";

/// The method of the requests that a webhook takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HookMethod {
    /// `GET`
    Get,
    /// `POST`
    #[default]
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl HookMethod {
    /// As requests say it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What the sender of a request is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HookReply {
    /// 202 with the id of the run, once it is durable.
    #[default]
    Now,
    /// What `webhook-reply` says; without one, 200 with the outputs.
    Wait,
}

/// How the sender of a request proves who it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum HookAuth {
    /// By a signature.
    Hmac {
        /// A signature of the body under a shared secret.
        hmac: HmacAuth,
    },
    /// By a token.
    Bearer {
        /// The header `Authorization: Bearer ...` with a shared secret.
        bearer: BearerAuth,
    },
    /// Not at all.
    None(NoAuth),
}

impl HookAuth {
    /// The name of the secret that it needs.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Hmac { hmac } => Some(&hmac.secret),
            Self::Bearer { bearer } => Some(&bearer.secret),
            Self::None(_) => None,
        }
    }
}

/// Anyone may send.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoAuth {
    /// Anyone may send.
    None,
}

/// A signature of the body.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HmacAuth {
    /// The name of the secret, which `secrets` declares.
    pub secret: String,
    /// What is signed, and how it is sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub scheme: HmacScheme,
    /// The header with the signature: `X-Hub-Signature-256` at GitHub. The schemes `stripe` and `standard` have their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = HEADER), extend("patternErrorMessage" = HEADER_MESSAGE))]
    pub header: Option<String>,
    /// The digest.
    #[serde(default, skip_serializing_if = "is_default")]
    pub algorithm: HmacAlgorithm,
    /// How old a signature may be at most, where it says its time. 5 minutes if missing.
    #[serde(default = "tolerance", skip_serializing_if = "is_tolerance")]
    pub tolerance: Duration,
}

/// What is signed, and how it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HmacScheme {
    /// The body; the header holds the signature in hexadecimal or Base64, `sha256=` may stand before it: GitHub and many
    /// others.
    #[default]
    Body,
    /// Time and body, in `Stripe-Signature: t=...,v1=...`.
    Stripe,
    /// Id, time and body, in `webhook-id`, `webhook-timestamp` and `webhook-signature`: Standard Webhooks.
    Standard,
}

/// The digest of a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HmacAlgorithm {
    /// SHA-256
    #[default]
    Sha256,
}

/// A token.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BearerAuth {
    /// The name of the secret, which `secrets` declares.
    pub secret: String,
}

/// Starts a run whenever a run of another workflow has ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterTrigger {
    /// After which runs.
    pub after: After,
    /// Whether it starts runs.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// The inputs of the runs that it starts; templates see `trigger.run` (`id`, `workflow`, `status`, `outputs`, `error`), `env`
    /// and `sys`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub inputs: IndexMap<String, TemplateTree>,
}

/// After which runs a run begins.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// The name of the other workflow.
    #[schemars(
        length(max = 200),
        regex(pattern = r"^[a-z0-9_-]+(/[a-z0-9_-]+)*$"),
        extend("patternErrorMessage" = "expected the name of a workflow such as `support/answer`")
    )]
    pub workflow: String,
    /// How its run ended: `succeeded`, `failed` or `cancelled`, or a list of them.
    #[serde(default, skip_serializing_if = "Ends::is_default")]
    pub status: Ends,
}

/// How runs end that are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Ends {
    /// Those that end so.
    One(RunStatus),
    /// Those that end in one of these ways.
    Any(#[schemars(length(min = 1))] Vec<RunStatus>),
}

impl Ends {
    /// Whether a run that ended so is meant.
    pub fn has(&self, status: RunStatus) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Any(all) => all.contains(&status),
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Ends {
    /// Those that end well.
    fn default() -> Self {
        Self::One(RunStatus::Succeeded)
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn yes() -> bool {
    true
}

fn tolerance() -> Duration {
    Duration::from_secs(300)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_true(value: &bool) -> bool {
    *value
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_tolerance(value: &Duration) -> bool {
    *value == tolerance()
}
