//! Timestamps of one slot: one continuous line on the server clock, whatever plays.
//!
//! A run of packets of one source keeps that source's own timestamp differences, because a receiver's jitter
//! buffer wants an audio frame to be exactly its length. Where a run begins, its timestamps are put at
//! (base + rate x capture time); while it goes on, the small error of the publisher's clock grows, is told
//! truthfully in every sender report, and is taken back where nobody notices: at the next frame of a
//! picture, or in a pause of a voice. A packet that comes late, from before such a place, gets the timestamp that it
//! would have had: a frame's packets share one.

use crate::time::{Micros, us_to_ticks};
use std::collections::VecDeque;

/// A picture may be put right by this much at any frame: below one frame's time, unnoticed.
const PICTURE_TOLERANCE_US: i64 = 20_000;
/// A voice is put right only in a pause at least this long, and when it is off by more than this.
const VOICE_TOLERANCE_US: i64 = 40_000;
const VOICE_PAUSE_US: i64 = 100_000;
/// How many corrections are remembered for late packets.
const MAX_BENDS: usize = 32;

/// Where a run was put right: between these two frames.
#[derive(Clone, Copy, Debug)]
struct Bend {
    /// The source's and the slot's timestamp of the last frame before.
    before: (i64, i64),
    /// And of the first after.
    after: (i64, i64),
}

impl Bend {
    /// The slot's timestamp of a late packet from before `after`; `None` where it is from before `before` too.
    fn between(&self, source: i64) -> Option<i64> {
        let (from, to) = (self.before, self.after);
        (source >= from.0).then(|| {
            let between = |a: i64, b: i64| i128::from(b) - i128::from(a);
            let share = between(from.0, source) * between(from.1, to.1) / between(from.0, to.0).max(1);
            from.1.saturating_add(share as i64)
        })
    }
}

/// See the module. Timestamps are unwrapped; the low 32 bits go on the wire.
#[derive(Debug)]
pub struct Timeline {
    rate: u32,
    is_picture: bool,
    base: i64,
    shift: Option<i64>,
    /// Of the run, oldest first.
    bends: VecDeque<Bend>,
    highest: Option<i64>,
    last_source: i64,
    last_arrival: Micros,
    /// The capture time and slot timestamp of the newest packet, for sender reports.
    reference: Option<(Micros, i64)>,
}

impl Timeline {
    /// `base` is the slot's timestamp at the server clock's zero: random, RFC 3550 section 5.1.
    #[must_use]
    pub fn new(rate: u32, is_picture: bool, base: u32) -> Self {
        Self {
            rate,
            is_picture,
            base: i64::from(base),
            shift: None,
            bends: VecDeque::new(),
            highest: None,
            last_source: 0,
            last_arrival: Micros(0),
            reference: None,
        }
    }

    /// The next packet begins a run of another source.
    pub fn begin(&mut self) {
        self.shift = None;
        self.bends.clear();
    }

    /// The slot's timestamp of a packet of the source that plays.
    pub fn map(&mut self, source: i64, captured: Micros, now: Micros) -> i64 {
        let ideal = self.base.saturating_add(us_to_ticks(captured.0, self.rate));
        let slot = match self.shift {
            Some(shift) if self.should_correct(source, ideal, shift, now) => self.correct(source, ideal),
            Some(shift) => self.unbent(source, source.saturating_add(shift)),
            None => self.anchor(source, ideal),
        };
        if self.highest.is_none_or(|highest| slot >= highest) {
            self.highest = Some(slot);
            self.last_source = source;
            self.reference = Some((captured, slot));
        }
        self.last_arrival = now;
        slot
    }

    /// What a sender report says: the slot's timestamp at `now`; `None` before the first packet.
    #[must_use]
    pub fn at(&self, now: Micros) -> Option<u32> {
        let (captured, slot) = self.reference?;
        let at = slot.saturating_add(us_to_ticks(now.since(captured), self.rate));
        Some(at as u32)
    }

    /// Read what [`Self::map`] will need.
    #[must_use]
    pub fn look(&self) -> u64 {
        self.base as u64 ^ self.last_arrival.0 as u64
    }

    fn should_correct(&self, source: i64, ideal: i64, shift: i64, now: Micros) -> bool {
        if source <= self.last_source {
            return false;
        }
        let error = ideal.saturating_sub(source.saturating_add(shift)).saturating_abs();
        if self.is_picture {
            error > us_to_ticks(PICTURE_TOLERANCE_US, self.rate)
        } else {
            now.since(self.last_arrival) >= VOICE_PAUSE_US
                && error > us_to_ticks(VOICE_TOLERANCE_US, self.rate)
        }
    }

    /// Put a run at its ideal place, but never at or before what was sent: a new layer's key frame often has
    /// the capture time of a frame already sent.
    fn anchor(&mut self, source: i64, ideal: i64) -> i64 {
        self.place(source, ideal, 0)
    }

    /// Put what follows in a run right. Where it is too late, time goes on at half its pace at least, so that frames
    /// which come late still have their own places between the others.
    fn correct(&mut self, source: i64, ideal: i64) -> i64 {
        let before = (self.last_source, self.highest.unwrap_or(ideal));
        let slot = self.place(source, ideal, source.saturating_sub(self.last_source) / 2);
        if self.bends.len() == MAX_BENDS {
            self.bends.pop_front();
        }
        self.bends.push_back(Bend { before, after: (source, slot) });
        slot
    }

