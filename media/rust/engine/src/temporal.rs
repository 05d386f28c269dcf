//! Which temporal levels of a picture a half passes on.
//!
//! Going down needs nothing: a frame of a level is never needed by a lower one. Going up needs a frame that says that
//! it can be done there, or a key frame; until then frames of the higher level could not be decoded.

/// The highest level that any codec can say.
pub const ALL: u8 = 7;

/// What a packet says of its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameLevel {
    /// 0 is the base; also what is assumed where nothing is said.
    pub level: u8,
    /// The frame refers to the base level alone (Y of VP8): who has only that can begin its level here.
    pub joins: bool,
    /// Who decodes this frame can decode all later ones up to this level (U of VP9, switch indications of AV1).
    pub opens: u8,
}

/// Changes of the level that are remembered for late packets: more than a second of them, even where the level
/// follows every change of a bad line.
const REMEMBERED: usize = 8;

/// See the module. All packets of one frame share one fate, whichever of them comes first and however late: each is
/// held to the level that was passed on at its timestamp.
#[derive(Debug)]
pub struct TemporalFilter {
    wanted: u8,
    /// From which unwrapped timestamp on which level passes, in order; the last one holds now.
    levels: [(i64, u8); REMEMBERED],
    count: usize,
    /// The highest timestamp that came.
    newest: i64,
}

impl Default for TemporalFilter {
    fn default() -> Self {
        Self { wanted: ALL, levels: [(i64::MIN, ALL); REMEMBERED], count: 1, newest: i64::MIN }
    }
}

impl TemporalFilter {
    /// Pass on levels up to this one from the next frame on.
    pub fn want(&mut self, level: u8) {
        self.wanted = level;
    }

    /// What is asked for.
    #[must_use]
    pub fn wanted(&self) -> u8 {
        self.wanted
    }

    /// A key frame begins a run of another feed.
    pub fn begin(&mut self) {
        self.levels[0] = (i64::MIN, self.wanted);
        self.count = 1;
        self.newest = i64::MIN;
    }

    /// Whether a packet passes: of a frame with this unwrapped timestamp.
    pub fn passes(&mut self, timestamp: i64, frame: FrameLevel, begins_key_frame: bool) -> bool {
        let is_new = timestamp > self.newest;
        self.newest = self.newest.max(timestamp);
        let current = self.levels[self.count - 1].1;
        if self.wanted == ALL && current == ALL && self.count == 1 {
            return true;
        }
        if !is_new {
            return frame.level <= self.level_at(timestamp);
        }
        if begins_key_frame || self.wanted < current {
            self.change(timestamp, self.wanted);
        } else if frame.joins && frame.level == current + 1 && frame.level <= self.wanted {
            self.change(timestamp, frame.level);
        }
        let current = self.levels[self.count - 1].1;
        let passes = frame.level <= current;
        if passes && frame.opens > current {
            self.change(timestamp + 1, self.wanted.min(frame.opens).max(current));
        }
        passes
    }

    fn change(&mut self, from: i64, level: u8) {
        if self.levels[self.count - 1].1 == level {
            return;
        }
        if self.count == REMEMBERED {
            self.levels.rotate_left(1);
            self.count -= 1;
        }
        self.levels[self.count] = (from, level);
        self.count += 1;
    }

