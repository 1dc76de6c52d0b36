//! Starting a run: inputs are checked, the bundle is stored, the run exists before anything acts.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;
use indexmap::IndexMap;

use super::{AppendOutcome, Engine, EngineError, Inner};
use crate::{
    bundle::Bundle,
    codes,
    definition::{Durability, Limits},
    error::{ErrorClass, NodeError},
    event::{Event, Payload, Record},
    executor::{Owner, OwnerError},
    id::{Digest, RunId},
    plan::Plan,
    run::{Addr, RunState},
    scope::{Roots, Scope},
    store::{Created, Hold, Idempotency, NewRun, NewTurn, Parent, Speaker, StoreError, StoredRecord, Take, file_ids},
    template::TemplateTree,
    types::{self, Misfit},
    units::Millis,
    value::{Object, Value},
};

/// A run to be started.
#[derive(Clone, Debug)]
pub struct Start {
    /// The id of the run, when files were given to it before; otherwise a fresh one.
    pub id: Option<RunId>,
    /// The workflow.
    pub bundle: Arc<Bundle>,
    /// Its inputs: an object.
    pub inputs: Value,
    /// What starts it: an object with `type`.
    pub trigger: Value,
    /// Who starts it, as `sys.user`.
    pub user: Value,
    /// The conversation that it belongs to.
    pub conversation: Option<String>,
    /// The run beside which its turn stands in the conversation: what was said there is edited, or is answered again.
    /// Without one, its turn is the newest.
    pub beside: Option<RunId>,
    /// Whose the conversation is, where this run begins it.
    pub speaker: Option<Speaker>,
    /// Whom it is about: what [`crate::store::Journal::forget`] deletes it by. Its children and forks are about the same.
    pub subject: Option<String>,
    /// Who pays: what it uses is added up for this name, as [`crate::store::Journal::spent`] tells it.
    pub account: Option<String>,
    /// `env` as the deployment overrides it.
    pub env: Value,
    /// What it may use at most, whatever the workflow says.
    pub budget: Limits,
    /// Gives the same run again for 24 hours.
    pub idempotency: Option<Idempotency>,
    /// What it is counted under besides what its workflow says; who waits for that goes on with [`Engine::poll`]. Means
    /// nothing under `durability: end`.
    pub holds: Vec<Hold>,
}

impl Start {
    /// A run of a bundle's entry with these inputs.
    pub fn new(bundle: impl Into<Arc<Bundle>>, inputs: Value, trigger: Value) -> Self {
        Self {
            id: None,
            bundle: bundle.into(),
            inputs,
            trigger,
            user: Value::Null,
            conversation: None,
            beside: None,
            speaker: None,
            subject: None,
            account: None,
            env: Value::Null,
            budget: Limits::default(),
            idempotency: None,
            holds: Vec::new(),
        }
    }

    /// The run that a trigger of a bundle's entry starts at a time: `inputs` are its templates, `trigger` is what they see.
    ///
    /// # Errors
    /// When an input cannot be rendered; the message names it.
    pub fn triggered(
        bundle: impl Into<Arc<Bundle>>,
        id: RunId,
        inputs: &IndexMap<String, TemplateTree>,
        trigger: Value,
        now: Millis,
    ) -> Result<Self, NodeError> {
        let bundle = bundle.into();
        let env = bundle.entry().into_iter().flat_map(|entry| &entry.env);
        let env = Value::from_pairs(env.map(|(name, value)| (name.as_str(), value.clone())));
        let mut sys = Object::default();
        sys.insert("run".into(), Value::from(id.to_string()));
        sys.insert("workflow".into(), Value::from(bundle.entry.as_str()));
        sys.insert("digest".into(), Value::from(bundle.digest().as_str()));
        sys.insert("user".into(), Value::Null);
        sys.insert("conversation".into(), Value::Null);
        let roots = Roots { trigger: trigger.clone(), env, sys, ..Roots::default() };
        let scope = Arc::new(Scope { roots: Arc::new(roots), now, attempt: 1, ..Scope::default() });
        let mut values = Object::default();
        for (name, template) in inputs {
            let value = template.render(&scope).map_err(|mut error| {
                error.message = format!("the input `{name}`: {}", error.message);
                error
            })?;
            values.insert(name.as_str().into(), value);
        }
        Ok(Self { id: Some(id), ..Self::new(bundle, Value::Object(Arc::new(values)), trigger) })
    }
}

