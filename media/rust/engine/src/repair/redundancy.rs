//! Redundant audio (RFC 2198) of one half: when its receiver loses much, each packet carries one or two earlier frames
//! along.

use crate::wire::red::Earlier;

/// Smoothed loss in 1/256 where more frames are carried along, and below which fewer are: 5 and 2 % for the first, 12 and
/// 8 % for the second. The receiver reports once a second or so, and a line is not judged by one report.
const STEPS: [(u32, u32); MAX_CARRIED] = [(13, 5), (31, 20)];
/// Smoothed values are kept in 1/16 of that.
const FINE: u32 = 16;
/// A new report counts for a quarter.
const SMOOTHING: u32 = 4;
/// Frames that one packet carries along.
pub const MAX_CARRIED: usize = 2;
/// How many frames back the first of them lies; the second is the one just before the packet. Packets are lost in
/// bursts, and the frame just before is likely lost in the same one.
pub const DISTANCE: usize = 2;
/// Frames kept; a late one still finds its place among them.
const KEPT: usize = 4;
/// An earlier frame that lies further back than 120 ms has been played or hidden by then: the voice had paused (DTX).
const WORTH_TICKS: u32 = 5_760;
/// A packet with all that it carries along stays below what any line takes whole, with headers and SRTP's tag.
const MAX_OCTETS: usize = 1_100;

/// See the module.
#[derive(Debug, Default)]
pub struct Redundancy {
    carried: usize,
    smoothed: u32,
    /// The last frames as (the slot's timestamp, payload), the newest first; the first `count` are filled.
    frames: [(u32, Vec<u8>); KEPT],
    count: usize,
}

impl Redundancy {
    /// The receiver reported this fraction of loss, in 1/256 (RFC 3550 section 6.4.1).
    pub fn on_report(&mut self, fraction_lost: u8) {
        self.smoothed = (self.smoothed * (SMOOTHING - 1) + u32::from(fraction_lost) * FINE) / SMOOTHING;
        let more = STEPS.iter().filter(|(above, _)| self.smoothed > above * FINE).count();
        let fewer = STEPS.iter().filter(|(_, below)| self.smoothed >= below * FINE).count();
        self.carried = self.carried.clamp(more, fewer);
    }

    /// Whether packets carry earlier frames along.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.carried > 0
    }

    /// What to send along with a frame of this timestamp and length, in the order of time; how many of the places are
    /// filled.
    #[must_use]
    pub fn earlier(&self, timestamp: u32, len: usize) -> ([Earlier<'_>; MAX_CARRIED], usize) {
        let mut found = [Earlier { offset: 0, payload: &[] }; MAX_CARRIED];
        let (mut filled, mut total) = (0, len);
        let kept = &self.frames[..self.count];
        let newest = kept.iter().position(|(at, _)| is_before(*at, timestamp)).unwrap_or(self.count);
        for back in (1..=DISTANCE).rev().filter(|&back| back == DISTANCE || self.carried > 1) {
            let Some((at, payload)) = kept.get(newest + back - 1) else { continue };
            let earlier = Earlier { offset: timestamp.wrapping_sub(*at), payload };
            let is_worth_it = earlier.offset <= WORTH_TICKS && total + payload.len() <= MAX_OCTETS;
            if is_worth_it && earlier.is_sayable() {
                found[filled] = earlier;
                filled += 1;
                total += payload.len();
            }
        }
        (found, filled)
    }

    /// A frame was sent; one that was late takes its place among the others.
    pub fn put(&mut self, timestamp: u32, payload: &[u8]) {
        let kept = &self.frames[..self.count];
        let at = kept.iter().position(|(at, _)| is_before(*at, timestamp)).unwrap_or(self.count);
        if at == KEPT {
            return;
        }
        self.count = (self.count + 1).min(KEPT);
        self.frames[at..self.count].rotate_right(1);
        let place = &mut self.frames[at];
        place.0 = timestamp;
        place.1.clear();
        place.1.extend_from_slice(payload);
    }

    /// Another voice begins: what the one before said is not repeated.
    pub fn begin(&mut self) {
        self.count = 0;
    }
}

