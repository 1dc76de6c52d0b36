//! How fast a folder of documents is read, in this process and one after the other:
//! `cargo bench -p liteagent-documents --bench pages -- FOLDER`.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use liteagent_documents::{Limits, read};

#[derive(Default)]
struct Sum {
    files: u32,
    bytes: usize,
    text: usize,
    time: Duration,
    slowest: (Duration, PathBuf),
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    let Some(folder) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')) else {
        println!("give a folder of documents: cargo bench -p liteagent-documents --bench pages -- FOLDER");
        return;
    };
    let (mut folders, mut sums) = (vec![PathBuf::from(folder)], BTreeMap::<String, Sum>::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it can be listed").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
                continue;
            }
            let Ok(content) = fs::read(&path) else { continue };
            let begin = std::time::Instant::now();
            let read = read(&path.to_string_lossy(), &content, &Limits::default());
            let time = begin.elapsed();
            let sum = sums.entry(read.as_ref().map_or("refused".to_owned(), |read| read.format.clone())).or_default();
            sum.files += 1;
            sum.bytes += content.len();
            sum.text += read.map_or(0, |read| read.text.len());
            sum.time += time;
            sum.slowest = std::mem::take(&mut sum.slowest).max((time, path));
        }
    }
    for (format, sum) in sums {
        let seconds = sum.time.as_secs_f64();
        println!(
            "{format}: {} files, {:.2} MB, {:.2} MB of text in {seconds:.3} s: {:.0} files/s, {:.1} MB/s; slowest {:?} {}",
            sum.files,
            sum.bytes as f64 / 1e6,
            sum.text as f64 / 1e6,
            f64::from(sum.files) / seconds,
            sum.bytes as f64 / 1e6 / seconds,
            sum.slowest.0,
            sum.slowest.1.display()
        );
    }
}
