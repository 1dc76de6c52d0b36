//! One WebSocket, from the handshake to its end.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::ws::{Message, WebSocket},
    http::StatusCode,
};
use futures::StreamExt as _;
use liteagent_engine::codes;
use tokio::{task::AbortHandle, time::Instant};

use super::{
    LOOK,
    frames::{Asked, Said, Unread, Wish, told, wrong},
    writer::{Close, Sender, Writer},
};
use crate::{
    access::{Access, Caller, Role},
    accounts::Shown,
    app::App,
    problem::Problem,
    runs::{
        follow::{Follow, Talked},
        start::Started,
        steer, visible,
    },
};

/// How many runs are followed at once.
const MOST: usize = 64;
/// For how long nothing may come: pings are answered three times in it.
const SILENCE: Duration = Duration::from_mins(1);
/// For how long it is believed who calls.
const BELIEVED: Duration = Duration::from_secs(1);

/// What is known of a connection.
pub(super) struct Connection {
    app: Arc<App>,
    caller: Caller,
    shown: Shown,
    /// When it was last looked at who calls.
    looked: Instant,
    address: IpAddr,
    followed: HashMap<String, Followed>,
}

/// A run that is followed. It is followed no more when this is dropped.
struct Followed {
    task: AbortHandle,
    /// Whether its end was sent.
    over: Arc<AtomicBool>,
}

/// What was done for a frame.
struct Granted {
    /// What is said of it.
    reply: String,
    /// What is followed from now on.
    follow: Option<Follow>,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    pub(super) fn new(app: Arc<App>, caller: Caller, shown: Shown, address: IpAddr) -> Self {
        Self { app, caller, shown, looked: Instant::now(), address, followed: HashMap::new() }
    }

