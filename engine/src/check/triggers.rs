//! Triggers: schedules that fire, webhooks that can be signed and answered, ends of other runs, and inputs that fit.

use serde_json::{Map, Value as Json};

use super::{Child, Cx, fit};
use crate::{
    codes,
    definition::{AfterTrigger, HmacScheme, HookAuth, HookReply, Trigger, Webhook},
    diagnostic::{Diagnostic, Severity},
    graph::{BodyGraph, escape},
    node::WEBHOOK_REPLY,
    suggest,
    time::{Schedule, ScheduleError},
};

pub(super) fn check(cx: &Cx<'_>, findings: &mut Vec<Diagnostic>) {
    let own = Child::of(cx.unit, "this workflow".to_owned(), cx.children);
    let mut hooks: Vec<(String, Webhook)> = Vec::new();
    for (name, trigger) in cx.unit.members("/triggers") {
        let pointer = format!("/triggers/{}", escape(name));
        let Some(fields) = trigger.as_object() else { continue };
        findings.extend(check_schedule(cx, &pointer, fields));
        fit::inputs(cx, &format!("{pointer}/inputs"), &pointer, &own.name, &own.inputs, findings);
        // What has the wrong form was said.
        let Ok(trigger) = serde_json::from_value::<Trigger>(trigger.clone()) else { continue };
        findings.extend(check_durability(cx, &pointer, &trigger));
        match trigger {
            Trigger::Schedule(_) => {}
            Trigger::After(after) => findings.extend(after_itself(cx, &pointer, &after)),
            Trigger::Webhook(hook) => {
                findings.extend(check_auth(cx, &pointer, &hook.webhook.auth));
                let same = |other: &&(String, Webhook)| {
                    other.1.path == hook.webhook.path && other.1.method == hook.webhook.method
                };
                if let Some((other, _)) = hooks.iter().find(same) {
                    findings.push(taken(cx, &pointer, other, &hook.webhook));
                }
                hooks.push((pointer, hook.webhook));
            }
        }
    }
    let is_awaited = hooks.iter().any(|(_, hook)| hook.reply == HookReply::Wait);
    if !is_awaited {
        for body in cx.unit.graph.bodies() {
            unheard(cx, body, findings);
        }
    }
}

fn check_schedule(cx: &Cx<'_>, pointer: &str, fields: &Map<String, Json>) -> Option<Diagnostic> {
    let text = |name: &str| fields.get(name).and_then(Json::as_str);
    let (cron, zone) = (text("cron"), text("timezone"));
    match Schedule::parse(cron.unwrap_or("@daily"), zone.unwrap_or("UTC")) {
        Err(ScheduleError::Cron(error)) => {
            let message = format!("`{}` is no schedule: {error}", cron.unwrap_or_default());
            let finding = cx.unit.error(codes::BAD_CRON, &format!("{pointer}/cron"), message).label("not a schedule");
            Some(finding.hint("write minute, hour, day, month and weekday, as in `0 9 * * MON-FRI`, or `@daily`"))
        }
        Err(ScheduleError::Zone(zone)) => Some(unknown_zone(cx, &format!("{pointer}/timezone"), &zone)),
        Ok(schedule) => {
            // From any time on: what never fires does not fire after the first day of 2026 either.
            const SOME_DAY: i64 = 1_767_225_600_000;
            let cron = cron.filter(|_| schedule.next_after(SOME_DAY).is_none())?;
            let message = format!("`{cron}` never fires: there is no such day");
            let finding = cx.unit.error(codes::SCHEDULE_NEVER, &format!("{pointer}/cron"), message);
            Some(finding.label("no such day").hint("write days that the months have; `L` is the last one"))
        }
    }
}

