//! Replays the corpora of the fuzz targets (fuzz/corpus) through the same functions that fuzzing runs.

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the fuzz crate, of which a test uses a part")]
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// The files of one corpus by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = corpora().join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| {
            let path = entry.expect("a directory entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect()
}

#[test]
fn every_input_of_every_corpus_passes() {
    let mut failed = Vec::new();
    for (target, run) in targets::TARGETS {
        let corpus = corpus(target);
        assert!(corpus.len() >= 10, "{target} has a corpus of {} files", corpus.len());
        for (name, octets) in corpus {
            assert!(octets.len() <= 16_384, "{target}/{name} is too large for a repository");
            if catch_unwind(AssertUnwindSafe(|| run(&octets))).is_err() {
                failed.push(format!("{target}/{name}"));
            }
        }
    }
    assert!(failed.is_empty(), "these inputs fail (what they say stands above): {failed:?}");
}

#[test]
fn the_seeds_are_what_the_program_makes() {
    let mut expected: BTreeMap<&str, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for seed in targets::seeds::all() {
        let before = expected.entry(seed.target).or_default().insert(seed.name.clone(), seed.octets);
        assert!(before.is_none(), "two seeds {} of {}", seed.name, seed.target);
    }
    for (target, _) in targets::TARGETS {
        let mut found = corpus(target);
        found.retain(|name, _| name.starts_with("seed-"));
        let expected = expected.remove(target).unwrap_or_default();
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>(),
            "seeds of {target}: run the example `seeds` of the fuzz crate"
        );
        for (name, octets) in expected {
            assert_eq!(found.get(&name), Some(&octets), "{target}/{name} is not what the program makes");
        }
    }
    assert!(expected.is_empty(), "seeds for no target: {:?}", expected.keys());
}

/// A seed that has gone stale (another payload type, another id) passes and tests nothing.
#[test]
fn the_lessons_of_the_seeds_reach_what_they_are_for() {
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    for (_, octets) in corpus("engine").into_iter().filter(|(name, _)| name.starts_with("seed-")) {
        count(&targets::lesson(&octets), &mut reached);
    }
    for counter in [
        "forwarded",
        "switches",
        "resent",
        "nacked",
        "asked_again",
        "repaired",
        "given_up",
        "key_frames_wanted",
        "key_frame_requests",
        "remb",
        "replayed",
        "unauthenticated",
        "unexpected",
        "unmatched",
        "malformed",
        "checks_refused",
        "recorded",
    ] {
        let count = reached.get(counter).unwrap_or_else(|| panic!("no counter {counter}: {reached:?}"));
        assert!(*count > 0, "{counter}: {reached:?}");
    }
}

/// Adds up numbers of the same name, wherever they stand.
fn count(stats: &serde_json::Value, sums: &mut BTreeMap<String, u64>) {
    match stats {
        serde_json::Value::Array(items) => items.iter().for_each(|item| count(item, sums)),
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_u64() {
                    Some(number) => *sums.entry(name.clone()).or_default() += number,
                    None => count(value, sums),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn each_corpus_folder_has_its_target() {
    for entry in fs::read_dir(corpora()).expect("the corpora") {
        let name = entry.expect("a directory entry").file_name().to_string_lossy().into_owned();
        assert!(targets::TARGETS.iter().any(|(target, _)| *target == name), "a corpus for no target: {name}");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text =
            fs::read_to_string(&program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        assert!(text.contains(&format!("luokkasilta_fuzz::{name}(data)")), "{name} runs another target");
    }
}