    /// The base passes always; of a time that is forgotten nothing else does.
    fn level_at(&self, timestamp: i64) -> u8 {
        let known = &self.levels[..self.count];
        known.iter().rev().find(|(from, _)| *from <= timestamp).map_or(0, |(_, level)| *level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::proptest_config;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn said(level: u8) -> FrameLevel {
        FrameLevel { level, joins: false, opens: 0 }
    }

    /// The levels that pass of a stream of these.
    fn passed(filter: &mut TemporalFilter, from: i64, frames: &[FrameLevel]) -> Vec<u8> {
        (from..)
            .zip(frames)
            .filter(|&(at, &frame)| {
                let first = filter.passes(at, frame, false);
                assert_eq!(filter.passes(at, frame, false), first, "packets of one frame");
                first
            })
            .map(|(_, frame)| frame.level)
            .collect()
    }

    #[test]
    fn down_at_once_and_up_only_at_a_key_frame_where_nothing_says_otherwise() {
        let pattern = [0, 2, 1, 2].map(said);
        let mut filter = TemporalFilter::default();
        assert_eq!(passed(&mut filter, 0, &pattern), [0, 2, 1, 2]);
        filter.want(0);
        assert_eq!(passed(&mut filter, 10, &pattern), [0]);
        filter.want(1);
        assert_eq!(passed(&mut filter, 20, &pattern), [0], "level 1 may refer to what was left out");
        assert!(filter.passes(30, said(0), true));
        assert_eq!(passed(&mut filter, 40, &pattern), [0, 1]);
    }

    #[test]
    fn up_where_a_frame_refers_to_the_base_alone() {
        let joining = |level| FrameLevel { level, joins: true, opens: 0 };
        let mut filter = TemporalFilter::default();
        filter.want(0);
        assert_eq!(passed(&mut filter, 0, &[0, 1].map(said)), [0]);
        filter.want(1);
        let frames = [said(0), said(2), said(1), joining(2), joining(1), said(2), said(1)];
        assert_eq!(passed(&mut filter, 10, &frames), [0, 1, 1], "level 2 is not wanted");
        filter.want(2);
        assert_eq!(passed(&mut filter, 20, &[said(2), joining(2), said(2)]), [2, 2]);
    }

    #[test]
    fn up_after_a_frame_that_opens_the_levels_above() {
        let opening = FrameLevel { level: 0, joins: false, opens: 2 };
        let mut filter = TemporalFilter::default();
        filter.want(0);
        assert_eq!(passed(&mut filter, 0, &[opening, said(2), said(1)]), [0]);
        filter.want(2);
        assert_eq!(passed(&mut filter, 10, &[said(2), said(1), opening, said(2), said(1)]), [0, 2, 1]);
    }

    #[test]
    fn a_late_packet_goes_by_the_level_of_its_time() {
        let mut filter = TemporalFilter::default();
        filter.want(1);
        assert!(filter.passes(10, said(0), true));
        assert!(filter.passes(9, said(1), false), "from before the level fell");
        assert!(filter.passes(20, FrameLevel { level: 0, joins: false, opens: ALL }, false));
        filter.want(2);
        assert!(filter.passes(40, FrameLevel { level: 0, joins: false, opens: ALL }, false));
        assert!(filter.passes(50, said(2), false));
        assert!(
            !filter.passes(30, said(2), false),
            "from before the level rose: what it refers to did not pass"
        );
        assert!(filter.passes(30, said(1), false));
    }

    #[test]
    fn a_frame_that_has_begun_goes_on_when_the_level_falls() {
        let mut filter = TemporalFilter::default();
        assert!(filter.passes(10, said(2), false));
        filter.want(0);
        assert!(filter.passes(10, said(2), false), "its last packet");
        assert!(!filter.passes(20, said(2), false));
        assert!(filter.passes(10, said(2), false), "and one that was late");
        filter.want(ALL);
        assert!(filter.passes(30, said(0), true));
        assert!(!filter.passes(20, said(2), false));
        for n in 0..20 {
            filter.want(n % 2);
            assert!(filter.passes(40 + i64::from(n), said(0), true));
        }
        assert!(!filter.passes(20, said(1), false), "too long ago to know");
        assert!(filter.passes(20, said(0), false), "the base passes always");
    }

    proptest! {
        #![proptest_config(proptest_config())]

        /// A stream of L1T3 whose frames come late, repeated and not at all: no frame passes that refers to one that
        /// was kept back, and all packets of a frame share its fate.
        #[test]
        fn no_frame_passes_whose_reference_was_kept_back(
            steps in prop::collection::vec((0_u8..12, 0_i64..6, 0_u8..4), 1..300),
        ) {
            let pattern = [0_u8, 2, 1, 2];
            let level_of = |at: i64| pattern[(at % 4) as usize];
            // As Chromium's VP9 refers: the base to the base before, 1 to the base, 2 to the frame before.
            let reference = |at: i64| match at % 4 { 0 => at - 4, 2 => at - 2, _ => at - 1 };
            let mut filter = TemporalFilter::default();
            let mut fate: HashMap<i64, bool> = HashMap::new();
            let mut head = 0_i64;
            filter.begin();
            for (what, back, level) in steps {
                match what {
                    0 => { filter.want(level); continue }
                    1 => { head += 1; continue }
                    _ => {}
                }
                let at = if what < 4 { (head - back).max(0) } else { head += 1; head };
                let frame = FrameLevel { level: level_of(at), joins: false, opens: ALL };
                let passes = filter.passes(at, frame, false);
                prop_assert_eq!(*fate.entry(at).or_insert(passes), passes, "frame {}", at);
                if passes && frame.level > 0 && let Some(passed) = fate.get(&reference(at)) {
                    prop_assert!(passed, "frame {} without {}", at, reference(at));
                }
            }
        }
    }
}
