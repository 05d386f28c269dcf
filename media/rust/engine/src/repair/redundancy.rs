//! Redundant audio (RFC 2198) of one half: when its receiver loses much, each packet carries an earlier frame along.

use crate::wire::red::Earlier;

/// Loss in 1/256, smoothed, above which it begins: 5 %.
const BEGINS: u32 = 13;
/// And below which it ends: 2 %.
const ENDS: u32 = 5;
/// Smoothed values are kept in 1/16 of that.
const FINE: u32 = 16;
/// A new report counts for a quarter.
const SMOOTHING: u32 = 4;
/// How many frames back the earlier one lies. Packets are lost in bursts; the frame just before is likely lost in the
/// same one.
pub const DISTANCE: usize = 2;

/// See the module.
#[derive(Debug, Default)]
pub struct Redundancy {
    is_on: bool,
    smoothed: u32,
    /// The last frames as (the slot's timestamp, payload), a ring of [`DISTANCE`].
    frames: [(u32, Vec<u8>); DISTANCE],
    next: usize,
}

impl Redundancy {
    /// The receiver reported this fraction of loss, in 1/256 (RFC 3550 section 6.4.1).
    pub fn on_report(&mut self, fraction_lost: u8) {
        self.smoothed = (self.smoothed * (SMOOTHING - 1) + u32::from(fraction_lost) * FINE) / SMOOTHING;
        if self.smoothed > BEGINS * FINE {
            self.is_on = true;
        } else if self.smoothed < ENDS * FINE {
            self.is_on = false;
        }
    }

    /// Whether packets carry an earlier frame along.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// What to send along with the frame of this timestamp: nothing at a beginning.
    #[must_use]
    pub fn earlier(&self, timestamp: u32) -> Option<Earlier<'_>> {
        let (at, payload) = &self.frames[self.next];
        (!payload.is_empty()).then(|| Earlier { offset: timestamp.wrapping_sub(*at), payload })
    }

    /// A frame was sent.
    pub fn put(&mut self, timestamp: u32, payload: &[u8]) {
        let place = &mut self.frames[self.next];
        place.0 = timestamp;
        place.1.clear();
        place.1.extend_from_slice(payload);
        self.next = (self.next + 1) % DISTANCE;
    }

    /// Another voice begins: what the one before said is not repeated.
    pub fn begin(&mut self) {
        self.frames.iter_mut().for_each(|(_, payload)| payload.clear());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_above_five_percent_and_ends_below_two() {
        let mut redundancy = Redundancy::default();
        redundancy.on_report(20);
        assert!(!redundancy.is_on(), "one report is no line");
        (0..20).for_each(|_| redundancy.on_report(20));
        assert!(redundancy.is_on());
        (0..20).for_each(|_| redundancy.on_report(8));
        assert!(redundancy.is_on(), "3 %: as it was");
        (0..20).for_each(|_| redundancy.on_report(3));
        assert!(!redundancy.is_on());
        (0..20).for_each(|_| redundancy.on_report(8));
        assert!(!redundancy.is_on(), "3 %: as it was");
        (0..20).for_each(|_| redundancy.on_report(255));
        assert!(redundancy.is_on());
    }

    #[test]
    fn the_earlier_frame_is_the_one_so_far_back() {
        let mut redundancy = Redundancy::default();
        for n in 0..10_u32 {
            let earlier = redundancy.earlier(n * 960).map(|it| (it.offset, it.payload.to_vec()));
            let expected =
                n.checked_sub(DISTANCE as u32).map(|back| (DISTANCE as u32 * 960, vec![back as u8 + 1]));
            assert_eq!(earlier, expected, "{n}");
            redundancy.put(n * 960, &[n as u8 + 1]);
        }
        redundancy.begin();
        assert_eq!(redundancy.earlier(9_600), None);
    }
}
