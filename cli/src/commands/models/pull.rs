//! `models pull`: fetches the weights of the local models.

use indicatif::{ProgressBar, ProgressStyle};
use liteagent_local_models::weights::{self, Progress, Step};

use super::told;
use crate::{
    failure::{Exit, Failure},
    shell::Shell,
};

/// Fetches what is missing or broken. On a terminal a bar shows how far a download is; else each step has a line.
pub(super) fn pull(shell: &Shell) -> Result<Exit, Failure> {
    let folder = weights::folder();
    let mut bar: Option<ProgressBar> = None;
    let show = |Progress { model, step }: Progress| match step {
        Step::Kept => shell.note(format!("{} was there already, and its content is right", model.full_name())),
        Step::Download { done, total } => {
            let bar = bar.get_or_insert_with(|| {
                shell.note(format!("fetching {}: {} MB, once", model.full_name(), total / 1_000_000));
                ProgressBar::new(total).with_style(style())
            });
            bar.set_position(done);
        }
        Step::Unpack => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        }
        Step::Ready => shell.note(format!("{} is there, and its content is right", model.full_name())),
    };
    weights::pull(&folder, show).map_err(|error| Failure { exit: Exit::Platform, ..told(error) })?;
    shell.out(format!("the weights are in {}", folder.display()))?;
    Ok(Exit::Done)
}

fn style() -> ProgressStyle {
    let style = "  {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    ProgressStyle::with_template(style).expect("the style of the bar is well formed")
}
