//! Makes the sources of the Python guest part of the program, with a digest of them and of what builds the guest.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut digest = Sha256::new();
    let mut table = String::new();
    for folder in ["python", "src"] {
        println!("cargo::rerun-if-changed={folder}");
        for path in files(&root.join(folder))? {
            let name = path.strip_prefix(root.join(folder)).expect("it was found there").display().to_string();
            let content = fs::read(&path)?;
            for part in [name.as_bytes(), &content] {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part);
            }
            if folder == "python" {
                table += &format!("({name:?}, include_str!({:?})),\n", path.display().to_string());
            }
        }
    }
    println!("cargo::rustc-env=GUEST_SOURCES={:x}", digest.finalize());
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("python.rs"), format!("&[{table}]"))
}

/// The sources below a folder, in a fixed order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort_unstable();
    let mut found = Vec::new();
    for path in entries {
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|ending| ["py", "rs", "txt", "wit"].iter().any(|known| *known == ending))
        {
            found.push(path);
        }
    }
    Ok(found)
}
