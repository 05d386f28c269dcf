//! The end of a picture that does not come. A gap shows with the next packet, and after a picture's last one that is
//! the next picture's first, 30 or 40 ms later; where the marker bit is overdue against the picture's own pace, what
//! is missing can be asked for before.

use crate::time::Micros;

/// A picture is not overdue sooner than this, however fast its packets follow each other.
const SOONEST_US: i64 = 10_000;
/// Packets asked for at most, seen or not: a guess must not cost more than it saves.
const MOST: u64 = 4;

/// The picture that is under way in one layer.
#[derive(Debug, Default)]
pub struct Tail {
    /// The newest packet: extended sequence number, timestamp, when it came.
    newest: Option<(u64, i64, Micros)>,
    is_open: bool,
    /// The longest time between two packets of one picture, forgotten by and by.
    spacing_us: i64,
    /// Packets of this picture so far, and of the one before.
    packets: u64,
    before: u64,
}

impl Tail {
    /// A packet came; `is_end` says that nothing of its picture follows (RFC 3550 section 5.1, the marker bit).
    pub fn on_packet(&mut self, index: u64, timestamp: i64, is_end: bool, now: Micros) {
        match self.newest {
            Some((newest, _, _)) if index <= newest => return,
            Some((newest, same, at)) if same == timestamp => {
                if index == newest + 1 {
                    self.spacing_us = now.since(at).max(self.spacing_us - self.spacing_us / 16);
                }
                self.packets = self.packets.saturating_add(index - newest);
            }
            _ => (self.before, self.packets) = (self.packets, 1),
        }
        self.newest = Some((index, timestamp, now));
        self.is_open = !is_end;
    }

    /// True while more of the picture is to come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// How many packets after the newest are worth asking for, once, when the rest of the picture is overdue: as many
    /// as the picture before had, but at least one and at most four.
    pub fn overdue(&mut self, now: Micros) -> Option<u64> {
        let (_, _, at) = self.newest.filter(|_| self.is_open)?;
        if now.since(at) < SOONEST_US.max(2 * self.spacing_us) {
            return None;
        }
        self.is_open = false;
        Some(self.before.saturating_sub(self.packets).clamp(1, MOST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000;

    /// A picture of four packets, 2 ms apart, of which the first `come` come.
    fn picture(tail: &mut Tail, number: i64, come: u64) {
        for part in 0..come {
            let now = Micros(number * 40 * MS + part as i64 * 2 * MS);
            tail.on_packet(100 + number as u64 * 4 + part, number * 3_600, part == 3, now);
        }
    }

    #[test]
    fn what_the_picture_before_had_more_is_asked_for_once() {
        let mut tail = Tail::default();
        picture(&mut tail, 0, 4);
        assert!(!tail.is_open());
        assert_eq!(tail.overdue(Micros(39 * MS)), None, "it is whole");
        picture(&mut tail, 1, 2);
        assert!(tail.is_open());
        assert_eq!(tail.overdue(Micros(51 * MS)), None, "10 ms are not over");
        assert_eq!(tail.overdue(Micros(52 * MS)), Some(2));
        assert_eq!(tail.overdue(Micros(60 * MS)), None, "once");
    }

    #[test]
    fn a_slow_picture_has_more_time_and_a_late_packet_changes_nothing() {
        let mut tail = Tail::default();
        for (index, ms) in [(10, 0), (11, 30), (9, 40)] {
            tail.on_packet(index, 0, false, Micros(ms * MS));
        }
        assert_eq!(tail.overdue(Micros(89 * MS)), None);
        assert_eq!(tail.overdue(Micros(90 * MS)), Some(1));
    }

    #[test]
    fn a_guess_is_bounded() {
        let mut tail = Tail::default();
        for index in 0..200 {
            tail.on_packet(index, 0, index == 199, Micros(0));
        }
        tail.on_packet(200, 1, false, Micros(0));
        assert_eq!(tail.overdue(Micros(Micros::SECOND)), Some(4));
    }
}