/// A run that is about to exist, and the content of the blobs that it names.
pub(crate) struct Prepared {
    pub(crate) run: NewRun,
    pub(crate) blobs: Vec<(Digest, Bytes)>,
    pub(crate) first: Record<Addr>,
}

impl Prepared {
    /// What the run is counted under.
    pub(super) fn holds(&self, plan: &Plan) -> Result<Vec<Hold>, NodeError> {
        let mut state = RunState::default();
        state.apply(plan, &self.first);
        super::holds(plan, &state, self.run.id)
    }
}

/// What a start belongs to besides itself.
pub(crate) struct Origin {
    pub(crate) id: RunId,
    pub(crate) digest: Digest,
    pub(crate) workflow: String,
    pub(crate) parent: Option<Parent>,
    pub(crate) depth: u32,
    pub(crate) variables: Value,
}

impl Engine {
    /// Checks the inputs, creates a run, and executes it in the background.
    ///
    /// Under `durability: step` the run is durable when this returns.
    ///
    /// # Errors
    /// When the inputs do not fit, a secret is missing or not meant for the workflow, the workflow cannot run here, or the store fails.
    pub async fn start(&self, start: Start) -> Result<RunId, EngineError> {
        let inner = &self.inner;
        inner.check_secrets(&start.bundle)?;
        let digest = start.bundle.digest().clone();
        let plan = inner.compile(&digest, &start.bundle, &start.bundle.entry)?;
        inner.keep_bundle(&digest, &start.bundle).await?;

        let variables = match &start.conversation {
            Some(id) => inner.stores.journal.conversation(id).await?.unwrap_or_default(),
            None => Value::Null,
        };
        let workflow = start.bundle.entry.clone();
        let id = start.id.unwrap_or_else(RunId::random);
        let origin = Origin { id, digest, workflow, parent: None, depth: 0, variables };
        let mut prepared = inner
            .prepare(origin, &start)
            .map_err(|misfits| EngineError::Inputs { workflow: start.bundle.entry.clone(), misfits })?;

        // Where others execute it, it must be in the store from the beginning.
        if plan.durability == Durability::End && inner.serves(plan.group()) {
            inner.check_room().await?;
            inner.drive(id, Some(Box::new(Owner::detached(inner.clone(), plan, prepared))));
            return Ok(id);
        }
        prepared.run.holds = prepared.holds(&plan).map_err(EngineError::Key)?;
        prepared.run.holds.extend(start.holds);
        for (_, content) in prepared.blobs {
            inner.stores.blobs.put(content).await?;
        }
        // In a task of its own: a caller that goes away must not leave a run that is owned here and that nobody executes.
        let begun = tokio::spawn(inner.clone().begin(plan, prepared.run, prepared.first)).await;
        begun.map_err(|error| EngineError::Stuck(format!("the run could not begin: {error}")))?
    }

    /// A secret, for who acts in the name of a workflow that declares it.
    ///
    /// # Errors
    /// When it is missing or cannot be read, or is not meant for the workflow.
    pub fn secret(&self, name: &str, workflow: &str) -> Result<Arc<str>, EngineError> {
        let secrets = &self.inner.caps.secrets;
        if !secrets.is_meant_for(name, workflow) {
            return Err(EngineError::SecretNotMeant { secret: name.to_owned(), workflow: workflow.to_owned() });
        }
        if !secrets.has(name) {
            return Err(EngineError::MissingSecret(name.to_owned()));
        }
        secrets.read(name).map_err(EngineError::Secret)
    }
}

