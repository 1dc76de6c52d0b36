//! The filters that Jinja does not have, and those of Jinja that are stricter here.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone, Utc, format::StrftimeItems};
use hmac::{Hmac, Mac};
use minijinja::{
    Environment, Error, State,
    value::{Kwargs, Rest, Value as Jinja, ValueKind},
};
use regex::{Regex, RegexBuilder};
use sha2::{Digest, Sha256, Sha512};

use super::{
    environment::is_valueless,
    object::{from_jinja, kind, to_jinja},
    text::{self, Hint, MAX_TEXT, fault, too_large},
};
use crate::value::Value;

/// What compiling a pattern costs.
const REGEX_FUEL: u64 = 5_000;
/// How large a compiled pattern may be.
const REGEX_SIZE: usize = 1 << 20;

/// Adds every filter of this file.
pub(super) fn add(env: &mut Environment<'static>) {
    env.add_filter("default", default);
    env.add_filter("d", default);
    env.add_filter("string", |value: &Jinja| text::of(value));
    env.add_filter("join", join);
    env.add_filter("tojson", to_json);
    env.add_filter("fromjson", from_json);
    env.add_filter("jsonl", jsonl);
    env.add_filter("date", date);
    env.add_filter("truncate", truncate);
    env.add_filter("next_link", next_link);
    env.add_filter("hmac", hmac);
    env.add_filter("sha256", |text: &str| hex(&Sha256::digest(text)));
    env.add_filter("base64", |text: &str| STANDARD.encode(text));
    env.add_filter("unbase64", unbase64);
    env.add_filter("raw_url", |value: Jinja| value);
    env.add_filter("regex_match", regex_match);
    env.add_filter("regex_replace", regex_replace);
}

fn default(value: &Jinja, args: Rest<Jinja>) -> Result<Jinja, Error> {
    let other = args.first().cloned().unwrap_or_else(|| Jinja::from(""));
    let falsy = args.get(1).is_some_and(Jinja::is_true);
    if args.len() > 2 {
        return Err(Error::from(minijinja::ErrorKind::TooManyArguments));
    }
    let missing = value.is_undefined() || value.is_none() || is_valueless(value) || (falsy && !value.is_true());
    Ok(if missing { other } else { value.clone() })
}

fn join(state: &State<'_, '_>, list: &Jinja, separator: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    let attribute = kwargs.get::<Option<String>>("attribute")?;
    kwargs.assert_all_used()?;
    let separator = separator.unwrap_or_default();
    let mut joined = String::new();
    for (position, item) in items(list)?.enumerate() {
        state.consume_fuel(1)?;
        let item = match &attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        let piece = text::of(&item).map_err(|_| {
            let message = format!("cannot join: item {position} is {}", kind(&item));
            fault(message).with_source(Hint("leave such items out first, as with `| select`".to_owned()))
        })?;
        joined.push_str(if position == 0 { "" } else { separator });
        joined.push_str(&piece);
        if joined.len() > MAX_TEXT {
            return Err(too_large());
        }
    }
    Ok(joined)
}

fn items(list: &Jinja) -> Result<minijinja::value::ValueIter, Error> {
    match list.kind() {
        ValueKind::Seq | ValueKind::Iterable => list.try_iter(),
        _ => Err(fault(format!("expected a list, found {}", kind(list)))),
    }
}

fn to_json(state: &State<'_, '_>, value: &Jinja, indent: Option<Jinja>, kwargs: Kwargs) -> Result<String, Error> {
    let indent = indent.or(kwargs.get::<Option<Jinja>>("indent")?);
    kwargs.assert_all_used()?;
    let json = text::json(&from_jinja(value)?, indent.is_some_and(|indent| indent.is_true()))?;
    state.consume_fuel(json.len() as u64 / 16)?;
    Ok(json)
}

fn from_json(state: &State<'_, '_>, text: &str) -> Result<Jinja, Error> {
    state.consume_fuel(text.len() as u64 / 16)?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| fault(format!("expected JSON, found something else: {error}")))?;
    Ok(to_jinja(&value))
}

fn jsonl(state: &State<'_, '_>, list: &Jinja) -> Result<String, Error> {
    let mut lines = String::new();
    for item in items(list)? {
        let line = text::json(&from_jinja(&item)?, false)?;
        state.consume_fuel(1 + line.len() as u64 / 16)?;
        lines.push_str(&line);
        lines.push('\n');
        if lines.len() > MAX_TEXT {
            return Err(too_large());
        }
    }
    Ok(lines)
}

fn date(time: &Jinja, format: Option<&str>, timezone: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    let named_format = kwargs.get::<Option<String>>("format")?;
    let named_zone = kwargs.get::<Option<String>>("timezone")?;
    kwargs.assert_all_used()?;
    let format = format.or(named_format.as_deref()).unwrap_or("%Y-%m-%d");
    let zone = timezone.or(named_zone.as_deref()).unwrap_or("UTC");
    let zone: chrono_tz::Tz =
        zone.parse().map_err(|_| fault(format!("expected a time zone such as `Europe/Berlin`, found `{zone}`")))?;
    let items: Vec<_> = StrftimeItems::new(format).collect();
    if format.len() > 1_000 || items.contains(&chrono::format::Item::Error) {
        return Err(fault(format!("expected a format such as `%Y-%m-%d %H:%M`, found `{format}`")));
    }
    Ok(moment(time)?.with_timezone(&zone).format_with_items(items.iter()).to_string())
}

