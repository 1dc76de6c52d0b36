//! What an engine does for as long as it is open: says that it is alive, and hears what others wrote to its runs.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::Inner;
use crate::queue::{Wake, WakeListener, WakeTopic};

/// How often the inboxes of the runs here are looked at, whatever is heard.
const EVERY: Duration = Duration::from_millis(500);
/// Every so many looks, the session says that it is alive.
const HEARTBEAT: u32 = 6;

impl Inner {
    /// Until the engine closes: says that it is alive, and looks for what other processes wrote to the runs here. Others are
    /// heard from when this returned.
    pub(super) async fn beat(self: Arc<Self>) {
        let mut mail = match &self.fleet {
            Some(fleet) => Some(fleet.wakes.listen(WakeTopic::Mail).await),
            None => None,
        };
        let mut closing = self.closing.subscribe();
        tokio::spawn(async move {
            let mut tick = interval_at(Instant::now() + EVERY, EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut beats = 0_u32;
            loop {
                let wake = tokio::select! {
                    _ = closing.wait_for(|closing| *closing) => return,
                    wake = next(&mut mail) => Some(wake),
                    _ = tick.tick() => None,
                };
                if let Some(wake) = wake {
                    self.hear(wake).await;
                    continue;
                }
                self.fetch_mail().await;
                beats = beats.wrapping_add(1);
                if !beats.is_multiple_of(HEARTBEAT) {
                    continue;
                }
                match self.stores.journal.heartbeat(self.session, self.clock.now()).await {
                    Ok(()) => self.take_up_stranded().await,
                    Err(error) => tracing::warn!(%error, "the heartbeat failed"),
                }
            }
        });
    }

    async fn hear(self: &Arc<Self>, wake: Wake) {
        let Some(fleet) = &self.fleet else { return };
        match wake {
            Wake::Mail(run) => {
                if let Some(handle) = self.active().get(&run) {
                    handle.wake.notify_one();
                }
            }
            Wake::Watch { run, anew } => self.watched(fleet, run, anew).await,
            Wake::Reconciled(session) if session != self.session => self.reconciled_elsewhere(),
            Wake::Missed => self.fetch_mail().await,
            Wake::Reconciled(_) | Wake::Record(..) | Wake::Piece(..) | Wake::Text(..) => {}
        }
    }

    async fn fetch_mail(&self) {
        if self.active().is_empty() {
            return;
        }
        match self.stores.journal.mail(self.session).await {
            Ok(runs) => {
                let active = self.active();
                let handles = runs.iter().filter_map(|run| active.get(run));
                handles.for_each(|handle| handle.wake.notify_one());
            }
            Err(error) => tracing::warn!(%error, "the inboxes cannot be read"),
        }
    }
}

/// The next wake-up. Without others there is none.
async fn next(mail: &mut Option<WakeListener>) -> Wake {
    if let Some(mail) = mail
        && let Some(wake) = mail.next().await
    {
        return wake;
    }
    std::future::pending().await
}
