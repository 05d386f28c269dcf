//! What is missing of one stream that a peer sends us, and when to ask for it (RFC 4585 section 6.2.1).
//!
//! A gap is asked for at once: order is kept on almost all networks, and a packet that comes twice does no harm.
//! Then again twice each round trip, until it comes, twenty times were not enough, or a second has passed. Twice,
//! because the question is lost as often as the answer: a publisher that has answered hears nothing in the second one
//! (browsers answer once in a round trip), one that never heard the first answers half a round trip sooner.

use super::WORTH_US;
use crate::time::Micros;
use std::collections::VecDeque;
use std::ops::Range;

/// Packets waited for at once. A gap that is larger is no loss but an outage: nothing of it is asked for.
pub const MAX_MISSING: usize = 256;
/// Times that one packet is asked for.
const MAX_ASKED: u8 = 20;
/// Added to the round trip before asking again: the other side needs a moment too.
const MARGIN_US: i64 = 10_000;
/// A line that lost nothing for this long loses nothing.
const LOSING_US: i64 = 5 * Micros::SECOND;

#[derive(Clone, Copy, Debug)]
struct Entry {
    index: u64,
    noticed: Micros,
    asked_at: Micros,
    asked: u8,
    /// Nothing shows yet that it was sent at all.
    is_guess: bool,
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
    gap_at: Option<Micros>,
    /// Packets asked for, each time counted.
    pub asked: u64,
    /// Packets that came after they had been asked for.
    pub repaired: u64,
    /// Packets that were not waited for any longer.
    pub given_up: u64,
}

impl Missing {
    /// The packet with this extended number came, by itself or as a retransmission. `measures`: it would not have come
    /// without having been asked for, so that the time since then is a round trip.
    pub fn on_packet(&mut self, index: u64, measures: bool, now: Micros) -> Noticed {
        let mut noticed = Noticed::default();
        let Some(highest) = self.highest else {
            self.highest = Some(index);
            return noticed;
        };
        let round_trip_us = self.found(index, now);
        noticed.round_trip_us = round_trip_us.filter(|_| measures);
        if index > highest {
            self.highest = Some(index);
            self.on_gap(highest + 1..index, now, &mut noticed);
        }
        self.given_up += noticed.hopeless;
        noticed
    }

    /// All of `gap` is missing; some of it may have been guessed.
    fn on_gap(&mut self, gap: Range<u64>, now: Micros, noticed: &mut Noticed) {
        let len = gap.end - gap.start;
        self.entries.retain(|entry| entry.index < gap.end);
        if len > 0 {
            self.gap_at = Some(now);
        }
        if len > MAX_MISSING as u64 {
            noticed.hopeless = len + self.entries.iter().filter(|entry| !entry.is_guess).count() as u64;
            self.entries.clear();
            return;
        }
        let guessed = self.entries.iter().rev().take_while(|entry| entry.is_guess).count() as u64;
        self.entries.iter_mut().for_each(|entry| entry.is_guess = false);
        // Guesses are the numbers right after what was the highest.
        for index in gap.start + guessed..gap.end {
            noticed.ask = true;
            noticed.hopeless += self.push(index, false, now);
        }
    }

    /// Gives how many had to make room.
    fn push(&mut self, index: u64, is_guess: bool, now: Micros) -> u64 {
        let is_full = self.entries.len() == MAX_MISSING;
        if is_full {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { index, noticed: now, asked_at: now, asked: 0, is_guess });
        u64::from(is_full)
    }

    /// So many packets after the highest are likely lost though nothing shows it yet: ask for them, once.
    pub fn guess(&mut self, count: u64, now: Micros) {
        if let Some(highest) = self.highest
            && !self.entries.iter().any(|entry| entry.is_guess)
            && self.entries.len() + (count as usize) < MAX_MISSING
        {
            for index in highest + 1..=highest.saturating_add(count) {
                self.push(index, true, now);
            }
        }
    }

    /// Whether something was missing not long ago, so that guessing is worth it.
    #[must_use]
    pub fn is_losing(&self, now: Micros) -> bool {
        self.gap_at.is_some_and(|at| now.since(at) < LOSING_US)
    }

    /// How long ago it was asked for first: it may be the answer to a later question, so this is never too short.
    fn found(&mut self, index: u64, now: Micros) -> Option<i64> {
        let at = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        let entry = self.entries.remove(at)?;
        if entry.asked > 0 {
            self.repaired += 1;
        }
        (entry.asked > 0).then(|| now.since(entry.noticed))
    }

