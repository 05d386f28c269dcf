//! A sliding window over the indices of one stream: which were seen, which are too old to tell.
//!
//! Inbound it is the replay list (RFC 3711 section 3.3.2), outbound the guard against using an index twice.

/// Indices remembered below the highest, it included. A second of a 1,000 packets/s stream: more than any
/// retransmission is waited for.
pub(crate) const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// What is known of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    New,
    Seen,
    TooOld,
}

/// Bit `index % WINDOW` stands for the index in the window that has this remainder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    highest: Option<u64>,
    bits: [u64; WORDS],
}

impl Window {
    /// The highest index marked.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Read what marking the next index will need.
    pub(crate) fn look(&self) -> u64 {
        let next = self.highest.map_or(0, |highest| highest + 1);
        self.bits.get(place(next).0).copied().unwrap_or(0)
    }

    /// What is known of `index`; nothing changes.
    pub(crate) fn standing(&self, index: u64) -> Standing {
        match self.highest {
            Some(highest) if index <= highest => {
                let (word, bit) = place(index);
                if highest - index >= WINDOW {
                    Standing::TooOld
                } else if self.bits.get(word).is_some_and(|word| word & bit != 0) {
                    Standing::Seen
                } else {
                    Standing::New
                }
            }
            _ => Standing::New,
        }
    }

    /// Marks an index that is [`Standing::New`].
    pub(crate) fn mark(&mut self, index: u64) {
        let passed = match self.highest {
            Some(highest) if index > highest => highest + 1..index,
            _ => 0..0,
        };
        if passed.end - passed.start >= WINDOW {
            self.bits = [0; WORDS];
        } else {
            passed.for_each(|between| self.put(between, false));
        }
        self.put(index, true);
        self.highest = self.highest.max(Some(index));
    }

    fn put(&mut self, index: u64, seen: bool) {
        let (word, bit) = place(index);
        if let Some(word) = self.bits.get_mut(word) {
            *word = if seen { *word | bit } else { *word & !bit };
        }
    }
}

fn place(index: u64) -> (usize, u64) {
    let at = index % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::{Standing, WINDOW, Window};
    use crate::testing::proptest_config;

    #[test]
    fn the_edge_of_the_window() {
        let mut window = Window::default();
        assert_eq!(window.standing(0), Standing::New);
        window.mark(5000);
        assert_eq!(window.standing(5000), Standing::Seen);
        assert_eq!(window.standing(5001 - WINDOW), Standing::New);
        assert_eq!(window.standing(5000 - WINDOW), Standing::TooOld);
        window.mark(5001 - WINDOW);
        assert_eq!(window.standing(5001 - WINDOW), Standing::Seen);
        window.mark(5001);
        assert_eq!(window.standing(5001 - WINDOW), Standing::TooOld);
        assert_eq!(window.highest(), Some(5001));
    }

    #[test]
    fn a_jump_forgets_what_it_left() {
        for jump in [WINDOW - 1, WINDOW, WINDOW + 1, 100 * WINDOW] {
            let mut window = Window::default();
            (0..WINDOW).for_each(|index| window.mark(index));
            let highest = WINDOW - 1 + jump;
            window.mark(highest);
            for index in highest + 1 - WINDOW..highest {
                let expected = if index < WINDOW { Standing::Seen } else { Standing::New };
                assert_eq!(window.standing(index), expected, "{index} after a jump of {jump}");
            }
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        /// Against the plain way of remembering everything.
        #[test]
        fn agrees_with_a_set(start in 0u64..3000, steps in prop::collection::vec(-1500i64..1600, 1..400)) {
            let (mut window, mut seen, mut at) = (Window::default(), HashSet::new(), start);
            for step in steps {
                at = at.saturating_add_signed(step);
                let highest = seen.iter().max().copied();
                let expected = match highest {
                    Some(highest) if highest >= at + WINDOW => Standing::TooOld,
                    _ if seen.contains(&at) => Standing::Seen,
                    _ => Standing::New,
                };
                prop_assert_eq!(window.standing(at), expected);
                if expected == Standing::New {
                    window.mark(at);
                    seen.insert(at);
                }
            }
        }
    }
}
