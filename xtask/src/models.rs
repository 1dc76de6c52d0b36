//! `models`: the weights of the local models, in the cache.

use indicatif::{ProgressBar, ProgressStyle};
use liteagent_local_models::weights::{self, Progress, Step};

/// Fetches what is missing. On a terminal a bar shows how far a download is; else each step has a line.
pub(crate) fn pull() -> Result<String, String> {
    let folder = weights::folder();
    let mut bar: Option<ProgressBar> = None;
    let show = |Progress { model, step }: Progress| match step {
        Step::Kept => {}
        Step::Download { done, total } => {
            let bar = bar.get_or_insert_with(|| {
                crate::print(&format!("fetching {}: {} MB, once", model.full_name(), total / 1_000_000));
                ProgressBar::new(total).with_style(style())
            });
            bar.set_position(done);
        }
        Step::Unpack => {
            if let Some(bar) = bar.take() {
                bar.finish_and_clear();
            }
        }
        Step::Ready => crate::print(&format!("{} is there, and its content is right", model.full_name())),
    };
    weights::pull(&folder, show).map_err(|error| {
        let hint = error.hint.as_deref().unwrap_or_default();
        format!("models: {}: {error}\n  hint: {hint}", error.code)
    })?;
    Ok(format!("models: ready in {}", folder.display()))
}

fn style() -> ProgressStyle {
    let style = "  {bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    ProgressStyle::with_template(style).expect("the style of the bar is well formed")
}
