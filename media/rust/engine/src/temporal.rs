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

/// See the module. All packets of one frame share one fate, whichever of them comes first.
#[derive(Debug)]
pub struct TemporalFilter {
    wanted: u8,
    current: u8,
    /// Timestamp of the newest frame and whether it passes.
    newest: Option<(i64, bool)>,
}

impl Default for TemporalFilter {
    fn default() -> Self {
        Self { wanted: ALL, current: ALL, newest: None }
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
        self.current = self.wanted;
        self.newest = None;
    }

    /// Whether a packet passes: of a frame with this unwrapped timestamp.
    pub fn passes(&mut self, timestamp: i64, frame: FrameLevel, begins_key_frame: bool) -> bool {
        if self.wanted == ALL && self.current == ALL {
            return true;
        }
        match self.newest {
            Some((newest, passes)) if timestamp == newest => return passes,
            // Late: its frame was decided on before, by a level that is rarely another one now.
            Some((newest, _)) if timestamp < newest => return frame.level <= self.current,
            _ => {}
        }
        if begins_key_frame || self.wanted < self.current {
            self.current = self.wanted;
        } else if frame.joins && frame.level == self.current + 1 && frame.level <= self.wanted {
            self.current = frame.level;
        }
        let passes = frame.level <= self.current;
        if passes && frame.opens > self.current {
            self.current = self.wanted.min(frame.opens);
        }
        self.newest = Some((timestamp, passes));
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_late_packet_goes_by_the_level_that_holds_now() {
        let mut filter = TemporalFilter::default();
        filter.want(1);
        assert!(filter.passes(10, said(0), true));
        assert!(filter.passes(9, said(1), false));
        assert!(!filter.passes(9, said(2), false));
    }
}
