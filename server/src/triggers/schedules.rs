//! Every schedule of the installation.

use std::{collections::BTreeMap, sync::Arc};

use liteagent_engine::{
    definition::{ScheduleTrigger, Trigger},
    store::StoreError,
    time::{Schedule, ScheduleError},
    units::Millis,
};

use crate::{
    app::App,
    store::{ScheduleId, ScheduleRow},
    workflows::Published,
};

/// A schedule.
#[derive(Clone, Debug)]
pub(super) struct Scheduled {
    /// Which.
    pub(super) id: ScheduleId,
    /// What it says.
    pub(super) trigger: ScheduleTrigger,
    /// The version of its workflow that it starts; `None` while none is published.
    pub(super) published: Option<Arc<Published>>,
    /// Who made it through the API; `None` when it stands in the definition.
    pub(super) made: Option<(String, Millis)>,
}

impl Scheduled {
    /// When it fires.
    pub(super) fn schedule(&self) -> Result<Schedule, ScheduleError> {
        Schedule::parse(&self.trigger.cron, &self.trigger.timezone)
    }

    /// When it fires, as a text that is compared; empty when it does not fire.
    pub(super) fn timing(&self) -> String {
        match (&self.published, self.trigger.enabled) {
            (Some(_), true) => format!("{} {}", self.trigger.timezone, self.trigger.cron),
            _ => String::new(),
        }
    }

    fn made(row: ScheduleRow, published: Option<Arc<Published>>) -> Result<Self, StoreError> {
        let trigger = serde_json::from_str(&row.definition)
            .map_err(|error| StoreError::Damaged(format!("the schedule {}: {error}", row.id)))?;
        Ok(Self { id: row.id, trigger, published, made: Some((row.created_by, row.updated_at)) })
    }
}

/// Every schedule, by workflow and name. One in a definition hides one of the same name that was made through the API.
pub(super) async fn all(app: &App) -> Result<Vec<Scheduled>, StoreError> {
    let mut all = BTreeMap::new();
    for row in app.store.schedules().await? {
        let published = app.workflows.published(&row.id.workflow).ok();
        match Scheduled::made(row, published) {
            Ok(scheduled) => drop(all.insert(scheduled.id.clone(), scheduled)),
            // The others go on.
            Err(error) => tracing::error!(%error, "a schedule cannot be used"),
        }
    }
    for published in app.workflows.all_published() {
        let triggers = published.bundle.entry().into_iter().flat_map(|entry| &entry.triggers);
        for (name, trigger) in triggers {
            let Trigger::Schedule(trigger) = trigger else { continue };
            let id = ScheduleId { workflow: published.row.workflow.clone(), name: name.clone() };
            let published = Some(published.clone());
            all.insert(id.clone(), Scheduled { id, trigger: trigger.clone(), published, made: None });
        }
    }
    Ok(all.into_values().collect())
}
