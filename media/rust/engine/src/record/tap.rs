//! Which packets of a source are recorded: those of the best layer that lives. Another layer is begun at a key
//! frame of its own, and the old one goes on until then, as in a slot.
//!
//! A layer that nobody watches loses packets that nobody misses, and browsers send key frames only when asked: so
//! the tap itself notices a gap that no repair filled and asks for a key frame.

use super::RecordingId;
use crate::time::Micros;
use crate::types::LayerIndex;
use std::collections::BTreeMap;

/// A layer that has been silent for longer gives way to a lower one; shorter than that is jitter or a slow camera.
const SILENT_US: i64 = 700_000;
/// Repair by NACK has come by then, or does not come.
const REPAIR_US: i64 = 500_000;
/// Gaps longer than this are not repaired; it also bounds what is remembered.
const MAX_MISSING: usize = 512;

/// What becomes of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tapped {
    /// In which run it is to be recorded, if at all.
    pub run: Option<u32>,
    /// The recording needs a key frame of this packet's stream.
    pub key_frame_wanted: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Tap {
    /// What is recorded.
    pub recording: RecordingId,
    is_video: bool,
    layer: Option<LayerIndex>,
    run: u32,
    heard_at: Micros,
    next_index: Option<u64>,
    missing: BTreeMap<u64, Micros>,
}

impl Tap {
    /// Nothing was recorded yet.
    #[must_use]
    pub fn new(recording: RecordingId, is_video: bool) -> Self {
        Self {
            recording,
            is_video,
            layer: None,
            run: 0,
            heard_at: Micros(0),
            next_index: None,
            missing: BTreeMap::new(),
        }
    }

    /// A packet of `layer` came, with the extended sequence number `index`.
    pub fn on_packet(
        &mut self,
        layer: LayerIndex,
        index: u64,
        begins_key_frame: bool,
        now: Micros,
    ) -> Tapped {
        match self.layer {
            None => self.layer = Some(layer),
            Some(current) if current == layer => {}
            Some(current) => {
                let silent = now.since(self.heard_at) > SILENT_US;
                if layer > current && !silent {
                    return Tapped::default();
                }
                if !begins_key_frame {
                    return Tapped { run: None, key_frame_wanted: true };
                }
                self.layer = Some(layer);
                self.begin_run();
            }
        }
        self.heard_at = now;
        let key_frame_wanted = self.notice_gaps(index, begins_key_frame, now) && self.is_video;
        Tapped { run: Some(self.run), key_frame_wanted }
    }

    /// Another RTP stream stands for `layer` from now on.
    pub fn begin_again(&mut self, layer: LayerIndex) {
        if self.layer == Some(layer) {
            self.begin_run();
        }
    }

    fn begin_run(&mut self) {
        self.run = self.run.wrapping_add(1);
        self.next_index = None;
        self.missing.clear();
    }

    /// Whether a gap was given up just now.
    fn notice_gaps(&mut self, index: u64, begins_key_frame: bool, now: Micros) -> bool {
        let expected = self.next_index.unwrap_or(index);
        let mut given_up = false;
        if index < expected {
            self.missing.remove(&index);
        } else {
            let gap = index - expected;
            if gap as usize > MAX_MISSING.saturating_sub(self.missing.len()) {
                self.missing.clear();
                given_up = true;
            } else {
                self.missing.extend((expected..index).map(|lost| (lost, now)));
            }
            self.next_index = Some(index + 1);
        }
        if begins_key_frame {
            // Nothing after it refers to what is missing before it.
            self.missing = self.missing.split_off(&index);
            return false;
        }
        if self.missing.first_key_value().is_some_and(|(_, &since)| now.since(since) > REPAIR_US) {
            self.missing.clear();
            given_up = true;
        }
        given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    fn took(run: u32) -> Tapped {
        Tapped { run: Some(run), key_frame_wanted: false }
    }

    const LEFT_OUT: Tapped = Tapped { run: None, key_frame_wanted: false };

    #[test]
    fn the_best_layer_is_taken_from_its_key_frame_on() {
        let mut tap = Tap::new(1, true);
        assert_eq!(tap.on_packet(1, 100, false, Micros(0)), took(0), "from the first packet on");
        assert_eq!(tap.on_packet(2, 7, true, Micros(MS)), LEFT_OUT);
        assert_eq!(tap.on_packet(0, 50, false, Micros(2 * MS)), Tapped { run: None, key_frame_wanted: true });
        assert_eq!(tap.on_packet(1, 101, false, Micros(3 * MS)), took(0));
        assert_eq!(tap.on_packet(0, 51, true, Micros(4 * MS)), took(1));
        assert_eq!(tap.on_packet(1, 102, false, Micros(5 * MS)), LEFT_OUT);
    }

    #[test]
    fn a_silent_layer_gives_way_to_a_lower_one() {
        let mut tap = Tap::new(1, true);
        tap.on_packet(0, 1, true, Micros(0));
        assert_eq!(tap.on_packet(1, 7, true, Micros(SILENT_US)), LEFT_OUT);
        let late = Micros(SILENT_US + 1);
        assert_eq!(tap.on_packet(1, 8, false, late), Tapped { run: None, key_frame_wanted: true });
        assert_eq!(tap.on_packet(1, 9, true, late), took(1));
    }

    #[test]
    fn a_repaired_gap_is_none_and_one_that_stays_wants_a_key_frame_once() {
        let mut tap = Tap::new(1, true);
        tap.on_packet(0, 10, true, Micros(0));
        assert_eq!(tap.on_packet(0, 13, false, Micros(0)), took(0));
        assert_eq!(tap.on_packet(0, 11, false, Micros(100 * MS)), took(0));
        assert_eq!(tap.on_packet(0, 12, false, Micros(200 * MS)), took(0));
        assert_eq!(tap.on_packet(0, 14, false, Micros(900 * MS)), took(0), "all were found");
        tap.on_packet(0, 16, false, Micros(1_000 * MS));
        assert_eq!(tap.on_packet(0, 17, false, Micros(1_500 * MS)), took(0));
        let wanted = Tapped { run: Some(0), key_frame_wanted: true };
        assert_eq!(tap.on_packet(0, 18, false, Micros(1_501 * MS)), wanted);
        assert_eq!(tap.on_packet(0, 19, false, Micros(9_000 * MS)), took(0));
    }

    #[test]
    fn a_key_frame_makes_older_gaps_harmless() {
        let mut tap = Tap::new(1, true);
        tap.on_packet(0, 10, true, Micros(0));
        tap.on_packet(0, 12, true, Micros(MS));
        assert_eq!(tap.on_packet(0, 13, false, Micros(5_000 * MS)), took(0));
    }

    #[test]
    fn a_jump_is_given_up_at_once_and_costs_no_memory() {
        let mut tap = Tap::new(1, true);
        tap.on_packet(0, 10, true, Micros(0));
        assert!(tap.on_packet(0, u64::MAX - 1, false, Micros(0)).key_frame_wanted);
        assert!(tap.missing.is_empty());
        let mut voice = Tap::new(2, false);
        voice.on_packet(0, 10, false, Micros(0));
        assert_eq!(voice.on_packet(0, 100_000, false, Micros(0)), took(0), "a voice has no key frames");
    }

    #[test]
    fn another_stream_is_another_run() {
        let mut tap = Tap::new(1, true);
        tap.on_packet(0, 10, true, Micros(0));
        tap.begin_again(1);
        assert_eq!(tap.on_packet(0, 11, false, Micros(0)), took(0));
        tap.begin_again(0);
        assert_eq!(tap.on_packet(0, 5, true, Micros(0)), took(1));
    }
}
