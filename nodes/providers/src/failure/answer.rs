//! What a provider says when it refuses, in every dialect that is known.

use std::time::Duration;

use serde_json::Value as Json;

use super::{Fault, Kind};

/// What an error object says. Every member may be missing.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Said {
    /// For people.
    pub(crate) message: String,
    /// Type, code and status as words, lower-case, joined with spaces.
    words: String,
    /// The parameter that is wrong.
    pub(crate) param: Option<String>,
    /// A status in the object itself.
    status: Option<u16>,
}

impl Said {
    /// Reads an error object, whatever is around it; `None` when the JSON is no error.
    pub(crate) fn read(json: &Json) -> Option<Self> {
        let json = match json {
            Json::Array(items) => items.first()?,
            other => other,
        };
        let is_bare = json.get("object").and_then(Json::as_str) == Some("error");
        match json.get("error").filter(|error| !error.is_null()) {
            Some(Json::String(message)) => Some(Self { message: message.clone(), ..Self::default() }),
            Some(error) => Some(Self::of(error)),
            None if is_bare || json.get("detail").is_some() => Some(Self::of(json)),
            None if json.get("message").is_some() && json.get("code").is_some() => Some(Self::of(json)),
            None => None,
        }
    }

    /// Reads the body of an answer that is an error.
    pub(crate) fn of_body(body: &[u8]) -> Self {
        let json: Json = serde_json::from_slice(body).unwrap_or_default();
        Self::read(&json).unwrap_or_else(|| {
            // A page of a proxy, or nothing.
            let text = String::from_utf8_lossy(body);
            let text = if text.trim_start().starts_with('<') { "an HTML page".into() } else { text };
            Self { message: text.trim().to_owned(), ..Self::default() }
        })
    }

    fn of(error: &Json) -> Self {
        let text = |key: &str| error.get(key).and_then(Json::as_str);
        let message = match error.get("message").or_else(|| error.get("detail")) {
            Some(Json::String(message)) => message.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let inner = error.pointer("/details/error_code").or_else(|| error.pointer("/innererror/code"));
        let words: Vec<&str> =
            ["type", "code", "status"].into_iter().filter_map(text).chain(inner.and_then(Json::as_str)).collect();
        let number = |key: &str| error.get(key).and_then(Json::as_u64).and_then(|code| u16::try_from(code).ok());
        Self {
            message,
            words: words.join(" ").to_lowercase(),
            param: text("param").map(str::to_owned),
            status: number("code").or_else(|| number("status")).filter(|code| (400..600).contains(code)),
        }
    }

    /// Whether one of these words stands in type, code or message.
    pub(crate) fn mentions(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| self.words.contains(word) || message.contains(word))
    }

    /// The fault of an error object inside a stream.
    pub(crate) fn into_fault(self) -> Fault {
        classify(200, self, None)
    }
}

/// Says that the account has nothing left to pay with. Waiting does not help, though the status may be 429.
const CREDIT: &[&str] = &[
    "insufficient_quota",
    "insufficient balance",
    "insufficient credit",
    "credit balance is too low",
    "billing_error",
    "billing_hard_limit",
    "enforced_spend_limit_reached",
    "spend limit",
    "payment required",
    "arrearage",
];

const FILTERED: &[&str] = &[
    "content_filter",
    "content management policy",
    "content_policy",
    "responsibleaipolicyviolation",
    "data_inspection_failed",
    "inappropriate content",
    "prohibited_content",
];

const TOO_LONG: &[&str] = &[
    "context_length_exceeded",
    "exceed_context_size",
    "exceeds the available context",
    "maximum context length",
    "context length",
    "context window",
    "context limit",
    "prompt is too long",
    "input is too long",
    "too many tokens",
    "input token count",
    "range of input length",
    "reduce the length",
    "string_above_max_length",
    "request_too_large",
    "request too large",
    "max_new_tokens` must be <=",
    "maximum prompt length",
];

const WRONG_KEY: &[&str] =
    &["invalid_api_key", "authentication_error", "invalidapikey", "api key not valid", "incorrect api key"];
const UNKNOWN: &[&str] =
    &["model_not_found", "deploymentnotfound", "not_found_error", "unknown_model", "invalid_model"];
const RATE: &[&str] = &["rate_limit", "resource_exhausted", "too many requests", "throttling"];
const OVERLOADED: &[&str] =
    &["overloaded", "server_error", "api_error", "internal_error", "timeout_error", "unavailable"];

