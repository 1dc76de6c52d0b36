//! Searches in an embedded knowledge base of 100,000 chunks with vectors of 384 numbers.
//!
//! Texts have about 90 words of a vocabulary in which, as in English, the word of rank n is n times as rare as the first:
//! function words of English, then 30,000 made-up ones. Questions are made of both, as people ask.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures time, and may be asked for other sizes")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use liteagent_engine::{
    capability::knowledge::{Chunk, Filter, Knowledge, NewBase, Search, SearchMode, WriteDocument},
    value::{Object, Value},
};
use liteagent_knowledge::{KnowledgeBases, Options};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

const DIMENSIONS: usize = 384;
const CHUNKS_PER_DOCUMENT: usize = 10;
const DEPARTMENTS: usize = 10;
const WORDS: usize = 90;
const QUESTIONS: usize = 100;
const ROUNDS: usize = 5;
const TOP_K: usize = 10;
const BASE: &str = "bench";
const MODEL: &str = "bench/embed";

/// The most frequent words of English, in order.
const FUNCTION_WORDS: &str = "the of and to a in is that it was for on are as with his they at be this from I have or by one \
    had not but what all were when we there can an your which their said if do will each about how up out them then she many \
    some so these would other into has more her two like him see time could no make than first been its who now people my made \
    over did down only way find use may water long little very after words called just where most know";

/// Words by rank, and how often each one comes.
struct Language {
    words: Vec<String>,
    sums: Vec<f64>,
}

impl Language {
    fn new(random: &mut StdRng) -> Self {
        let mut words: Vec<String> = FUNCTION_WORDS.split_whitespace().map(str::to_owned).collect();
        let mut known: BTreeSet<String> = words.iter().cloned().collect();
        let syllables =
            ["ba", "con", "der", "fi", "gra", "lo", "mer", "nu", "pol", "ra", "sti", "tor", "ven", "xi", "zo"];
        while words.len() < 30_000 {
            let length = random.random_range(2..5);
            let word: String = (0..length).map(|_| syllables[random.random_range(0..syllables.len())]).collect();
            if known.insert(word.clone()) {
                words.push(word);
            }
        }
        let mut sum = 0.0;
        let sums = (1..=words.len()).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        let sums = sums.collect();
        Self { words, sums }
    }

    fn word(&self, random: &mut StdRng) -> &str {
        let at = random.random::<f64>() * self.sums.last().unwrap();
        &self.words[self.sums.partition_point(|sum| *sum < at).min(self.words.len() - 1)]
    }

    fn text(&self, random: &mut StdRng) -> String {
        let words: Vec<&str> = (0..WORDS + random.random_range(0..21) - 10).map(|_| self.word(random)).collect();
        words.join(" ")
    }

    /// A word that tells something, as often as texts have it.
    fn telling(&self, random: &mut StdRng) -> &str {
        loop {
            let word = self.word(random);
            if !self.words[..100].iter().any(|common| common == word) {
                return word;
            }
        }
    }

    fn question(&self, random: &mut StdRng) -> String {
        let mut next = || self.telling(random).to_owned();
        format!("How do I {} the {} of a {} when {} is not {}?", next(), next(), next(), next(), next())
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    for x in &mut vector {
        *x /= length;
    }
    vector
}

/// Vectors lie around a thousand centres, as those of texts do.
struct Space(Vec<Vec<f32>>);

impl Space {
    fn new(random: &mut StdRng) -> Self {
        let around = |_| (0..DIMENSIONS).map(|_| random.random_range(-1.0..1.0)).collect();
        Self((0..1_000).map(around).collect())
    }

