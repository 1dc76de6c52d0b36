//! Conversations: whose they are, and which of them a caller reaches.

use liteagent_engine::{
    bundle::Bundle,
    codes,
    id::RunId,
    store::{ConversationFilter, ConversationRow, Journal, Speaker},
    value,
    value::Value,
};

use crate::{access::Caller, app::App, problem::Problem, routes::Routes};

mod api;
mod messages;

/// The space of those who sign in.
const USERS: &str = "users";
/// The longest name of a user, in characters.
const LONGEST_USER: usize = 255;

pub(crate) fn routes(routes: Routes) -> Routes {
    [api::routes, messages::routes].into_iter().fold(routes, |routes, more| more(routes))
}

/// The conversations that a caller reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those of one end user, with one workflow, that were begun with one API key.
    EndUser {
        /// The workflow of the key.
        workflow: String,
        /// The key, and the user.
        speaker: Speaker,
    },
    /// All: a person who signed in may look at everything.
    All,
}

impl Scope {
    /// Those of a caller, and of the user whom a request names. Without a name an API key speaks for a fresh user.
    ///
    /// # Errors
    /// When the key is for no workflow, or the name cannot be one.
    pub(crate) fn of(caller: &Caller, user: Option<&str>) -> Result<Self, Problem> {
        match caller.only_workflow()? {
            None => Ok(Self::All),
            Some(workflow) => {
                let user = user.map_or_else(|| Ok(fresh_user()), named)?;
                let speaker = Speaker { space: caller.space(), user };
                Ok(Self::EndUser { workflow: workflow.to_owned(), speaker })
            }
        }
    }

    fn admits(&self, row: &ConversationRow) -> bool {
        match self {
            Self::All => true,
            Self::EndUser { workflow, speaker } => row.workflow == *workflow && row.speaker.as_ref() == Some(speaker),
        }
    }

    /// A list of them.
    fn filter(self, asked: ConversationFilter) -> ConversationFilter {
        match self {
            Self::All => asked,
            Self::EndUser { workflow, speaker: Speaker { space, user } } => {
                ConversationFilter { workflow: Some(workflow), space: Some(space), user: Some(user), ..asked }
            }
        }
    }

    /// One of them.
    ///
    /// # Errors
    /// As if it was not there, when it is none of them.
    async fn find(&self, journal: &dyn Journal, id: &str) -> Result<ConversationRow, Problem> {
        let row = journal.conversation_row(id).await?.filter(|row| self.admits(row));
        row.ok_or_else(|| {
            Problem::missing(codes::NO_CONVERSATION, format!("there is no conversation `{id}` for this caller"))
                .hint("list them with GET /api/conversations; with an API key, send the `user` that it was begun with")
        })
    }
}

/// A user whom nobody else is.
fn fresh_user() -> String {
    format!("user_{:032x}", rand::random::<u128>())
}

/// The name of a user.
fn named(user: &str) -> Result<String, Problem> {
    let length = user.chars().count();
    if (1..=LONGEST_USER).contains(&length) && !user.chars().any(char::is_control) {
        return Ok(user.to_owned());
    }
    let detail = format!("`user`: expected 1 to {LONGEST_USER} visible characters, found {length} characters");
    Err(Problem::invalid(codes::REQUEST_PARAMETER, detail).hint("send the id of the end user in your own system"))
}

/// Where a message is said, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Talk {
    /// The conversation.
    pub(crate) id: String,
    /// Whose it is; nobody's in particular when it was begun outside of a server.
    pub(crate) speaker: Option<Speaker>,
}