    /// Does what is asked, until either side ends it.
    pub(super) async fn serve(mut self, socket: WebSocket) {
        let (sink, mut frames) = socket.split();
        let (writer, sender, end) = Writer::new(sink);
        let mut writing = tokio::spawn(writer.run());
        let app = self.app.clone();
        let mut looks = tokio::time::interval(LOOK);
        let mut heard = Instant::now();
        let close = loop {
            tokio::select! {
                () = app.stopping() => break Some(Close::going_away()),
                // The other side is gone.
                _ = &mut writing => return,
                _ = looks.tick() => {
                    if heard.elapsed() > SILENCE {
                        break Some(Close::silent());
                    }
                    if let Err(problem) = self.look().await {
                        break Some(refused(&problem));
                    }
                }
                frame = frames.next() => {
                    heard = Instant::now();
                    let taken = match frame {
                        Some(Ok(Message::Text(text))) => self.take(&text, &sender).await,
                        Some(Ok(Message::Binary(_))) => {
                            let problem = wrong("expected a text, found bytes".to_owned());
                            sender.reply(Said::Error { id: None, problem: &problem }.text())
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                        Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                    };
                    if let Err(close) = taken {
                        break Some(close);
                    }
                }
            }
        };
        self.followed.clear();
        // The writer may have ended by itself.
        let _ = end.send(close);
        let _ = writing.await;
    }

    /// Looks again who calls.
    async fn look(&mut self) -> Result<(), Problem> {
        match self.app.accounts.again(&self.shown).await {
            Ok(caller) if Access::Stream(Role::Viewer).allows(Some(&caller)) => {
                self.caller = caller;
                self.looked = Instant::now();
                Ok(())
            }
            Ok(caller) => Err(not_allowed(&caller)),
            // What the store cannot say now it says later.
            Err(problem) if problem.status().is_server_error() => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// Does what a frame asks for; an error ends the connection.
    async fn take(&mut self, text: &str, sender: &Sender) -> Result<(), Close> {
        if self.looked.elapsed() > BELIEVED {
            self.look().await.map_err(|problem| refused(&problem))?;
        }
        let said = |id: Option<&str>, problem: &Problem| Said::Error { id, problem }.text();
        let Asked { id, wish } = match Asked::read(text) {
            Ok(asked) => asked,
            Err(Unread { id, problem }) => return sender.reply(said(id.as_deref(), &problem)),
        };
        let access = wish.access();
        let done = match self.app.limits.spend(access, Some(&self.caller), self.address).await {
            Ok(_) if !access.allows(Some(&self.caller)) => Err(not_allowed(&self.caller)),
            Ok(_) => self.grant(&id, wish).await,
            Err(problem) => Err(problem),
        };
        match done {
            Ok(Granted { reply, follow }) => {
                sender.reply(reply)?;
                if let Some(follow) = follow {
                    self.follow(&id, follow, sender);
                }
                Ok(())
            }
            Err(problem) => sender.reply(said(Some(&id), &problem)),
        }
    }

    async fn grant(&mut self, id: &str, wish: Wish) -> Result<Granted, Problem> {
        let (app, caller) = (self.app.clone(), self.caller.clone());
        match wish {
            Wish::Subscribe { run, after } => {
                self.check_room(id)?;
                let row = visible(&app, &caller, &run).await?;
                let follow =
                    Follow::open(&app, row.id, Talked { conversation: row.conversation, user: None }, after).await?;
                return Ok(Granted { reply: Said::Ok { id }.text(), follow: Some(follow) });
            }
            Wish::Start(body) => {
                self.check_room(id)?;
                let started = Started::begin(&app, &caller, *body, None).await?;
                let (run, talk) = (started.run, started.talk.as_ref());
                let conversation = talk.map(|talk| talk.id.as_str());
                let user = talk.and_then(crate::conversations::Talk::named_user);
                let reply = Said::Started { id, run: run.to_string(), conversation, user }.text();
                let follow = Follow::open(&app, run, started.talked(), None).await?;
                return Ok(Granted { reply, follow: Some(follow) });
            }
            Wish::Unsubscribe => {
                if self.followed.remove(id).is_none() {
                    let detail = format!("no run is followed under the id `{id}`");
                    return Err(Problem::missing(codes::SUBSCRIPTIONS, detail).hint("its run may have ended"));
                }
            }
            Wish::Cancel { run } => drop(steer::cancel_run(&app, &caller, &run).await?),
            Wish::Signal { run, body } => drop(steer::signal_run(&app, &caller, &run, body).await?),
            Wish::Answer { run, body } => drop(steer::answer_run(&app, &caller, &run, body).await?),
        }
        Ok(Granted { reply: Said::Ok { id }.text(), follow: None })
    }

    /// Whether one more run can be followed, under this id.
    fn check_room(&mut self, id: &str) -> Result<(), Problem> {
        self.followed.retain(|_, followed| !followed.over.load(Ordering::Acquire));
        let detail = if self.followed.contains_key(id) {
            format!("a run is followed under the id `{id}` already")
        } else if self.followed.len() >= MOST {
            format!("{MOST} runs are followed already")
        } else {
            return Ok(());
        };
        Err(Problem::conflict(codes::SUBSCRIPTIONS, detail)
            .hint("send `unsubscribe` for what is not looked at any more"))
    }

    /// Sends what goes out of a run. Who reads slowly fills the queue, and is caught up from the journal.
    fn follow(&mut self, id: &str, mut follow: Follow, sender: &Sender) {
        let over = Arc::new(AtomicBool::new(false));
        let (name, sender, ended) = (id.to_owned(), sender.clone(), over.clone());
        let task = tokio::spawn(async move {
            while let Some(next) = follow.next().await {
                // Whoever reads the end may use the id again.
                ended.store(matches!(next.name, "end" | "error"), Ordering::Release);
                sender.event(told(&name, &next)).await;
            }
        });
        self.followed.insert(id.to_owned(), Followed { task: task.abort_handle(), over });
    }
}

impl Wish {
    /// Who may ask for it.
    fn access(&self) -> Access {
        match self {
            Self::Subscribe { .. } | Self::Unsubscribe => Access::Stream(Role::Viewer),
            Self::Start(_) | Self::Cancel { .. } | Self::Signal { .. } => Access::UserOrKey(Role::Editor),
            Self::Answer { .. } => Access::User(Role::Editor),
        }
    }
}

fn not_allowed(caller: &Caller) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, codes::NOT_ALLOWED, format!("{} may not do this", caller.name()))
        .hint("the routes that do the same say who may call them")
}

/// The end of a connection whose caller may not go on.
fn refused(problem: &Problem) -> Close {
    Close::policy(format!("{}: access has ended", problem.code()))
}