    fn place(&mut self, source: i64, ideal: i64, step: i64) -> i64 {
        // One tick is enough for a picture; a voice's last packet still plays for its 20 ms.
        let step = step.max(if self.is_picture { 1 } else { i64::from(self.rate / 50) });
        let slot = self.highest.map_or(ideal, |highest| ideal.max(highest.saturating_add(step)));
        self.shift = Some(slot.saturating_sub(source));
        slot
    }

    /// The place of `source`, which would be `slot` had it not come from before a correction.
    fn unbent(&self, source: i64, slot: i64) -> i64 {
        let mut slot = slot;
        for bend in self.bends.iter().rev().take_while(|bend| source < bend.after.0) {
            match bend.between(source) {
                Some(between) => return between,
                None => slot = source.saturating_add(bend.before.1.saturating_sub(bend.before.0)),
            }
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = Micros::SECOND;

    #[test]
    fn a_run_keeps_the_differences_of_its_source() {
        let mut line = Timeline::new(48_000, false, 1_000);
        let first = line.map(500, Micros(0), Micros(0));
        for n in 1..500 {
            // Capture times wander by a millisecond; timestamps must not.
            let wander = (n % 3) * 1_000;
            let at = Micros(n * 20_000 + wander);
            assert_eq!(line.map(500 + 960 * n, at, at), first + 960 * n);
        }
    }

    #[test]
    fn a_switch_lands_on_the_server_clock() {
        let mut line = Timeline::new(90_000, true, 0);
        line.map(1 << 40, Micros(S), Micros(S));
        line.begin();
        let slot = line.map(77, Micros(3 * S), Micros(3 * S));
        assert_eq!(slot, 270_000);
        assert_eq!(line.at(Micros(4 * S)), Some(360_000));
    }

    #[test]
    fn a_switch_to_an_older_capture_time_goes_one_tick_on() {
        let mut line = Timeline::new(90_000, true, 0);
        let before = line.map(0, Micros(S), Micros(S));
        line.begin();
        let after = line.map(9_000, Micros(S - 30_000), Micros(S));
        assert_eq!(after, before + 1);
        // The truth is in the report: this timestamp was captured 30 ms earlier.
        assert_eq!(line.at(Micros(S - 30_000)), Some(after as u32));
    }

    #[test]
    fn a_picture_is_put_right_at_a_frame_and_a_voice_only_in_a_pause() {
        let mut picture = Timeline::new(90_000, true, 0);
        picture.map(0, Micros(0), Micros(0));
        assert_eq!(picture.map(9_000, Micros(100_000 + 25_000), Micros(200_000)), 11_250);
        let mut voice = Timeline::new(48_000, false, 0);
        voice.map(0, Micros(0), Micros(0));
        assert_eq!(voice.map(960, Micros(70_000), Micros(20_000)), 960);
        assert_eq!(voice.map(9_600, Micros(250_000), Micros(220_000)), 12_000, "after 200 ms of silence");
    }

    #[test]
    fn a_late_packet_has_the_time_of_its_frame() {
        let mut line = Timeline::new(90_000, true, 0);
        let late = Micros(300_000);
        let first = line.map(0, late, late);
        // The frame after was captured 300 ms sooner than was thought: it is put nearer, not on top.
        let second = line.map(18_000, Micros(200_000), late);
        assert_eq!((first, second), (27_000, 36_000));
        let third = line.map(36_000, Micros(400_000), late);
        assert_eq!(third, 45_000);
        assert_eq!(line.map(0, late, late), first, "another packet of the first frame");
        assert_eq!(line.map(18_000, late, late), second);
        let between = line.map(9_000, late, late);
        assert!(first < between && between < second, "a whole frame that was late: {between}");
        assert_eq!(line.map(-9_000, late, late), first - 9_000);
        assert_eq!(line.map(54_000, Micros(600_000), late), 54_000, "and there it goes on");
    }

    #[test]
    fn never_backwards_at_a_switch_whatever_the_clock_says() {
        let mut line = Timeline::new(90_000, true, 7);
        let mut last = i64::MIN;
        for n in 0..200_i64 {
            line.begin();
            let slot = line.map(n * 31_337 % 4_099, Micros((n * 7_919 % 101) * 10_000), Micros(n * 1_000));
            assert!(slot > last);
            last = slot;
        }
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        /// Frames in some disorder, on a clock that is put right all the time: a frame has one time, whenever its
        /// packets come, and frames have their times in the order in which they were made.
        #[test]
        fn a_frame_has_one_time_and_a_later_one_a_later(
            is_picture in any::<bool>(),
            steps in prop::collection::vec((0_i64..3, 0_i64..20, -300_000_i64..300_000), 1..200),
        ) {
            let (rate, frame) = if is_picture { (90_000, 3_000) } else { (48_000, 1_920) };
            let mut line = Timeline::new(rate, is_picture, 77);
            let mut times = std::collections::BTreeMap::new();
            let (mut newest, mut now) = (1_000_i64, 50_000_000_i64);
            line.map(newest * frame, Micros(now), Micros(now));
            for (ahead, back, error) in steps {
                newest += ahead;
                now += ahead * 40_000 + back * 10_000;
                let number = (newest - if ahead == 0 { back } else { 0 }).max(1_000);
                let captured = Micros(now - (newest - number) * 33_333 + error);
                let time = line.map(number * frame, captured, Micros(now));
                prop_assert_eq!(*times.entry(number).or_insert(time), time, "frame {} has two times", number);
            }
            let all: Vec<(i64, i64)> = times.into_iter().collect();
            for pair in all.windows(2) {
                prop_assert!(pair[0].1 < pair[1].1, "{:?}", pair);
            }
        }
    }
}