    /// True while something is waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Append the sequence numbers to ask for now, in rising order, to `ask`; they count as asked. Gives how many
    /// were given up.
    pub fn due(&mut self, now: Micros, round_trip_us: i64, ask: &mut Vec<u16>) -> u64 {
        let wait = (round_trip_us + MARGIN_US) / 2;
        let mut given_up = 0;
        self.entries.retain_mut(|entry| {
            let is_due = entry.asked == 0 || now.since(entry.asked_at) >= wait;
            if entry.is_guess && entry.asked > 0 {
                return now.since(entry.noticed) < 2 * wait;
            }
            let is_over = entry.asked == MAX_ASKED && is_due || now.since(entry.noticed) >= WORTH_US;
            if is_over {
                given_up += u64::from(!entry.is_guess);
            } else if is_due {
                entry.asked += 1;
                entry.asked_at = now;
                ask.push(entry.index as u16);
            }
            !is_over
        });
        self.asked += ask.len() as u64;
        self.given_up += given_up;
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
    fn a_gap_is_asked_for_at_once_and_twice_each_round_trip() {
        let mut missing = Missing::default();
        assert_eq!(missing.on_packet(65_534, true, Micros(0)), Noticed::default());
        assert!(missing.on_packet(65_538, true, Micros(0)).ask);
        assert_eq!(due(&mut missing, 0), [65_535, 0, 1], "over the wrap");
        assert!(due(&mut missing, 29 * MS).is_empty());
        assert_eq!(due(&mut missing, 30 * MS), [65_535, 0, 1], "half of 50 ms and a margin of 10");
        assert_eq!(missing.on_packet(65_536, true, Micros(40 * MS)).round_trip_us, Some(40 * MS));
        assert_eq!(due(&mut missing, 60 * MS), [65_535, 1]);
        assert_eq!(
            missing.on_packet(65_535, true, Micros(90 * MS)).round_trip_us,
            Some(90 * MS),
            "never less"
        );
        assert_eq!(
            missing.on_packet(65_537, false, Micros(90 * MS)).round_trip_us,
            None,
            "only late, it may be"
        );
        assert!(!missing.is_waiting());
        assert_eq!((missing.asked, missing.repaired, missing.given_up), (8, 3, 0));
    }

    #[test]
    fn a_guess_is_asked_for_once_and_counts_only_when_a_gap_confirms_it() {
        let mut missing = Missing::default();
        missing.on_packet(10, true, Micros(0));
        assert!(!missing.is_losing(Micros(0)));
        missing.guess(3, Micros(0));
        missing.guess(3, Micros(0));
        assert_eq!(due(&mut missing, 0), [11, 12, 13]);
        assert!(due(&mut missing, 30 * MS).is_empty(), "once");
        // 11 and 12 were lost indeed; 13 is the next packet, and no gap is told of twice.
        let noticed = missing.on_packet(13, false, Micros(31 * MS));
        assert_eq!((noticed.ask, noticed.hopeless, noticed.round_trip_us), (false, 0, None));
        assert!(missing.is_losing(Micros(31 * MS)));
        assert_eq!(missing.on_packet(11, true, Micros(50 * MS)).round_trip_us, Some(50 * MS));
        assert_eq!(due(&mut missing, 60 * MS), [12]);
        missing.on_packet(12, true, Micros(61 * MS));
        missing.guess(2, Micros(100 * MS));
        assert_eq!(due(&mut missing, 100 * MS), [14, 15]);
        assert!(due(&mut missing, 160 * MS).is_empty());
        assert!(!missing.is_waiting(), "nothing was there");
        assert_eq!(missing.given_up, 0);
    }

    #[test]
    fn a_packet_is_given_up_after_a_second_or_twenty_questions() {
        for (round_trip, asked) in [(20 * MS, 20), (90 * MS, 20), (200 * MS, 10)] {
            let mut missing = Missing::default();
            missing.on_packet(1, true, Micros(0));
            missing.on_packet(3, true, Micros(0));
            let mut questions = Vec::new();
            for ms in (0..2_000).step_by(5) {
                missing.due(Micros(ms * MS), round_trip, &mut questions);
            }
            assert_eq!(questions.len(), asked, "{round_trip}");
            assert!(!missing.is_waiting());
            assert_eq!(missing.given_up, 1);
        }
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let mut missing = Missing::default();
        missing.on_packet(1, true, Micros(0));
        missing.on_packet(3, true, Micros(0));
        let noticed = missing.on_packet(3 + MAX_MISSING as u64 + 2, true, Micros(0));
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
                missing.on_packet(1_000 + index, true, Micros(now));
                came.insert((1_000 + index) as u16);
                if wait % 7 == 0 {
                    missing.guess(1 + index % 4, Micros(now));
                }
                let ask = due(&mut missing, now);
                prop_assert!(ask.iter().all(|asked| !came.contains(asked)));
                prop_assert!(ask.len() <= MAX_MISSING);
            }
        }
    }
}