impl Inner {
    /// Stores a bundle, unless this process knows that it is stored.
    async fn keep_bundle(&self, digest: &Digest, bundle: &Bundle) -> Result<(), StoreError> {
        const MOST: usize = 10_000;
        let kept = || self.kept_bundles.lock().unwrap_or_else(PoisonError::into_inner);
        if kept().contains(digest) {
            return Ok(());
        }
        self.stores.journal.put_bundle(digest, bundle.text().clone()).await?;
        let mut kept = kept();
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(digest.clone());
        Ok(())
    }

    /// Creates a run and executes it in the background.
    async fn begin(self: Arc<Self>, plan: Arc<Plan>, new: NewRun, first: Record<Addr>) -> Result<RunId, EngineError> {
        let id = new.id;
        let parent = new.parent.clone();
        let group = plan.group();
        let is_here = self.serves(group);
        if !is_here {
            self.check_waiting().await?;
        }
        let waits = !is_here || self.must_wait().await?;
        let job = self.job(id, &new.workflow, new.subject.as_deref(), false);
        let begun = self.stopwatch();
        let created = if waits {
            self.stores.journal.create(new).await.map(Err)
        } else {
            self.stores.journal.create_taken(new, self.session).await
        };
        self.appended(begun, if created.is_ok() { AppendOutcome::Done } else { AppendOutcome::Failed });
        match created {
            Ok(Ok(Take::Taken(taken))) => {
                match Owner::begun(self.clone(), plan, id, parent, &first, taken.epoch).await {
                    Ok(owner) => drop(self.drive(id, Some(Box::new(owner)))),
                    // It is tried again, from the journal.
                    Err(error) => {
                        tracing::warn!(run = %id, %error, "a run could not begin at once");
                        self.wake(id);
                    }
                }
            }
            // It waits for others of its keys.
            Ok(Ok(_)) => self.wake(id),
            // It waits in the queue, for room here or for others.
            Ok(Err(Created::New)) => self.push(group, job),
            Ok(Err(Created::Existing(run))) => return Ok(run),
            Ok(Err(Created::Conflict(run))) => return Err(EngineError::KeyConflict(run)),
            Ok(Err(Created::Full(ahead))) => return Err(EngineError::Full(ahead)),
            Err(error) => {
                // It may be there, and owned here.
                self.wake(id);
                return Err(error.into());
            }
        }
        Ok(id)
    }

    /// A secret that is missing, or not meant for a workflow that declares it, stops a run before its first node.
    pub(crate) fn check_secrets(&self, bundle: &Bundle) -> Result<(), EngineError> {
        let secrets = &self.caps.secrets;
        for (workflow, definition) in &bundle.workflows {
            for name in &definition.secrets {
                if !secrets.is_meant_for(name, workflow) {
                    return Err(EngineError::SecretNotMeant { secret: name.clone(), workflow: workflow.clone() });
                }
                if !secrets.has(name) {
                    return Err(EngineError::MissingSecret(name.clone()));
                }
            }
        }
        Ok(())
    }

