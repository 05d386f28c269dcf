//! Short counters made long: sequence numbers and timestamps that no longer wrap.

/// Turns 16-bit sequence numbers into a 64-bit count that never wraps.
///
/// The first number `s` becomes 65536 + s, so that packets from before it stay above zero. The low 16 bits of
/// the result are the sequence number. A number is taken as the nearest to the highest one seen.
#[derive(Clone, Debug, Default)]
pub struct Unwrapper {
    highest: Option<u64>,
}

impl Unwrapper {
    /// Without a number yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The extended number of `sequence`; only one that is newer than all before moves the state.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let extended = self.peek(sequence);
        self.highest = self.highest.max(Some(extended));
        extended
    }

    /// The same without moving the state.
    pub fn peek(&self, sequence: u16) -> u64 {
        match self.highest {
            None => (1 << 16) + u64::from(sequence),
            Some(highest) => {
                let distance = sequence.wrapping_sub(highest as u16) as i16;
                highest.wrapping_add_signed(i64::from(distance))
            }
        }
    }

    /// The highest extended number so far.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Turns 32-bit RTP timestamps into 64-bit ones that never wrap; the first keeps its value.
///
/// A timestamp is taken as the nearest to the highest one seen, so one from before the first may be negative.
#[derive(Clone, Debug, Default)]
pub struct TimestampUnwrapper {
    highest: Option<i64>,
}

impl TimestampUnwrapper {
    /// Without a number yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The extended timestamp; only one that is newer than all before moves the state.
    pub fn unwrap(&mut self, timestamp: u32) -> i64 {
        let extended = self.peek(timestamp);
        self.highest = self.highest.max(Some(extended));
        extended
    }

    /// The same without moving the state.
    pub fn peek(&self, timestamp: u32) -> i64 {
        match self.highest {
            None => i64::from(timestamp),
            Some(highest) => {
                let distance = timestamp.wrapping_sub(highest as u32) as i32;
                highest.wrapping_add(i64::from(distance))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{TimestampUnwrapper, Unwrapper};
    use crate::testing::proptest_config;

    #[test]
    fn sequence_wraps_and_old_ones_leave_the_state() {
        let mut unwrapper = Unwrapper::new();
        assert_eq!(unwrapper.unwrap(65534), 65536 + 65534);
        assert_eq!(unwrapper.unwrap(1), 2 * 65536 + 1);
        assert_eq!(unwrapper.unwrap(65535), 65536 + 65535);
        assert_eq!(unwrapper.highest(), Some(2 * 65536 + 1));
        assert_eq!(unwrapper.unwrap(2), 2 * 65536 + 2);
    }

    #[test]
    fn before_the_first_is_not_below_zero() {
        let mut unwrapper = Unwrapper::new();
        assert_eq!(unwrapper.unwrap(0), 65536);
        assert_eq!(unwrapper.unwrap(32768), 32768);
        assert_eq!(unwrapper.highest(), Some(65536));
    }

    #[test]
    fn timestamps_wrap_both_ways() {
        let mut unwrapper = TimestampUnwrapper::new();
        assert_eq!(unwrapper.unwrap(10), 10);
        assert_eq!(unwrapper.unwrap(u32::MAX), -1);
        assert_eq!(unwrapper.unwrap(0x7fff_ffff), 0x7fff_ffff);
        assert_eq!(unwrapper.unwrap(0xf000_0000), 0xf000_0000);
        assert_eq!(unwrapper.unwrap(5), (1 << 32) + 5);
        assert_eq!(unwrapper.unwrap(u32::MAX), (1 << 32) - 1);
        assert_eq!(unwrapper.peek(6), (1 << 32) + 6);
    }

    proptest! {
        #![proptest_config(proptest_config())]

        /// Whatever the loss and reordering within half the number space, the true count comes back.
        #[test]
        fn follows_a_true_count(first in any::<u16>(), steps in prop::collection::vec(-20_000i64..30_000, 1..200)) {
            let mut unwrapper = Unwrapper::new();
            let mut highest = unwrapper.unwrap(first);
            for step in steps {
                let truth = highest.saturating_add_signed(step);
                prop_assume!(highest >= 20_000);
                prop_assert_eq!(unwrapper.unwrap(truth as u16), truth);
                highest = highest.max(truth);
            }
        }
    }
}
