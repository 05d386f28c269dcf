//! What a browser does about loss, as far as the simulation needs it; written after what Chromium was seen to do, and
//! without a line of the engine's own repair, so that the two are not wrong together.

use std::collections::{BTreeMap, HashMap};

/// How often a receiver looks at what it misses.
const LOOKS_US: i64 = 20_000;
/// Times that it asks for one packet.
const MOST_ASKED: u8 = 10;

/// Asks for what is missing: at once at a gap, then again each round trip, looking every 20 ms.
#[derive(Default)]
pub struct Asking {
    highest: Option<u64>,
    /// Missing: when it was asked for last, and how often.
    missing: BTreeMap<u64, (i64, u8)>,
    looked_at: i64,
}

impl Asking {
    /// A packet came by itself (`recovered` false) or as RTX. A packet that was recovered never shows a gap: Chromium
    /// leaves that to the next one that comes by itself. Gives what to ask for now.
    pub fn on_packet(&mut self, sequence: u16, recovered: bool, now: i64) -> Vec<u16> {
        let Some(highest) = self.highest else {
            self.highest = Some(u64::from(sequence) + 65_536);
            return Vec::new();
        };
        let ahead = sequence.wrapping_sub(highest as u16) as i16;
        let index = highest.checked_add_signed(i64::from(ahead)).expect("far from zero");
        if ahead <= 0 || recovered {
            self.missing.remove(&index);
            return Vec::new();
        }
        let gap: Vec<u64> = (highest + 1..index).collect();
        self.highest = Some(index);
        self.missing.extend(gap.iter().map(|&index| (index, (now, 1))));
        gap.into_iter().map(|index| index as u16).collect()
    }

    /// What to ask for again.
    pub fn again(&mut self, now: i64, round_trip_us: i64) -> Vec<u16> {
        if now < self.looked_at + LOOKS_US {
            return Vec::new();
        }
        self.looked_at = now;
        self.missing.retain(|_, (_, asked)| *asked < MOST_ASKED);
        let due = self.missing.iter_mut().filter(|(_, (at, _))| now - *at >= round_trip_us);
        due.map(|(&index, (at, asked))| {
            (*at, *asked) = (now, *asked + 1);
            index as u16
        })
        .collect()
    }
}

/// Answers what is asked for: never the same packet twice within a round trip.
#[derive(Default)]
pub struct Answering {
    answered: HashMap<(u32, u16), i64>,
}

impl Answering {
    pub fn may(&mut self, ssrc: u32, sequence: u16, now: i64, round_trip_us: i64) -> bool {
        let before = self.answered.get(&(ssrc, sequence));
        let may = before.is_none_or(|before| now - before >= round_trip_us);
        if may {
            self.answered.insert((ssrc, sequence), now);
        }
        may
    }
}