    /// The first record of a run.
    ///
    /// # Errors
    /// Every input that does not fit.
    pub(crate) fn prepare(&self, origin: Origin, start: &Start) -> Result<Prepared, Vec<Misfit>> {
        let types = start.bundle.workflows.get(&origin.workflow).map(crate::definition::Definition::run_inputs);
        let inputs = types::fit_all(&types.unwrap_or_default(), start.inputs.clone())?;
        let at = self.clock.now();
        let json = serde_json::to_vec(&inputs).expect("a value has a JSON form");
        let large = json.len() > crate::executor::INLINE_BYTES;
        let blobs: Vec<_> = large.then(|| (Digest::of(&json), Bytes::from(json))).into_iter().collect();
        let event = |inputs: Payload| Event::RunStarted {
            workflow: origin.workflow.clone(),
            digest: origin.digest.clone(),
            inputs,
            trigger: start.trigger.clone(),
            user: start.user.clone(),
            conversation: start.conversation.clone(),
            subject: start.subject.clone(),
            variables: origin.variables.clone(),
            env: start.env.clone(),
            parent: origin.parent.as_ref().map(|parent| parent.run),
            depth: origin.depth,
            budget: (!start.budget.is_none()).then(|| Box::new(start.budget)),
        };
        let stored = match blobs.first() {
            Some((digest, _)) => Payload::Blob(digest.clone()),
            None => inputs.clone().into(),
        };
        let record: Record = Record { seq: 1, at, event: event(stored) };
        let body = serde_json::to_string(&record).expect("an event has only string keys and finite numbers");
        let trigger = start.trigger.get("type").and_then(Value::as_str).unwrap_or("api").to_owned();
        Ok(Prepared {
            run: NewRun {
                id: origin.id,
                workflow: origin.workflow.clone(),
                digest: origin.digest.clone(),
                parent: origin.parent.clone(),
                trigger,
                conversation: start.conversation.clone(),
                turn: origin.parent.is_none().then(|| turn(start, &inputs)).flatten(),
                subject: start.subject.clone(),
                account: start.account.clone().filter(|_| origin.parent.is_none()),
                holds: Vec::new(),
                idempotency: start.idempotency.clone(),
                at,
                records: vec![StoredRecord { seq: 1, at, body: body.into() }],
                blobs: blobs.iter().map(|(digest, _)| digest.clone()).collect(),
            },
            first: Record { seq: 1, at, event: event(inputs.into()).map(|_| Addr { frame: 0, node: 0 }) },
            blobs,
        })
    }

    /// Lets a run that is about to exist open the files of another one that its first records name.
    pub(crate) async fn share_files(&self, from: RunId, with: &Prepared) -> Result<(), StoreError> {
        let records = with.run.records.iter().map(|record| &*record.body);
        let blobs = with.blobs.iter().filter_map(|(_, bytes)| std::str::from_utf8(bytes).ok());
        self.share_named(from, with.run.id, records.chain(blobs)).await
    }

    /// Lets a run open the files of another one whose ids stand in these texts. Nothing else about them is believed.
    pub(crate) async fn share_named(
        &self,
        from: RunId,
        to: RunId,
        texts: impl Iterator<Item = &str>,
    ) -> Result<(), StoreError> {
        let Some(files) = &self.caps.files else { return Ok(()) };
        let ids: BTreeSet<String> = texts.flat_map(file_ids).collect();
        if ids.is_empty() {
            return Ok(());
        }
        files.share(from, to, ids.into_iter().collect()).await
    }

    /// A child run, from its parent's bundle.
    pub(crate) fn prepare_child(&self, origin: Origin, start: &Start) -> Result<Prepared, NodeError> {
        let workflow = origin.workflow.clone();
        let plan = self.compile(&origin.digest, &start.bundle, &workflow);
        let plan = plan.map_err(|error| NodeError::internal(format!("`{workflow}` cannot be run: {error}")))?;
        let mut child = self.prepare(origin, start).map_err(|misfits| {
            let all: Vec<String> =
                misfits.iter().map(|misfit| format!("`inputs{}`: {}", misfit.pointer, misfit.message)).collect();
            NodeError::new(
                codes::CHILD_INPUTS,
                ErrorClass::Invalid,
                format!("the inputs do not fit `{workflow}`: {}", all.join("; ")),
            )
        })?;
        child.run.holds = child.holds(&plan)?;
        Ok(child)
    }
}

/// What a person says with a run, when it belongs to a conversation and has a message.
fn turn(start: &Start, inputs: &Value) -> Option<NewTurn> {
    start.conversation.as_ref()?;
    let message = inputs.get("message")?.as_str()?.to_owned();
    let files = inputs.get("files").cloned().unwrap_or_default();
    Some(NewTurn { message, files, beside: start.beside, speaker: start.speaker.clone() })
}

impl From<OwnerError> for EngineError {
    fn from(error: OwnerError) -> Self {
        match error {
            OwnerError::Store(error) => Self::Store(error),
            OwnerError::Plan(error) => Self::Plan(error),
            other => Self::Stuck(other.to_string()),
        }
    }
}