fn moment(time: &Jinja) -> Result<DateTime<Utc>, Error> {
    let expected = |found: &str| fault(format!("expected a time in ISO 8601 or seconds since 1970, found {found}"));
    let Some(text) = time.as_str() else {
        if time.kind() != ValueKind::Number {
            return Err(expected(kind(time)));
        }
        let seconds = f64::try_from(time.clone())?;
        let millis = (seconds * 1000.0).round();
        return DateTime::from_timestamp_millis(millis as i64).ok_or_else(|| expected(&time.to_string()));
    };
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(moment.with_timezone(&Utc));
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f"))
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(chrono::NaiveTime::MIN)));
    local.map(|local| Utc.from_utc_datetime(&local)).map_err(|_| expected(&format!("`{text}`")))
}

fn truncate(text: &str, length: usize, end: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    let named = kwargs.get::<Option<String>>("end")?;
    kwargs.assert_all_used()?;
    let end = end.or(named.as_deref()).unwrap_or("...");
    if text.chars().count() <= length {
        return Ok(text.to_owned());
    }
    let kept = length.saturating_sub(end.chars().count());
    Ok(text.chars().take(kept).chain(end.chars()).take(length).collect())
}

/// The target of `rel="next"` in a `Link` header (RFC 8288); several headers come as a list.
fn next_link(header: &Jinja) -> Result<Jinja, Error> {
    match header.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Jinja::from(())),
        ValueKind::String => Ok(header.as_str().and_then(next_of).map_or_else(|| Jinja::from(()), Jinja::from)),
        ValueKind::Seq => {
            for header in header.try_iter()? {
                let next = next_link(&header)?;
                if !next.is_none() {
                    return Ok(next);
                }
            }
            Ok(Jinja::from(()))
        }
        _ => Err(fault(format!("expected the text of a `Link` header, found {}", kind(header)))),
    }
}

fn next_of(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some(open) = rest.find('<') {
        let close = open + rest[open..].find('>')?;
        let after = &rest[close + 1..];
        let parameters = &after[..after.find('<').unwrap_or(after.len())];
        let is_next = |parameter: &str| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_end_matches(',').trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
        };
        if parameters.split(';').any(is_next) {
            return Some(&rest[open + 1..close]);
        }
        rest = after;
    }
    None
}

fn hmac(text: &str, key: Option<&str>, algorithm: Option<&str>, kwargs: Kwargs) -> Result<String, Error> {
    let named_key = kwargs.get::<Option<String>>("key")?;
    let named_algorithm = kwargs.get::<Option<String>>("algorithm")?;
    kwargs.assert_all_used()?;
    let key = key.or(named_key.as_deref()).ok_or_else(|| fault("expected a key, as in `hmac(secrets.KEY)`"))?;
    match algorithm.or(named_algorithm.as_deref()).unwrap_or("sha256") {
        "sha256" => {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key may have any length");
            mac.update(text.as_bytes());
            Ok(hex(&mac.finalize().into_bytes()))
        }
        "sha512" => {
            let mut mac = Hmac::<Sha512>::new_from_slice(key.as_bytes()).expect("a key may have any length");
            mac.update(text.as_bytes());
            Ok(hex(&mac.finalize().into_bytes()))
        }
        other => Err(fault(format!("expected `sha256` or `sha512`, found `{other}`"))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("text takes everything");
        hex
    })
}

fn unbase64(text: &str) -> Result<String, Error> {
    let bytes = STANDARD.decode(text.trim()).map_err(|error| fault(format!("expected Base64: {error}")))?;
    String::from_utf8(bytes).map_err(|_| fault("expected Base64 of a text, found that of other bytes"))
}

fn regex(state: &State<'_, '_>, pattern: &str) -> Result<Regex, Error> {
    state.consume_fuel(REGEX_FUEL + pattern.len() as u64)?;
    RegexBuilder::new(pattern).size_limit(REGEX_SIZE).dfa_size_limit(REGEX_SIZE).build().map_err(|error| {
        let reason = error.to_string();
        fault(format!(
            "expected a regular expression, found `{pattern}`: {}",
            reason.lines().last().unwrap_or_default()
        ))
    })
}

fn regex_match(state: &State<'_, '_>, text: &str, pattern: &str) -> Result<Jinja, Error> {
    let regex = regex(state, pattern)?;
    state.consume_fuel(text.len() as u64 / 16)?;
    let Some(found) = regex.captures(text) else { return Ok(Jinja::from(())) };
    let groups = found.iter().map(|group| group.map_or_else(|| Jinja::from(()), |group| Jinja::from(group.as_str())));
    Ok(Jinja::from(groups.collect::<Vec<_>>()))
}

fn regex_replace(state: &State<'_, '_>, text: &str, pattern: &str, replacement: &str) -> Result<String, Error> {
    let regex = regex(state, pattern)?;
    state.consume_fuel(text.len() as u64 / 16)?;
    let mut replaced = String::new();
    let mut end = 0;
    let groups = replacement.matches('$').count();
    for found in regex.captures_iter(text) {
        let whole = found.get_match();
        state.consume_fuel(1)?;
        replaced.push_str(&text[end..whole.start()]);
        if replaced.len() + replacement.len() + groups * whole.len() > MAX_TEXT {
            return Err(too_large());
        }
        found.expand(replacement, &mut replaced);
        end = whole.end();
    }
    replaced.push_str(&text[end..]);
    Ok(replaced)
}