fn unknown_zone(cx: &Cx<'_>, pointer: &str, zone: &str) -> Diagnostic {
    let known = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let same = known().find(|known| known.eq_ignore_ascii_case(zone)).or_else(|| suggest::nearest(zone, known()));
    let hint = same.map_or_else(
        || "write an IANA name such as `Europe/Berlin` or `UTC`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let finding = cx.unit.error(codes::BAD_TIME_ZONE, pointer, format!("unknown time zone `{zone}`"));
    finding.label("no such time zone").hint(hint)
}

/// A run that is kept only when it ends is for those who wait for it.
fn check_durability(cx: &Cx<'_>, pointer: &str, trigger: &Trigger) -> Option<Diagnostic> {
    let durability = cx.unit.get("/durability").and_then(Json::as_str);
    let what = match trigger {
        Trigger::Schedule(_) => "a schedule",
        Trigger::After(_) => "the end of another run",
        Trigger::Webhook(hook) if hook.webhook.reply == HookReply::Now => "a webhook with `reply: now`",
        Trigger::Webhook(_) => return None,
    };
    if durability != Some("end") {
        return None;
    }
    let message =
        format!("{what} cannot start runs under `durability: end`: nobody waits for them, and a crash loses them");
    let finding = cx.unit.at_key(Severity::Error, codes::DURABILITY_END, pointer, message);
    let finding = finding.label("nobody waits").related(cx.unit.at("/durability"), "chosen here");
    Some(finding.hint("write `durability: step`, or `reply: wait` where the sender of a request waits"))
}

/// A workflow that begins whenever it has ended never stops.
fn after_itself(cx: &Cx<'_>, pointer: &str, trigger: &AfterTrigger) -> Option<Diagnostic> {
    if !trigger.enabled || cx.unit.name() != Some(&trigger.after.workflow) {
        return None;
    }
    let message = format!("`{}` would start itself for ever: it begins whenever it has ended", trigger.after.workflow);
    let finding = cx.unit.error(codes::AFTER_CYCLE, &format!("{pointer}/after/workflow"), message);
    Some(finding.label("this workflow").hint("name another workflow; to do something again and again, use a `loop`"))
}

fn check_auth(cx: &Cx<'_>, pointer: &str, auth: &HookAuth) -> Option<Diagnostic> {
    let HookAuth::Hmac { hmac } = auth else { return None };
    let at = format!("{pointer}/webhook/auth/hmac");
    let (message, hint) = match (hmac.scheme, &hmac.header) {
        (HmacScheme::Body, None) => {
            ("expected `header` in `hmac`, found none", "name the header with the signature: `header: X-Signature`")
        }
        (HmacScheme::Stripe | HmacScheme::Standard, Some(_)) => {
            ("`header` means nothing here: this scheme has headers of its own", "remove `header`")
        }
        _ => return None,
    };
    let finding = cx.unit.at_key(Severity::Error, codes::HOOK_AUTH, &at, message);
    Some(finding.label("the signature").hint(hint))
}

fn taken(cx: &Cx<'_>, pointer: &str, other: &str, hook: &Webhook) -> Diagnostic {
    let message = format!("{} /hooks/{} is taken by another trigger", hook.method.as_str(), hook.path);
    let finding = cx.unit.error(codes::HOOK_TWICE, &format!("{pointer}/webhook/path"), message).label("again");
    finding.related(cx.unit.at(&format!("{other}/webhook/path")), "taken here").hint("choose another path or method")
}

/// Replies that nobody waits for.
fn unheard(cx: &Cx<'_>, body: &BodyGraph, findings: &mut Vec<Diagnostic>) {
    for node in &body.nodes {
        if node.kind == WEBHOOK_REPLY {
            let message = format!("`{}` answers nobody: no webhook of this workflow waits for it", node.id);
            let finding = cx.unit.at_key(Severity::Warning, codes::HOOK_UNHEARD, &node.pointer, message);
            findings.push(finding.label("nobody waits").hint("write `reply: wait` in the `webhook` of a trigger"));
        }
        if let Some(inner) = &node.body {
            unheard(cx, inner, findings);
        }
    }
}

/// The secrets that triggers need, with the places that name them.
pub(super) fn secrets(cx: &Cx<'_>) -> Vec<(String, String)> {
    let triggers = cx.unit.members("/triggers");
    let named = triggers.flat_map(|(name, trigger)| {
        ["hmac", "bearer"].into_iter().filter_map(move |kind| {
            let secret = trigger.pointer(&format!("/webhook/auth/{kind}/secret"))?.as_str()?;
            Some((format!("/triggers/{}/webhook/auth/{kind}/secret", escape(name)), secret.to_owned()))
        })
    });
    named.collect()
}
