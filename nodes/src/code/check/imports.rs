//! What is said of imports of modules that are not there.

use std::ops::Range;

use liteagent_engine::{
    capability::{Import, Modules},
    codes, suggest,
};

use super::Found;

/// Packages that many expect, besides those that the guest names: they hold machine code, or need some that does.
const NATIVE: &[&str] = &[
    "Crypto",
    "Levenshtein",
    "MySQLdb",
    "asyncpg",
    "bcrypt",
    "catboost",
    "duckdb",
    "faiss",
    "fiona",
    "geopandas",
    "google.protobuf",
    "grpc",
    "h5py",
    "jax",
    "keras",
    "lightgbm",
    "llvmlite",
    "lz4",
    "nacl",
    "numba",
    "onnxruntime",
    "psutil",
    "psycopg",
    "pyodbc",
    "rapidfuzz",
    "rasterio",
    "safetensors",
    "seaborn",
    "sentence_transformers",
    "shapely",
    "skimage",
    "spacy",
    "statsmodels",
    "tiktoken",
    "tokenizers",
    "torchvision",
    "transformers",
    "ujson",
    "uvloop",
    "xgboost",
    "zmq",
    "zstandard",
];

/// Packages that many expect, besides those that the guest names: they are for the network.
const NETWORK: &[&str] = &[
    "botocore",
    "bs4_requests",
    "cohere",
    "fastapi",
    "flask",
    "google.cloud",
    "googleapiclient",
    "gql",
    "groq",
    "kafka",
    "mistralai",
    "ollama",
    "paramiko",
    "pika",
    "playwright",
    "pymongo",
    "pymysql",
    "scrapy",
    "selenium",
    "slack_sdk",
    "stripe",
    "telegram",
    "twilio",
    "websocket",
    "websockets",
];

/// Packages by the name that installs them, with the name that imports them.
const NAMES: [(&str, &str); 5] = [
    ("beautifulsoup4", "bs4"),
    ("pyyaml", "yaml"),
    ("python_dateutil", "dateutil"),
    ("BeautifulSoup", "bs4"),
    ("ruamel", "yaml"),
];

/// A finding about an import of Python, unless the module is there.
pub(super) fn python(modules: &Modules, name: &str, range: Range<usize>) -> Option<Found> {
    let found = |message: String, label: &str, hint: String| {
        Some(Found::error(codes::CODE_IMPORT, range.clone(), message).label(label).hint(hint))
    };
    let top = name.split('.').next().unwrap_or(name);
    let among = |list: &[&str]| list.iter().any(|known| *known == top || name == *known);
    match modules.import(name) {
        Some(Import::There) => None,
        Some(Import::Machine) => found(
            format!("`{top}` is part of Python, but needs a machine, which the sandbox does not have"),
            "not in the sandbox",
            "do without it, or do that part in a node of another type".to_owned(),
        ),
        Some(Import::Native) => native(top, found),
        None if among(NATIVE) => native(top, found),
        Some(Import::Network) => network(top, found),
        None if among(NETWORK) => network(top, found),
        None => {
            let near = NAMES.iter().find(|(package, _)| *package == top).map(|(_, import)| *import);
            let hint = match near.or_else(|| nearest(modules, name)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`liteagent explain LA1135` lists what there is; `[sandbox] packages` in `liteagent.toml` adds packages"
                    .to_owned(),
            };
            found(format!("there is no module `{name}` in the sandbox"), "not there", hint)
        }
    }
}

fn native<T>(top: &str, found: impl Fn(String, &str, String) -> T) -> T {
    found(
        format!("`{top}` cannot be imported: it holds machine code (a C extension), which the sandbox does not run"),
        "a C extension",
        format!(
            "use plain Python (`statistics`, `math`, `csv`, `decimal`), or call a service that has `{top}` with an `http-request` node"
        ),
    )
}

fn network<T>(top: &str, found: impl Fn(String, &str, String) -> T) -> T {
    found(
        format!("`{top}` cannot be imported: it needs the network, which the sandbox does not have"),
        "needs the network",
        "fetch with an `http-request` node and pass what it gives in `inputs`".to_owned(),
    )
}

/// The nearest module: of the whole list for the first name, of the package for the others.
fn nearest<'m>(modules: &'m Modules, name: &str) -> Option<&'m str> {
    let parts = name.split('.').count();
    let package = name.rsplit_once('.').map(|(package, _)| package).filter(|package| modules.import(package).is_some());
    let is_near = |known: &&str| match package {
        Some(package) => known.rsplit_once('.').is_some_and(|(around, _)| around == package),
        None => known.split('.').count() == parts && !known.starts_with('_'),
    };
    suggest::nearest(name, modules.names().filter(is_near))
}

/// A finding about an import of JavaScript: there are no modules.
pub(super) fn javascript(name: &str, range: Range<usize>) -> Found {
    let name = name.strip_prefix("node:").unwrap_or(name);
    let hint = match name {
        "buffer" => "`Buffer` is there without an import, for texts and bytes",
        "crypto" | "uuid" | "nanoid" => {
            "`crypto.randomUUID()` and `crypto.getRandomValues()` are there without an import"
        }
        "url" | "querystring" => "`URL` and `URLSearchParams` are there without an import",
        "util" => "`TextEncoder`, `TextDecoder` and `structuredClone` are there without an import",
        "timers" | "timers/promises" => "`setTimeout` and its kin are there without an import",
        "fs" | "fs/promises" | "path" | "os" => {
            "pass the content in `inputs`; `file-read` and `file-write` nodes work with files"
        }
        "http" | "https" | "axios" | "node-fetch" | "got" | "undici" | "ky" => {
            "fetch with an `http-request` node and pass what it gives in `inputs`"
        }
        _ => "write what you need of it into the code, or use Python, which has a library",
    };
    let message = format!("JavaScript in the sandbox has no modules, so `{name}` cannot be imported");
    Found::error(codes::CODE_IMPORT, range, message).label("not there").hint(hint)
}
