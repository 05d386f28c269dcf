//! Writes the seeds into the corpora: `cargo run --example seeds` in this folder, after the seeds were changed.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, _) in luokkasilta_fuzz::TARGETS {
        let folder = corpora.join(target);
        fs::create_dir_all(&folder)?;
        // Only seeds are made here; what fuzzing found stays.
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("seed-")) {
                fs::remove_file(path)?;
            }
        }
    }
    for seed in luokkasilta_fuzz::seeds::all() {
        fs::write(corpora.join(seed.target).join(&seed.name), &seed.octets)?;
    }
    Ok(())
}
