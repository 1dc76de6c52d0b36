//! The live tree: a spinner per running node, a bar per container, finished nodes above them.

use std::{collections::HashMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use liteagent_engine::event::{Event, Over, Record};

/// So many nodes are shown while they run; more would not fit on a screen.
const MOST: usize = 12;

/// What moves on the terminal.
pub(crate) struct Live {
    all: MultiProgress,
    bars: HashMap<String, ProgressBar>,
    /// What is shown when a question has been answered; `None` while nobody is asked.
    held: Option<Vec<String>>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { all: MultiProgress::new(), bars: HashMap::new(), held: None }
    }

    /// Draws nothing from here on.
    pub(crate) fn pause(&mut self) {
        // The terminal is gone: nobody reads it.
        let _ = self.all.clear();
        self.all.set_draw_target(ProgressDrawTarget::hidden());
        self.held.get_or_insert_default();
    }

    /// Draws again, and shows what happened meanwhile.
    pub(crate) fn go_on(&mut self) {
        let Some(lines) = self.held.take() else { return };
        self.all.set_draw_target(ProgressDrawTarget::stderr());
        for line in lines {
            let _ = self.all.println(line);
        }
    }

    /// Shows a record; `line` is what stays of it.
    pub(crate) fn show(&mut self, record: &Record<String>, line: Option<String>) {
        match &record.event {
            Event::NodeStarted { node, .. } | Event::ContainerOpened { node, over: Over::Once {}, .. } => {
                self.open(node, spinner(node));
            }
            Event::ContainerOpened {
                node, over: Over::Items { items, .. } | Over::Calls { calls: items, .. }, ..
            } => {
                let count = items.value().as_list().map_or(0, <[_]>::len);
                self.open(node, bar(node, count as u64));
            }
            Event::ContainerOpened { node, over: Over::Rounds { .. }, .. } => self.open(node, rounds(node)),
            Event::FrameFinished { node, .. } => {
                if let Some(bar) = self.bars.get(node) {
                    bar.inc(1);
                }
            }
            Event::NodeSucceeded { node, .. }
            | Event::NodeFailed { node, .. }
            | Event::NodeWaiting { node, .. }
            | Event::NodeCancelled { node, .. }
            | Event::NodeLost { node, .. } => self.close(node),
            _ => {}
        }
        if let Some(line) = line {
            self.say(line);
        }
    }

    /// Shows a line above what moves; while somebody is asked, once the question has been answered.
    pub(crate) fn say(&mut self, line: String) {
        match &mut self.held {
            Some(held) => held.push(line),
            // Otherwise the terminal is gone: nobody reads it.
            None => drop(self.all.println(line)),
        }
    }

    /// Takes everything off the terminal.
    pub(crate) fn clear(&mut self) {
        self.go_on();
        self.bars.clear();
        let _ = self.all.clear();
    }

    fn open(&mut self, node: &str, bar: ProgressBar) {
        if self.bars.len() < MOST {
            let bar = self.all.add(bar);
            bar.enable_steady_tick(Duration::from_millis(120));
            self.bars.insert(node.to_owned(), bar);
        }
    }

    fn close(&mut self, node: &str) {
        if let Some(bar) = self.bars.remove(node) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }
}

fn indent(node: &str) -> String {
    "  ".repeat(node.matches('.').count() + 1)
}

fn spinner(node: &str) -> ProgressBar {
    styled(ProgressBar::new_spinner(), &format!("{}{{spinner}} {{msg:<24}} {{elapsed}}", indent(node)), node)
}

fn bar(node: &str, count: u64) -> ProgressBar {
    styled(
        ProgressBar::new(count),
        &format!(
            "{}{{spinner}} {{msg:<24}} {{bar:20}} {{pos}}/{{len}} {{elapsed}}, {{per_sec}}, {{eta}} left",
            indent(node)
        ),
        node,
    )
}

fn rounds(node: &str) -> ProgressBar {
    styled(
        ProgressBar::new_spinner(),
        &format!("{}{{spinner}} {{msg:<24}} {{pos}} rounds {{elapsed}}", indent(node)),
        node,
    )
}

fn styled(bar: ProgressBar, template: &str, node: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates above are well-formed");
    bar.with_style(style).with_message(node.to_owned())
}