    fn vector(&self, random: &mut StdRng) -> Vec<f32> {
        let centre = &self.0[random.random_range(0..self.0.len())];
        unit(centre.iter().map(|x| x + random.random_range(-1.0..1.0)).collect())
    }
}

fn main() {
    let chunks: usize = std::env::var("CHUNKS").map_or(100_000, |count| count.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut random = StdRng::seed_from_u64(7);
    let (language, space) = (Language::new(&mut random), Space::new(&mut random));
    let folder = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let bases = KnowledgeBases::open(folder.path(), Options::default()).await.unwrap();
        let base =
            NewBase { name: BASE.into(), model: MODEL.into(), dimensions: DIMENSIONS as u32, language: "en".into() };
        bases.create(base).await.unwrap();
        let vectors = fill(&bases, &language, &space, &mut random, chunks / CHUNKS_PER_DOCUMENT).await;
        drop(bases);
        let size = std::fs::metadata(folder.path().join(liteagent_knowledge::FILE)).unwrap().len();
        println!("file                             {:>8.0} MiB", size as f64 / f64::from(1 << 20));

        let bases = KnowledgeBases::open(folder.path(), Options::default()).await.unwrap();
        let questions: Vec<Search> = (0..QUESTIONS).map(|_| ask(&language, &space, &mut random)).collect();
        let (before, begun) = (resident(), Instant::now());
        bases.search(BASE, &questions[0]).await.unwrap();
        println!("first search, from a cold cache  {:>8.0} ms", begun.elapsed().as_secs_f64() * 1e3);
        println!("memory of the collection         {:>8.0} MiB", (resident() - before) / f64::from(1 << 20));

        let filter = Value::from_pairs([("department", Value::from("d3"))]);
        let begun = Instant::now();
        let filtered = Search { filter: Some(Filter::read(&filter).unwrap()), ..questions[0].clone() };
        bases.search(BASE, &Search { mode: SearchMode::Vector, ..filtered.clone() }).await.unwrap();
        println!("first search with a filter       {:>8.1} ms", begun.elapsed().as_secs_f64() * 1e3);
        for (name, mode, filter) in [
            ("vector, filter keeps a tenth", SearchMode::Vector, filtered.filter),
            ("vector", SearchMode::Vector, None),
            ("hybrid", SearchMode::Hybrid, None),
            ("keyword", SearchMode::Keyword, None),
        ] {
            let ask = |question: &Search| Search { mode, filter: filter.clone(), ..question.clone() };
            measure(&bases, name, &questions.iter().map(ask).collect::<Vec<_>>()).await;
        }
        println!("recall of vector searches        {:>8.3}", recall(&bases, &questions, &vectors).await);
    });
}

async fn fill(
    bases: &KnowledgeBases,
    language: &Language,
    space: &Space,
    random: &mut StdRng,
    documents: usize,
) -> Vec<Vec<f32>> {
    let (mut all, mut spent) = (Vec::new(), Duration::ZERO);
    let mut waiting = Vec::new();
    for number in 0..documents {
        let chunk = |_| Chunk { text: language.text(random), tokens: 120, ..Chunk::default() };
        let chunks: Vec<Chunk> = (0..CHUNKS_PER_DOCUMENT).map(chunk).collect();
        let vectors: Vec<Vec<f32>> = (0..CHUNKS_PER_DOCUMENT).map(|_| space.vector(random)).collect();
        all.extend(vectors.iter().cloned());
        let metadata: Object = [
            ("department".into(), Value::from(format!("d{}", number % DEPARTMENTS))),
            ("year".into(), Value::from((2000 + number % 25) as u64)),
        ]
        .into_iter()
        .collect();
        let (id, hash) = (format!("{number:06}"), number.to_string());
        let title = id.clone();
        waiting.push(WriteDocument { id, title, url: None, hash, metadata, model: MODEL.into(), chunks, vectors });
        if waiting.len() == 64 || number + 1 == documents {
            let begun = Instant::now();
            let writes: Vec<_> = waiting
                .drain(..)
                .map(|document| {
                    let bases = bases.clone();
                    tokio::spawn(async move { bases.write(BASE, document).await.unwrap() })
                })
                .collect();
            for write in writes {
                write.await.unwrap();
            }
            spent += begun.elapsed();
        }
    }
    println!("chunks written, 64 documents at once {:>4.0} /s", all.len() as f64 / spent.as_secs_f64());
    all
}

fn ask(language: &Language, space: &Space, random: &mut StdRng) -> Search {
    Search {
        mode: SearchMode::Hybrid,
        text: language.question(random),
        vector: Some((MODEL.to_owned(), space.vector(random))),
        top_k: TOP_K,
        score_threshold: None,
        weights: (1.0, 1.0),
        filter: None,
    }
}

async fn measure(bases: &KnowledgeBases, name: &str, questions: &[Search]) {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        for question in questions {
            let begun = Instant::now();
            assert!(!bases.search(BASE, question).await.unwrap().is_empty());
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("{name:<32} {:>8.2} ms p50 {:>8.2} ms p95", at(0.5), at(0.95));
}

/// The share of the nearest that is found.
async fn recall(bases: &KnowledgeBases, questions: &[Search], vectors: &[Vec<f32>]) -> f64 {
    let mut found = 0;
    for question in questions {
        let (_, vector) = question.vector.as_ref().unwrap();
        let product =
            |other: &Vec<f32>| vector.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let mut nearest: Vec<(f64, usize)> = vectors.iter().map(product).zip(0..).collect();
        nearest.sort_by(|a, b| b.0.total_cmp(&a.0));
        let nearest: BTreeSet<usize> = nearest[..TOP_K].iter().map(|(_, index)| *index).collect();
        let hits = bases.search(BASE, &Search { mode: SearchMode::Vector, ..question.clone() }).await.unwrap();
        let index = |document: &str| document.parse::<usize>().unwrap() * CHUNKS_PER_DOCUMENT;
        found += hits.iter().filter(|hit| nearest.contains(&(index(&hit.document) + hit.position as usize))).count();
    }
    found as f64 / (questions.len() * TOP_K) as f64
}

/// Bytes that this process has in memory.
fn resident() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}
