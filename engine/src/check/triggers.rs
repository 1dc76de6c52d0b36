//! Triggers: a schedule that exists, a time zone that exists, and inputs that fit.

use std::str::FromStr;

use croner::Cron;
use serde_json::Value as Json;

use super::{Child, Cx, fit};
use crate::{codes, diagnostic::Diagnostic, suggest};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let own = Child::of(cx.unit, "this workflow".to_owned(), cx.children);
    for (name, trigger) in cx.unit.members("/triggers") {
        let pointer = format!("/triggers/{}", crate::graph::escape(name));
        if let Some(cron) = trigger.get("cron").and_then(Json::as_str) {
            findings.extend(check_cron(cx, &format!("{pointer}/cron"), cron));
        }
        if let Some(zone) = trigger.get("timezone").and_then(Json::as_str) {
            findings.extend(check_zone(cx, &format!("{pointer}/timezone"), zone));
        }
        if trigger.is_object() {
            fit::inputs(cx, &format!("{pointer}/inputs"), &pointer, &own.name, &own.inputs, findings);
        }
    }
}

fn check_cron(cx: &Cx<'_>, pointer: &str, cron: &str) -> Option<Diagnostic> {
    let error = Cron::from_str(cron).err()?;
    let message = format!("`{cron}` is no schedule: {}", lower_first(&error.to_string()));
    let finding = cx.unit.error(codes::BAD_CRON, pointer, message).label("not a schedule");
    Some(finding.hint("write minute, hour, day, month and weekday, as in `0 9 * * MON-FRI`, or `@daily`"))
}

fn lower_first(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

fn check_zone(cx: &Cx<'_>, pointer: &str, zone: &str) -> Option<Diagnostic> {
    if chrono_tz::Tz::from_str(zone).is_ok() {
        return None;
    }
    let known = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let same = known().find(|known| known.eq_ignore_ascii_case(zone)).or_else(|| suggest::nearest(zone, known()));
    let hint = same.map_or_else(
        || "write an IANA name such as `Europe/Berlin` or `UTC`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let finding = cx.unit.error(codes::BAD_TIME_ZONE, pointer, format!("unknown time zone `{zone}`"));
    Some(finding.label("no such time zone").hint(hint))
}