fn is_before(one: u32, other: u32) -> bool {
    (other.wrapping_sub(one) as i32) > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::proptest_config;
    use proptest::prelude::*;

    fn at_loss(fraction: u8) -> Redundancy {
        let mut redundancy = Redundancy::default();
        (0..20).for_each(|_| redundancy.on_report(fraction));
        redundancy
    }

    fn carried(redundancy: &Redundancy, timestamp: u32, len: usize) -> Vec<(u32, Vec<u8>)> {
        let (found, filled) = redundancy.earlier(timestamp, len);
        found[..filled].iter().map(|it| (it.offset, it.payload.to_vec())).collect()
    }

    #[test]
    fn it_begins_above_five_percent_and_ends_below_two() {
        let mut redundancy = Redundancy::default();
        redundancy.on_report(20);
        assert!(!redundancy.is_on(), "one report is no line");
        let mut report = |fraction| {
            (0..20).for_each(|_| redundancy.on_report(fraction));
            redundancy.carried
        };
        assert_eq!(report(20), 1);
        assert_eq!(report(8), 1, "3 %: as it was");
        assert_eq!(report(3), 0);
        assert_eq!(report(8), 0, "3 %: as it was");
        assert_eq!(report(60), 2, "23 %");
        assert_eq!(report(24), 2, "9 %: as it was");
        assert_eq!(report(15), 1, "6 %");
        assert_eq!(report(24), 1, "9 %: as it was");
        assert_eq!(report(255), 2);
        assert_eq!(report(0), 0);
    }

    #[test]
    fn the_frame_two_back_and_on_a_worse_line_the_last_one_too() {
        for (loss, backs) in [(20, &[2_u32][..]), (60, &[2, 1])] {
            let mut redundancy = at_loss(loss);
            for n in 0..10_u32 {
                let expected: Vec<(u32, Vec<u8>)> = backs
                    .iter()
                    .filter_map(|back| Some((back * 960, vec![n.checked_sub(*back)? as u8])))
                    .collect();
                assert_eq!(carried(&redundancy, n * 960, 1), expected, "{n}");
                redundancy.put(n * 960, &[n as u8]);
            }
            redundancy.begin();
            assert_eq!(carried(&redundancy, 9_600, 1), []);
        }
    }

    #[test]
    fn a_pause_is_not_bridged_and_a_packet_does_not_grow_too_large() {
        let mut redundancy = at_loss(255);
        redundancy.put(0, &[1; 500]);
        redundancy.put(960, &[2; 500]);
        assert_eq!(carried(&redundancy, 1_920, 100).len(), 2);
        assert_eq!(carried(&redundancy, 1_920, 101), [(1_920, vec![1; 500])], "room for one");
        assert_eq!(carried(&redundancy, 1_920, 601), []);
        assert_eq!(carried(&redundancy, WORTH_TICKS + 1, 1), [(WORTH_TICKS + 1 - 960, vec![2; 500])]);
        assert_eq!(carried(&redundancy, 20_000, 1), [], "silence lay between");
    }

    #[test]
    fn a_late_frame_takes_its_place() {
        let mut redundancy = at_loss(255);
        for n in [0_u32, 1, 3, 2] {
            redundancy.put(n.wrapping_sub(2).wrapping_mul(960), &[n as u8]);
        }
        assert_eq!(carried(&redundancy, 1_920, 1), [(1_920, vec![2]), (960, vec![3])]);
        assert_eq!(
            carried(&redundancy, 960, 1),
            [(1_920, vec![1]), (960, vec![2])],
            "for a late one as well"
        );
    }

    proptest! {
        #![proptest_config(proptest_config())]

        /// Whatever order frames come in: what is carried along was sent, lies before the packet, in order, once.
        #[test]
        fn what_is_carried_was_sent(
            steps in prop::collection::vec((0_u32..8, 0_usize..700), 1..80),
            start in any::<u32>(),
            loss in any::<u8>(),
        ) {
            let mut redundancy = at_loss(loss);
            let mut sent = std::collections::HashMap::new();
            let mut head = start;
            for (step, len) in steps {
                let at = if step == 0 { head.wrapping_sub(960 * 2) } else { head = head.wrapping_add(960 * step); head };
                let payload = vec![(at / 960) as u8; len];
                let found = carried(&redundancy, at, payload.len());
                prop_assert!(payload.len() + found.iter().map(|(_, it)| it.len()).sum::<usize>() <= MAX_OCTETS.max(len));
                prop_assert!(found.windows(2).all(|pair| pair[0].0 > pair[1].0));
                for (offset, payload) in found {
                    prop_assert!((1..=WORTH_TICKS).contains(&offset) && !payload.is_empty());
                    prop_assert_eq!(Some(&payload), sent.get(&at.wrapping_sub(offset)));
                }
                if let std::collections::hash_map::Entry::Vacant(place) = sent.entry(at) {
                    place.insert(payload.clone());
                    redundancy.put(at, &payload);
                }
            }
        }
    }
}
