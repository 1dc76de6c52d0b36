//! Text that comes in pieces: what has come of each node whose text some answer shows.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::plan::{AnswerPart, AnswerPlan, BodyIx, Plan, STREAMED};

/// The text of one member of the output of one node, so far.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The newest attempt that gave something.
    pub(super) attempt: u32,
    /// Whether that attempt came to nothing: what comes of it is too late.
    pub(super) dead: bool,
    /// What has come.
    pub(super) text: String,
    /// What its node ended with.
    pub(super) end: End,
}

/// How a text ended.
#[derive(Debug, Default)]
pub(super) enum End {
    /// It did not: its node has not ended.
    #[default]
    Open,
    /// With this text.
    Text(Arc<str>),
    /// With no text.
    Nothing,
}

impl Source {
    /// Whether its node has ended.
    pub(super) fn has_ended(&self) -> bool {
        !matches!(self.end, End::Open)
    }

    /// What is known of it; `None` when its node ended without a text.
    pub(super) fn known(&self) -> Option<&str> {
        match &self.end {
            End::Open => Some(&self.text),
            End::Text(text) => Some(text),
            End::Nothing => None,
        }
    }
}

/// The texts of nodes, by path and member.
#[derive(Debug, Default)]
pub(super) struct Sources(HashMap<Arc<str>, Vec<(Arc<str>, Source)>>);

impl Sources {
    pub(super) fn get(&self, path: &str, member: &str) -> Option<&Source> {
        self.0.get(path)?.iter().find(|(of, _)| &**of == member).map(|(_, source)| source)
    }

    pub(super) fn get_mut(&mut self, path: &str, member: &str) -> Option<&mut Source> {
        self.0.get_mut(path)?.iter_mut().find(|(of, _)| &**of == member).map(|(_, source)| source)
    }

    /// The source at a path, a new one if there is none.
    pub(super) fn at(&mut self, path: &str, member: &str) -> &mut Source {
        if !self.0.contains_key(path) {
            self.0.insert(path.into(), Vec::new());
        }
        let members = self.0.get_mut(path).expect("it was just put there");
        let place = members.iter().position(|(of, _)| &**of == member).unwrap_or_else(|| {
            members.push((member.into(), Source::default()));
            members.len() - 1
        });
        &mut members[place].1
    }

    /// The members of a node's output whose text has begun to come.
    pub(super) fn members(&self, path: &str) -> Vec<Arc<str>> {
        self.0.get(path).into_iter().flatten().map(|(member, _)| member.clone()).collect()
    }

    /// Forgets the nodes of a pass that has ended.
    pub(super) fn forget(&mut self, frame: &str) {
        self.0.retain(|path, _| !path.starts_with(frame));
    }
}

/// Which texts somebody shows: members of nodes, named by their ids through every container.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    nodes: HashSet<(String, Arc<str>)>,
    /// The ids of those nodes, so that most others are passed over at once.
    ids: HashSet<String>,
}

impl Interest {
    /// What the answers of a workflow show, and, when another run started it, what that one may show.
    pub(crate) fn of(plan: &Plan, is_child: bool) -> Self {
        let mut interest = Self::default();
        interest.body(plan, 0, "");
        for body in plan.on_failure.into_iter().chain(plan.finally) {
            let handler = plan.bodies[body].handler.map_or("", crate::event::Handler::as_str);
            interest.body(plan, body, &format!("{handler}."));
        }
        interest.answer(plan, 0, "", plan.answer.as_ref());
        for link in plan.links.iter().filter(|_| is_child) {
            interest.add(format!("{}", plan.bodies[0].node(link.node).id), &link.member);
        }
        interest
    }

    fn body(&mut self, plan: &Plan, at: BodyIx, prefix: &str) {
        for node in plan.bodies[at].graph.node_weights() {
            self.answer(plan, at, prefix, node.answer.as_ref());
            for (tool, inner) in node.passes.iter().flat_map(|passes| &passes.bodies) {
                let tool = tool.as_ref().map_or_else(String::new, |tool| format!("{tool}."));
                let below = format!("{prefix}{}.{tool}", node.id);
                self.body(plan, *inner, &below);
                if let Some(link) = &node.link {
                    self.add(format!("{below}{}", plan.bodies[*inner].node(link.node).id), &link.member);
                }
            }
        }
    }

    fn answer(&mut self, plan: &Plan, at: BodyIx, prefix: &str, answer: Option<&AnswerPlan>) {
        for part in answer.into_iter().flat_map(|answer| &answer.parts) {
            if let AnswerPart::Stream { node, member } = part {
                self.add(format!("{prefix}{}", plan.bodies[at].node(*node).id), member);
            }
        }
    }

    fn add(&mut self, node: String, member: &Arc<str>) {
        self.ids.insert(node.clone());
        self.nodes.insert((node, member.clone()));
    }

    /// Whether some text of a node is shown.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.ids.contains(&*without_indices(path))
    }

    /// Whether this text of a node is shown.
    pub(super) fn covers(&self, path: &str, member: &str) -> bool {
        // Few texts are shown, so this is seldom asked in vain.
        self.has(path) && self.nodes.contains(&(without_indices(path).into_owned(), member.into()))
    }

    /// The texts that are shown of a node.
    pub(super) fn members(&self, path: &str) -> Vec<Arc<str>> {
        let id = without_indices(path);
        self.nodes.iter().filter(|(node, _)| *node == *id).map(|(_, member)| member.clone()).collect()
    }
}

/// `each.say` for `each[3].say`.
fn without_indices(path: &str) -> Cow<'_, str> {
    if !path.contains('[') {
        return Cow::Borrowed(path);
    }
    let mut ids = String::with_capacity(path.len());
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '[' => inside = true,
            ']' => inside = false,
            letter if !inside => ids.push(letter),
            _ => {}
        }
    }
    Cow::Owned(ids)
}

/// The member of the output of an answer, and of what streams by itself.
pub(super) const TEXT: &str = STREAMED;
