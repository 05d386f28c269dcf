//! How much is there in time over bad lines, and what it costs.

mod common;
mod simulation;

use simulation::line::{Loss, Weather};
use simulation::{Outcome, Story, percent, run};

const BURSTS: Weather = Weather { loss: Loss::Bursts, late_percent: 0, twice_percent: 0 };
const GILBERT: Weather = Weather { loss: Loss::Gilbert, ..BURSTS };
const RANDOM: Weather = Weather { loss: Loss::Random, ..BURSTS };
const MESSY: Weather = Weather { late_percent: 2, twice_percent: 1, ..BURSTS };
const CLEAN: Weather = Weather { loss: Loss::Nothing, late_percent: 2, twice_percent: 1 };
const SEEDS: u64 = 10;

/// All seeds of a story together; figures are printed (`--nocapture`).
fn all(name: &str, story: Story) -> Outcome {
    let mut sum = Outcome::default();
    for seed in 1..=SEEDS {
        let one = run(Story { seed, ..story });
        println!("  seed {seed}: video {:.3} % audio {:.3} %", percent(one.video), percent(one.audio));
        sum.add(&one);
    }
    println!(
        "{name}: video {:.3} % of {}, audio {:.3} % of {}; again: down {:.1} %, up {:.1} %; asked {:.1} %",
        percent(sum.video),
        sum.video.0,
        percent(sum.audio),
        sum.audio.0,
        percent(sum.down),
        percent(sum.up),
        percent((sum.up.0, sum.asked)),
    );
    sum
}

fn story(weather: Weather) -> Story {
    Story { seed: 0, seconds: 120, legs: [weather; 2], repair: true, talk: true, red: false }
}

/// The goals of the issue, and what they may cost.
fn assert_goals(name: &str, outcome: &Outcome) {
    assert!(percent(outcome.video) >= 99.9, "{name}: the picture");
    assert!(percent(outcome.audio) >= 99.5, "{name}: the voice");
    assert!(percent(outcome.down) <= 28.0, "{name}: again to the receiver");
    assert!(percent(outcome.up) <= 8.0, "{name}: again from the publisher");
    assert!(percent((outcome.up.0, outcome.asked)) <= 2.0, "{name}: questions");
}

#[test]
fn bursts_of_two_to_five_on_both_legs_are_repaired_in_time() {
    assert_goals("bursts", &all("bursts", story(BURSTS)));
}

#[test]
fn single_losses_on_both_legs_are_repaired_in_time() {
    assert_goals("random", &all("random", story(RANDOM)));
}

#[test]
fn bursts_with_packets_that_come_late_or_twice_are_repaired_in_time() {
    assert_goals("messy", &all("messy", story(MESSY)));
}

/// Bursts without end: some take a whole picture with the answer to the first question. This is the border.
#[test]
fn long_bursts_lose_hardly_more() {
    let outcome = all("gilbert", story(GILBERT));
    assert!(percent(outcome.video) >= 99.85 && percent(outcome.audio) >= 99.8);
}

/// A receiver or publisher that sends nothing else: a burst counted in packets takes its questions of seconds.
#[test]
fn who_only_listens_or_only_speaks_loses_a_little_more() {
    let outcome = all("no talk", Story { talk: false, ..story(BURSTS) });
    assert!(percent(outcome.video) >= 99.8 && percent(outcome.audio) >= 99.75);
}

#[test]
fn redundant_audio_loses_less_than_questions_alone() {
    let without = all("without RED", story(GILBERT));
    let with = all("with RED", Story { red: true, ..story(GILBERT) });
    assert!(with.audio.1 > without.audio.1);
}

#[test]
fn a_clean_line_pays_for_nothing() {
    let outcome = all("clean", story(CLEAN));
    assert_eq!((outcome.video.0, outcome.audio.0), (outcome.video.1, outcome.audio.1));
    // What is only late is asked for at once: it comes once more.
    assert!(percent(outcome.down) <= 5.0 && percent(outcome.up) <= 3.0);
    let silent = Weather { late_percent: 0, twice_percent: 0, ..CLEAN };
    let outcome = all("silent", story(silent));
    assert_eq!((outcome.down.1, outcome.up.1), (0, 0));
}

#[test]
fn without_repair_the_same_lines_lose_what_they_lose() {
    let outcome = all("no repair", Story { repair: false, ..story(BURSTS) });
    for share in [outcome.video, outcome.audio].map(percent) {
        assert!((88.0..92.0).contains(&share), "{share}");
    }
}
