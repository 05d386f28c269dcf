//! Puts a hash of all Rust sources into the extension, so that Python can refuse a stale one, and the profile that it is
//! built with, so that a benchmark can refuse one that is not optimised.

use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

fn collect(dir: &Path, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn main() {
    let mut files = vec![PathBuf::from("Cargo.toml"), PathBuf::from("engine/Cargo.toml")];
    collect(Path::new("src"), &mut files);
    collect(Path::new("engine/src"), &mut files);
    files.sort_by_key(|path| path.to_string_lossy().into_owned());
    let mut hash = Sha256::new();
    for file in &files {
        hash.update(file.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
        hash.update([0]);
    }
    println!("cargo::rerun-if-changed=Cargo.toml");
    println!("cargo::rerun-if-changed=src");
    println!("cargo::rerun-if-changed=engine/Cargo.toml");
    println!("cargo::rerun-if-changed=engine/src");
    println!(
        "cargo::rustc-env=SOURCE_HASH={}",
        hash.finalize().iter().map(|octet| format!("{octet:02x}")).collect::<String>()
    );
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    println!("cargo::rustc-env=BUILD_PROFILE={}, opt-level {}", told("PROFILE"), told("OPT_LEVEL"));
}
