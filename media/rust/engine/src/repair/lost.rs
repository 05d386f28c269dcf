//! What is missing of one stream that a peer sends us, and when to ask for it (RFC 4585 section 6.2.1).
//!
//! A gap is asked for at once: order is kept on almost all networks, and a packet that comes twice does no harm.
//! Then again each round trip, until it comes, ten times were not enough, or a second has passed.

use super::WORTH_US;
use crate::time::Micros;
use std::collections::VecDeque;

/// Packets waited for at once. A gap that is larger is no loss but an outage: nothing of it is asked for.
pub const MAX_MISSING: usize = 256;
/// Times that one packet is asked for.
const MAX_ASKED: u8 = 10;
/// Added to the round trip before asking again: the other side needs a moment too.
const MARGIN_US: i64 = 10_000;

#[derive(Clone, Copy, Debug)]
struct Entry {
    index: u64,
    noticed: Micros,
    asked_at: Micros,
    asked: u8,
}

/// What a packet's coming says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// There is something to ask for now.
    pub ask: bool,
    /// Packets that can't be waited for.
    pub hopeless: u64,
    /// It had been asked for once, that long ago: a measure of the round trip.
    pub round_trip_us: Option<i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Missing {
    /// In rising order of their numbers.
    entries: VecDeque<Entry>,
    highest: Option<u64>,
    /// Packets asked for, each time counted.
    pub asked: u64,
    /// Packets that came after they had been asked for.
    pub repaired: u64,
    /// Packets that were not waited for any longer.
    pub given_up: u64,
}

impl Missing {
    /// The packet with this extended number came, by itself or as a retransmission.
    pub fn on_packet(&mut self, index: u64, now: Micros) -> Noticed {
        let mut noticed = Noticed::default();
        match self.highest {
            Some(highest) if index > highest => {
                let gap = index - highest - 1;
                if gap > MAX_MISSING as u64 {
                    noticed.hopeless = gap + self.entries.len() as u64;
                    self.entries.clear();
                } else {
                    noticed.ask = gap > 0;
                    for index in highest + 1..index {
                        if self.entries.len() == MAX_MISSING {
                            self.entries.pop_front();
                            noticed.hopeless += 1;
                        }
                        self.entries.push_back(Entry { index, noticed: now, asked_at: now, asked: 0 });
                    }
                }
                self.highest = Some(index);
            }
            Some(_) => noticed.round_trip_us = self.found(index, now),
            None => self.highest = Some(index),
        }
        self.given_up += noticed.hopeless;
        noticed
    }

    fn found(&mut self, index: u64, now: Micros) -> Option<i64> {
        let at = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        let entry = self.entries.remove(at)?;
        if entry.asked > 0 {
            self.repaired += 1;
        }
        (entry.asked == 1).then(|| now.since(entry.asked_at))
    }

    /// True while something is waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Append the sequence numbers to ask for now, in rising order, to `ask`; they count as asked. Gives how many
    /// were given up.
    pub fn due(&mut self, now: Micros, round_trip_us: i64, ask: &mut Vec<u16>) -> u64 {
        let before = self.entries.len();
        self.entries.retain(|entry| {
            now.since(entry.noticed) < WORTH_US
                && (entry.asked < MAX_ASKED || now.since(entry.asked_at) < round_trip_us + MARGIN_US)
        });
        let given_up = (before - self.entries.len()) as u64;
        self.given_up += given_up;
        for entry in &mut self.entries {
            if entry.asked == 0 || now.since(entry.asked_at) >= round_trip_us + MARGIN_US {
                if entry.asked == MAX_ASKED {
                    continue;
                }
                entry.asked += 1;
                entry.asked_at = now;
                self.asked += 1;
                ask.push(entry.index as u16);
            }
        }
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000;

    fn due(missing: &mut Missing, now: i64) -> Vec<u16> {
        let mut ask = Vec::new();
        missing.due(Micros(now), 50 * MS, &mut ask);
        ask
    }

    #[test]
    fn a_gap_is_asked_for_at_once_and_again_each_round_trip() {
        let mut missing = Missing::default();
        assert_eq!(missing.on_packet(65_534, Micros(0)), Noticed::default());
        assert!(missing.on_packet(65_538, Micros(0)).ask);
        assert_eq!(due(&mut missing, 0), [65_535, 0, 1], "over the wrap");
        assert!(due(&mut missing, 59 * MS).is_empty());
        assert_eq!(missing.on_packet(65_536, Micros(40 * MS)).round_trip_us, Some(40 * MS));
        assert_eq!(due(&mut missing, 60 * MS), [65_535, 1]);
        assert_eq!(missing.on_packet(65_535, Micros(90 * MS)).round_trip_us, None, "which question was it?");
        missing.on_packet(65_537, Micros(90 * MS));
        assert!(!missing.is_waiting());
        assert_eq!((missing.asked, missing.repaired, missing.given_up), (5, 3, 0));
    }

    #[test]
    fn a_packet_is_given_up_after_a_second_or_ten_questions() {
        let mut missing = Missing::default();
        missing.on_packet(1, Micros(0));
        missing.on_packet(3, Micros(0));
        let mut questions = 0;
        for ms in (0..2_000).step_by(10) {
            questions += due(&mut missing, ms * MS).len();
        }
        assert_eq!(questions, 10);
        assert!(!missing.is_waiting());
        assert_eq!(missing.given_up, 1);
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let mut missing = Missing::default();
        missing.on_packet(1, Micros(0));
        missing.on_packet(3, Micros(0));
        let noticed = missing.on_packet(3 + MAX_MISSING as u64 + 2, Micros(0));
        assert_eq!((noticed.ask, noticed.hopeless), (false, MAX_MISSING as u64 + 2));
        assert!(!missing.is_waiting());
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]
        #[test]
        fn bounded_and_never_asks_for_what_came(
            packets in prop::collection::vec((0_u64..400, 0_i64..50), 1..300),
        ) {
            let mut missing = Missing::default();
            let mut came = std::collections::HashSet::new();
            let mut now = 0;
            for (index, wait) in packets {
                now += wait * MS;
                missing.on_packet(1_000 + index, Micros(now));
                came.insert((1_000 + index) as u16);
                let ask = due(&mut missing, now);
                prop_assert!(ask.iter().all(|asked| !came.contains(asked)));
                prop_assert!(ask.len() <= MAX_MISSING);
            }
        }
    }
}