/// The fault of an answer with an error status, or of an error inside a stream (status 200).
pub(crate) fn classify(status: u16, said: Said, wait: Option<Duration>) -> Fault {
    let kind = kind(said.status.filter(|_| status < 400).unwrap_or(status), &said);
    let text = if said.message.is_empty() { format!("it answered with status {status}") } else { said.message };
    Fault::new(kind, text).after(wait)
}

fn kind(status: u16, said: &Said) -> Kind {
    let says = |words| said.mentions(words);
    match status {
        402 => Kind::Credit,
        500..=599 => Kind::Overloaded,
        _ if says(CREDIT) => Kind::Credit,
        401 => Kind::WrongKey,
        _ if says(FILTERED) => Kind::Filtered,
        413 => Kind::TooLong,
        429 => Kind::Rate,
        400 | 422 | 200 if says(TOO_LONG) => Kind::TooLong,
        403 => Kind::NotAllowed,
        404 => Kind::Unknown,
        408 => Kind::Overloaded,
        _ if says(WRONG_KEY) => Kind::WrongKey,
        _ if says(UNKNOWN) => Kind::Unknown,
        200 if says(RATE) => Kind::Rate,
        200 if says(OVERLOADED) || said.words.is_empty() => Kind::Overloaded,
        300..=399 => Kind::Answer,
        _ => Kind::Request,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(401, r#"{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","code":"invalid_api_key"}}"#, Kind::WrongKey)]
    #[case(
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
        Kind::WrongKey
    )]
    #[case(400, r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#, Kind::WrongKey)]
    #[case(403, r#"{"error":{"message":"Project does not have access to model"}}"#, Kind::NotAllowed)]
    #[case(404, r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#, Kind::Unknown)]
    #[case(
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
        Kind::Unknown
    )]
    #[case(404, "<html>Not Found</html>", Kind::Unknown)]
    #[case(400, r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#, Kind::TooLong)]
    #[case(400, r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5000","type":"BadRequestError","param":null,"code":400}"#, Kind::TooLong)]
    #[case(400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#, Kind::TooLong)]
    #[case(
        413,
        r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
        Kind::TooLong
    )]
    #[case(
        400,
        r#"{"error":{"message":"The response was filtered","code":"content_filter","status":400}}"#,
        Kind::Filtered
    )]
    #[case(
        400,
        r#"{"error":{"code":"data_inspection_failed","message":"Input data may contain inappropriate content."}}"#,
        Kind::Filtered
    )]
    #[case(
        429,
        r#"{"error":{"message":"Rate limit reached for requests","type":"requests","code":"rate_limit_exceeded"}}"#,
        Kind::Rate
    )]
    #[case(429, r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#, Kind::Credit)]
    #[case(429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"x","details":{"error_code":"enforced_spend_limit_reached"}}}"#, Kind::Credit)]
    #[case(402, r#"{"error":{"message":"Insufficient Balance"}}"#, Kind::Credit)]
    #[case(
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
        Kind::Credit
    )]
    #[case(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Kind::Overloaded)]
    #[case(503, "", Kind::Overloaded)]
    #[case(500, r#"{"error":"model requires more system memory"}"#, Kind::Overloaded)]
    #[case(
        400,
        r#"{"error":{"message":"Invalid value: 'foo'","type":"invalid_request_error","param":"messages[0].role"}}"#,
        Kind::Request
    )]
    #[case(
        422,
        r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"]}]}}"#,
        Kind::Request
    )]
    #[case(302, "", Kind::Answer)]
    #[case(200, r#"{"error":{"message":"The server had an error","type":"server_error"}}"#, Kind::Overloaded)]
    #[case(200, r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#, Kind::Overloaded)]
    #[case(200, r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#, Kind::Rate)]
    #[case(200, r#"{"error":{"message":"Provider returned error","code":502}}"#, Kind::Overloaded)]
    #[case(200, r#"{"error":{"message":"bad","type":"BadRequestError","code":400}}"#, Kind::Request)]
    fn dialects_of_refusals_are_understood(#[case] status: u16, #[case] body: &str, #[case] expected: Kind) {
        assert_eq!(classify(status, Said::of_body(body.as_bytes()), None).kind, expected, "{body}");
    }

    #[test]
    fn an_answer_is_no_error() {
        for json in [r#"{"choices":[]}"#, r#"{"error":null,"choices":[]}"#, r#"{"type":"ping"}"#, "7"] {
            assert_eq!(Said::read(&serde_json::from_str(json).unwrap()), None, "{json}");
        }
    }
}
