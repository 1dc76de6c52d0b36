//! Answers one question.

use futures::channel::mpsc::UnboundedSender;
use liteagent_engine::{
    capability::model::{ChatEnd, ChatEvent, Finish, Sampling, Usage},
    error::NodeError,
};

use super::{Chat, answer::Answer, grammar::Grammar, grammar::mask::Sorted, sample::Sampler};
use crate::{stop::Stop, weights::CHAT};

/// What is asked.
pub(crate) struct Question {
    pub(super) tokens: Vec<u32>,
    /// The most tokens of the answer.
    pub(super) most: u64,
    pub(super) sampling: Sampling,
    pub(super) grammar: Option<Grammar>,
}

/// Where the events of an answer go.
pub(crate) type Events = UnboundedSender<Result<ChatEvent, NodeError>>;

impl Chat {
    /// Sends the answer piece by piece, and then its end. Sends nothing more once it was stopped: nobody listens. On the
    /// threads of the pool that this is called in.
    pub(crate) fn answer(&self, question: Question, events: &Events, stop: &Stop) {
        let mut cache = self.begun(&question.tokens);
        let mut usage =
            Usage { input_tokens: question.tokens.len() as u64, cached_tokens: cache.len() as u64, ..Usage::default() };
        let mut writer =
            Writer { chat: self, grammar: question.grammar, said: Answer::new(&question.sampling.stop), events };
        let mut sampler = Sampler::new(&question.sampling);
        let mut logits = self.llama.read_tokens(&question.tokens[cache.len()..], &mut cache, stop);
        let finish = loop {
            let Some(known) = &mut logits else {
                self.keep(cache);
                return;
            };
            if let Some(finish) = writer.ends(question.most - usage.output_tokens) {
                break finish;
            }
            writer.hold(known);
            let Some(token) = sampler.choose(known) else {
                break writer.close();
            };
            if self.vocabulary.ends(token) {
                break Finish::Stop;
            }
            usage.output_tokens += 1;
            if writer.write(token) {
                break Finish::Stop;
            }
            if usage.output_tokens == question.most && writer.grammar.is_none() {
                break Finish::Length;
            }
            logits = self.llama.read_tokens(&[token], &mut cache, stop);
        };
        self.keep(cache);
        let rest = writer.said.finish();
        writer.say(rest);
        writer.send(ChatEvent::End(ChatEnd { model: CHAT.full_name(), finish, usage, opaque: None }));
    }

    fn sorted(&self) -> &Sorted {
        self.sorted.get_or_init(|| Sorted::new(&self.vocabulary))
    }
}

/// Writes an answer.
struct Writer<'a> {
    chat: &'a Chat,
    grammar: Option<Grammar>,
    said: Answer,
    events: &'a Events,
}

impl Writer<'_> {
    /// Leaves only tokens that may come next.
    fn hold(&self, logits: &mut [f32]) {
        let vocabulary = &self.chat.vocabulary;
        let Some(grammar) = &self.grammar else {
            for mark in vocabulary.marks().iter().filter(|mark| !vocabulary.ends(**mark)) {
                logits[*mark as usize] = f32::NEG_INFINITY;
            }
            return;
        };
        let mut allowed = vec![false; logits.len()];
        grammar.tokens(self.chat.sorted(), |token| allowed[token as usize] = true);
        allowed[vocabulary.end as usize] = grammar.may_end();
        for (logit, allowed) in logits.iter_mut().zip(allowed) {
            if !allowed {
                *logit = f32::NEG_INFINITY;
            }
        }
    }

    /// Whether the answer ends before its next token: nothing can follow, or there is only room to close what was begun.
    fn ends(&mut self, left: u64) -> Option<Finish> {
        let grammar = self.grammar.as_ref()?;
        if grammar.is_over() {
            return Some(Finish::Stop);
        }
        // A token is at least a byte.
        (grammar.closing().len() as u64 >= left).then(|| self.close())
    }

    /// Closes what was begun, so that the answer has the form of its schema.
    fn close(&mut self) -> Finish {
        let rest = self.grammar.as_ref().map(Grammar::closing).unwrap_or_default();
        let text = self.said.push(&rest);
        self.say(text);
        Finish::Length
    }

    /// Whether the token ends the answer.
    fn write(&mut self, token: u32) -> bool {
        let bytes = self.chat.vocabulary.bytes(token);
        if let Some(grammar) = &mut self.grammar {
            grammar.push(bytes);
        }
        let text = self.said.push(bytes);
        self.say(text);
        self.said.stopped
    }

    fn say(&self, text: String) {
        if !text.is_empty() {
            self.send(ChatEvent::Text(text));
        }
    }

    fn send(&self, event: ChatEvent) {
        // Nobody listens any more: the next look at `stop` ends this.
        let _ = self.events.unbounded_send(Ok(event));
    }
}