impl Talk {
    /// The conversation that a request names, or else a new one; none for a workflow that is no chat.
    ///
    /// # Errors
    /// When the caller does not reach the conversation, it is one with another workflow, or the workflow keeps none.
    pub(crate) async fn of(
        app: &App,
        caller: &Caller,
        bundle: &Bundle,
        id: Option<&str>,
        user: Option<&Value>,
    ) -> Result<Option<Self>, Problem> {
        let workflow = &bundle.entry;
        if bundle.entry().is_none_or(|entry| entry.conversation.is_none()) {
            return match id {
                None => Ok(None),
                Some(_) => Err(not_a_chat(workflow)),
            };
        }
        let user = user.and_then(id_of);
        let scope = Scope::of(caller, user)?;
        if let Some(id) = id {
            let row = scope.find(&*app.stores.journal, id).await?;
            if row.workflow != *workflow {
                let detail =
                    format!("the conversation `{id}` is one with `{}`, and not with `{workflow}`", row.workflow);
                return Err(Problem::conflict(codes::OTHER_WORKFLOW, detail)
                    .hint("leave `conversation` out to begin a new one"));
            }
            return Ok(Some(Self { id: row.id, speaker: row.speaker }));
        }
        let speaker = match scope {
            Scope::EndUser { speaker, .. } => speaker,
            Scope::All => {
                let user = user.map_or_else(|| Ok(caller.id().to_owned()), named)?;
                Speaker { space: USERS.to_owned(), user }
            }
        };
        let id = RunId::random().to_string().replacen("run_", "chat_", 1);
        Ok(Some(Self { id, speaker: Some(speaker) }))
    }

    /// A message that was said in it.
    ///
    /// # Errors
    /// When there is none of the run.
    pub(crate) async fn turn(&self, app: &App, run: &str) -> Result<RunId, Problem> {
        messages::turn(app, &self.id, run).await
    }

    /// Where a request stood that was sent once more: in the conversation that its first sending began.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) async fn go_back(&mut self, app: &App, run: RunId) -> Result<(), Problem> {
        let journal = &app.stores.journal;
        let id = journal.run(run).await?.and_then(|row| row.conversation);
        if let Some(id) = id.filter(|id| *id != self.id) {
            self.speaker = journal.conversation_row(&id).await?.and_then(|row| row.speaker);
            self.id = id;
        }
        Ok(())
    }

    /// As templates see the user, where the request does not say it.
    pub(crate) fn user(&self, caller: &Caller) -> Value {
        match (caller, &self.speaker) {
            (Caller::Key(_), Some(speaker)) => value!({ "id": speaker.user.as_str() }),
            _ => value!({ "name": caller.name() }),
        }
    }

    /// The user whom a caller has to name to go on.
    pub(crate) fn named_user(&self) -> Option<&str> {
        self.speaker.as_ref().map(|speaker| speaker.user.as_str())
    }
}

/// A workflow is no chat.
pub(crate) fn not_a_chat(workflow: &str) -> Problem {
    Problem::invalid(codes::NOT_A_CHAT, format!("`{workflow}` keeps no conversations"))
        .hint("leave `conversation` and `beside` out, or write `conversation: {}` in the workflow")
}

/// The id of a user, as a request gives it: a text, or an object with `id` or `name`.
fn id_of(user: &Value) -> Option<&str> {
    user.as_str().or_else(|| user.get("id")?.as_str()).or_else(|| user.get("name")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::{KeyCaller, Role, UserCaller},
        store::{KeyLimits, KeyScope},
    };

    fn key(id: &str, scope: KeyScope) -> Caller {
        let (id, name, limits) = (id.to_owned(), String::new(), KeyLimits::default());
        Caller::Key(KeyCaller { id, name, scope, rate: None, limits, read_only: false })
    }

    #[test]
    fn an_api_key_reaches_one_user_and_a_missing_one_is_fresh() {
        let site = key("1", KeyScope::Workflow("help".to_owned()));
        let of = |caller: &Caller, user| Scope::of(caller, user).unwrap();
        assert_eq!(of(&site, Some("ann")), of(&site, Some("ann")));
        let other = key("2", KeyScope::Workflow("help".to_owned()));
        assert_ne!(of(&site, Some("ann")), of(&other, Some("ann")), "a user means nothing with another key");
        assert_ne!(of(&site, None), of(&site, None), "nobody in particular is nobody twice");
        for wrong in ["", "a\nb", &"x".repeat(256)] {
            assert!(Scope::of(&site, Some(wrong)).is_err(), "{wrong}");
        }
        assert!(Scope::of(&key("3", KeyScope::KnowledgeBase("handbook".to_owned())), Some("ann")).is_err());
        let eve = UserCaller { id: "u".to_owned(), name: String::new(), role: Role::Viewer, session: None };
        assert_eq!(of(&Caller::User(eve), Some("ann")), Scope::All);
    }
}
