//! Sequence numbers of one slot: from a source's extended sequence number to the slot's own.
//!
//! The slot's numbers are one unbroken line whatever plays. Within a run of one source the mapping is a
//! shift, so it never gives one number to two packets: together with replay protection on the way in, no
//! SRTP index is used twice. A packet that is left out (padding, a dropped temporal level) closes the gap by
//! changing the shift from there on; packets before it that come late keep the shift they would have had.

use std::collections::VecDeque;

/// How many changes of the shift are remembered for late packets; older late packets are dropped.
const MAX_SPANS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Span {
    /// First source number of the span.
    start: u64,
    /// Slot number minus source number, wrapping.
    shift: u64,
}

/// See the module.
#[derive(Debug)]
pub struct SequenceMap {
    spans: VecDeque<Span>,
    highest_source: u64,
    next_slot: u64,
}

impl SequenceMap {
    /// `first` is the first number the slot will use.
    #[must_use]
    pub fn new(first: u64) -> Self {
        Self { spans: VecDeque::new(), highest_source: 0, next_slot: first }
    }

    /// A new source begins with `source`, which gets the number after the highest one used.
    pub fn begin(&mut self, source: u64) {
        self.spans.clear();
        self.spans.push_back(Span { start: source, shift: self.next_slot.wrapping_sub(source) });
        self.highest_source = source.saturating_sub(1);
    }

    /// The slot's number for `source`; `None` when it lies before the run or before what is remembered.
    pub fn map(&mut self, source: u64) -> Option<u64> {
        let at = self.spans.iter().rposition(|span| span.start <= source)?;
        let slot = source.wrapping_add(self.spans[at].shift);
        // A late packet of an old span must not reach into the numbers of the next one.
        if let Some(next) = self.spans.get(at + 1)
            && slot >= next.start.wrapping_add(next.shift)
        {
            return None;
        }
        self.highest_source = self.highest_source.max(source);
        self.next_slot = self.next_slot.max(slot + 1);
        Some(slot)
    }

    /// `source` is not forwarded, and those after it move up by one; what is missing before it keeps its place. One that
    /// comes late leaves the gap that the others were numbered around.
    pub fn skip(&mut self, source: u64) {
        let Some(last) = self.spans.back().copied() else { return };
        if source <= self.highest_source || source < last.start {
            return;
        }
        self.highest_source = source;
        let span = Span { start: source + 1, shift: last.shift.wrapping_sub(1) };
        if last.start == source {
            self.spans.pop_back();
        } else if self.spans.len() == MAX_SPANS {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
    }

    /// Read what [`Self::map`] will need.
    #[must_use]
    pub fn look(&self) -> u64 {
        self.spans.back().map_or(0, |span| span.shift)
    }

    /// The number that the next new packet gets.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next_slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn a_switch_continues_the_line() {
        let mut map = SequenceMap::new(500);
        map.begin(70_000);
        assert_eq!(map.map(70_000), Some(500));
        assert_eq!(map.map(70_002), Some(502));
        assert_eq!(map.map(70_001), Some(501), "a late packet takes its own place");
        map.begin(65_540);
        assert_eq!(map.map(65_539), None, "before the switch");
        assert_eq!(map.map(65_540), Some(503));
    }

    #[test]
    fn a_skipped_packet_leaves_no_gap_and_no_clash() {
        let mut map = SequenceMap::new(0);
        map.begin(100);
        assert_eq!(map.map(100), Some(0));
        assert_eq!(map.map(102), Some(2));
        map.skip(103);
        assert_eq!(map.map(104), Some(3));
        assert_eq!(map.map(101), Some(1), "late, from before the skip");
    }

    #[test]
    fn what_is_missing_before_a_skipped_packet_keeps_its_place() {
        let mut map = SequenceMap::new(0);
        map.begin(100);
        assert_eq!(map.map(100), Some(0));
        map.skip(103);
        map.skip(104);
        assert_eq!(map.map(105), Some(3));
        assert_eq!(map.map(101), Some(1), "repaired");
        assert_eq!(map.map(102), Some(2), "repaired");
        map.skip(104);
        assert_eq!(map.map(106), Some(4), "repeated, it moves nothing");
    }

    #[test]
    fn skipping_from_the_first_packet_on() {
        let mut map = SequenceMap::new(9);
        map.begin(100);
        map.skip(100);
        map.skip(101);
        assert_eq!(map.map(102), Some(9));
        assert_eq!(map.map(100), None);
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]
        #[test]
        fn never_one_number_for_two_packets(
            steps in prop::collection::vec((0_u8..10, 0_u64..6, any::<bool>()), 1..400),
        ) {
            let mut map = SequenceMap::new(77);
            let mut run = 0_u32;
            let mut base = 100_000_u64;
            let mut seen: HashMap<u64, (u32, u64)> = HashMap::new();
            let mut gone: HashMap<(u32, u64), ()> = HashMap::new();
            let mut head = base;
            map.begin(base);
            for (what, back, skipped) in steps {
                if what == 0 {
                    run += 1;
                    base = 100_000 + u64::from(run) * 1_000;
                    head = base;
                    map.begin(base);
                    continue;
                }
                let source = if what < 4 { head.saturating_sub(back) } else { head };
                if source == head { head += 1 + u64::from(what == 9) }
                // Replay protection upstream: each source packet is seen once.
                if gone.insert((run, source), ()).is_some() { continue }
                if skipped {
                    map.skip(source);
                } else if let Some(slot) = map.map(source)
                    && let Some(other) = seen.insert(slot, (run, source))
                {
                    prop_assert!(false, "{slot} for {other:?} and {:?}", (run, source));
                }
            }
        }
    }
}
