//! What of a recording is let into the writer's queue. The drop rule: a packet for which there is no room is left
//! out (the newest, since those before it are already promised); a picture goes on at its next key frame, since
//! nothing before that could be decoded, and a voice at its next packet. What was left out is counted into the file.

use crate::time::Micros;

/// What becomes of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// Into the queue; where a hole ends here, so many packets were left out before it.
    Taken(Option<u64>),
    /// Left out.
    Dropped {
        /// It is the first: the caller is to be told.
        begins: bool,
        /// There is room again, and only a key frame is missing.
        key_frame_wanted: bool,
    },
}

/// The flow of one recording.
#[derive(Clone, Debug)]
pub struct Flow {
    is_video: bool,
    /// Packets left out since the hole began.
    hole: Option<u64>,
    not_before: Micros,
}

impl Flow {
    /// Nothing came yet.
    #[must_use]
    pub fn new(is_video: bool) -> Self {
        Self { is_video, hole: None, not_before: Micros(i64::MIN) }
    }

    /// A packet came; `room`: the queue can take it.
    pub fn offer(&mut self, begins_key_frame: bool, room: bool, now: Micros) -> Admitted {
        match &mut self.hole {
            None if room => Admitted::Taken(None),
            None => {
                self.hole = Some(1);
                Admitted::Dropped { begins: true, key_frame_wanted: false }
            }
            Some(dropped) => {
                let paused = !room || now < self.not_before;
                if paused || (self.is_video && !begins_key_frame) {
                    *dropped += 1;
                    return Admitted::Dropped { begins: false, key_frame_wanted: !paused };
                }
                Admitted::Taken(self.hole.take())
            }
        }
    }

    /// The writer could not write: a hole begins, and nothing more is taken before `until`.
    pub fn interrupt(&mut self, until: Micros) {
        self.hole.get_or_insert(0);
        self.not_before = until;
    }

    /// The recording ends: how many packets were left out last, where a hole is open.
    #[must_use]
    pub fn end(self) -> Option<u64> {
        self.hole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPPED: Admitted = Admitted::Dropped { begins: false, key_frame_wanted: false };
    const FIRST: Admitted = Admitted::Dropped { begins: true, key_frame_wanted: false };
    const WAITING: Admitted = Admitted::Dropped { begins: false, key_frame_wanted: true };

    #[test]
    fn a_picture_goes_on_at_a_key_frame() {
        let mut flow = Flow::new(true);
        assert_eq!(flow.offer(false, true, Micros(0)), Admitted::Taken(None), "nothing is missing before it");
        assert_eq!(flow.offer(false, false, Micros(1)), FIRST);
        assert_eq!(flow.offer(true, false, Micros(2)), DROPPED);
        assert_eq!(flow.offer(false, true, Micros(3)), WAITING);
        assert_eq!(flow.offer(true, true, Micros(4)), Admitted::Taken(Some(3)));
        assert_eq!(flow.offer(false, true, Micros(5)), Admitted::Taken(None));
        assert_eq!(flow.end(), None);
    }

    #[test]
    fn a_voice_goes_on_at_once() {
        let mut flow = Flow::new(false);
        assert_eq!(flow.offer(false, false, Micros(0)), FIRST);
        assert_eq!(flow.offer(false, true, Micros(1)), Admitted::Taken(Some(1)));
        assert_eq!(flow.offer(false, false, Micros(2)), FIRST, "another hole is told again");
        assert_eq!(flow.end(), Some(1));
    }

    #[test]
    fn after_a_failed_write_nothing_is_taken_for_a_while() {
        let mut flow = Flow::new(false);
        flow.interrupt(Micros(5_000_000));
        assert_eq!(flow.offer(false, true, Micros(4_999_999)), DROPPED);
        assert_eq!(flow.offer(false, true, Micros(5_000_000)), Admitted::Taken(Some(1)));
    }
}
