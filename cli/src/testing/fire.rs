//! Runs that triggers start in tests.

use std::sync::Arc;

use liteagent_engine::{
    bundle::Bundle, definition, engine::Start, event::RunStatus, id::RunId, time::iso, units::Millis,
};
use serde_json::{Value as Json, json};

use super::{
    ended::EndedRun,
    file::{Request, Schedule, Trigger},
    world::Trouble,
};

/// A run that a trigger of a workflow starts, with the inputs that it gives.
pub(super) fn fire(bundle: &Arc<Bundle>, id: RunId, trigger: &Trigger, now: Millis) -> Result<Start, Trouble> {
    let name = trigger.name();
    let entry = bundle.entry().ok_or("the bundle is empty")?;
    let declared = entry.triggers.get(name).ok_or_else(|| format!("the workflow has no trigger `{name}`"))?;
    let mut seen = match (declared, trigger) {
        (definition::Trigger::Schedule(_), Trigger::Schedule(schedule)) => of_schedule(Some(schedule), now),
        (definition::Trigger::Schedule(_), Trigger::Name(_)) => of_schedule(None, now),
        (definition::Trigger::Webhook(_), Trigger::Request(request)) => of_request(Some(request)),
        (definition::Trigger::Webhook(_), Trigger::Name(_)) => of_request(None),
        (definition::Trigger::After(after), Trigger::After(ended)) => of_end(after, Some(&ended.run)),
        (definition::Trigger::After(after), Trigger::Name(_)) => of_end(after, None),
        (declared, _) => return Err(format!("the trigger `{name}` is a {}", declared.kind())),
    };
    seen["type"] = json!(declared.kind());
    seen["name"] = json!(name);
    Start::triggered(bundle.clone(), id, declared.inputs(), seen.into(), now).map_err(|error| error.message)
}

fn of_end(trigger: &definition::AfterTrigger, ended: Option<&EndedRun>) -> Json {
    let every = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled];
    let meant = every.into_iter().find(|status| trigger.after.status.has(*status));
    let status = ended.and_then(|ended| ended.status).or(meant).unwrap_or(RunStatus::Succeeded);
    let outputs = ended.map(|ended| ended.outputs.clone()).unwrap_or_default();
    let error = ended.map(|ended| ended.error.clone()).unwrap_or_default();
    let id = RunId(uuid::Uuid::nil()).to_string();
    json!({ "run": { "id": id, "workflow": trigger.after.workflow, "status": status, "outputs": outputs, "error": error } })
}

fn of_schedule(schedule: Option<&Schedule>, now: Millis) -> Json {
    let at = schedule.and_then(|schedule| schedule.scheduled_at.clone()).unwrap_or_else(|| iso(now));
    json!({ "scheduled_at": at, "previous_at": schedule.and_then(|schedule| schedule.previous_at.clone()) })
}

fn of_request(request: Option<&Request>) -> Json {
    let json = request.map(|request| request.json.clone()).unwrap_or_default();
    let body = request.and_then(|request| request.body.clone());
    let body = body.unwrap_or_else(|| if json.is_null() { String::new() } else { json.to_string() });
    let (headers, query) = request.map(|request| (&request.headers, &request.query)).unzip();
    json!({ "json": json, "body": body, "headers": headers.cloned().unwrap_or_default(), "query": query.cloned().unwrap_or_default() })
}
