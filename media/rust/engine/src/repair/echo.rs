//! Help for a receiver on a bad line, unasked: what it gets late or again is sent once more a moment later. By then
//! the time that a packet is good for allows one more question at most, so the answer must not be lost too.

use crate::time::Micros;
use std::collections::VecDeque;

/// Echoes of one peer that wait; one more is not made, and counted.
pub const MOST: usize = 64;
/// How much later the echo leaves: bursts of loss are mostly over by then, and the receiver has not asked again.
pub const AFTER_US: i64 = 15_000;
/// Loss in 1/256, smoothed, above which a line is bad: 3 %.
const BEGINS: u32 = 8;
/// And below which it is good again: 1 %.
const ENDS: u32 = 3;
/// Smoothed values are kept in 1/16 of that.
const FINE: u32 = 16;
/// A new report counts for a quarter.
const SMOOTHING: u32 = 4;

/// What the line to the receiver of one half loses.
#[derive(Debug, Default)]
pub struct BadLine {
    is_bad: bool,
    smoothed: u32,
    sent_before: u64,
    asked_before: u64,
}

impl BadLine {
    /// A receiver report came with this loss in 1/256; so many packets have been sent to it so far, and it has asked
    /// for so many of them. Gives what the line lost since the report before, in 1/256.
    ///
    /// A voice that comes again as it was counts as received, and some receivers count RTX so: what was asked for was
    /// lost, whatever the report says.
    pub fn on_report(&mut self, fraction_lost: u8, sent: u64, asked: u64) -> u8 {
        let sent_now = sent.saturating_sub(self.sent_before).max(1);
        let asked_now = asked.saturating_sub(self.asked_before);
        (self.sent_before, self.asked_before) = (sent, asked);
        let lost = fraction_lost.max((asked_now * 256 / sent_now).min(255) as u8);
        self.smoothed = (self.smoothed * (SMOOTHING - 1) + u32::from(lost) * FINE) / SMOOTHING;
        if self.smoothed > BEGINS * FINE {
            self.is_bad = true;
        } else if self.smoothed < ENDS * FINE {
            self.is_bad = false;
        }
        lost
    }

    /// Whether what is sent late or again is echoed.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.is_bad
    }
}

/// A packet of a half that is to leave once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echo {
    /// The half's place in the peer.
    pub half: usize,
    /// The sequence number in its stream.
    pub sequence: u16,
}

/// The echoes of one peer that wait, in the order in which they are due.
#[derive(Debug, Default)]
pub struct Echoes {
    waiting: VecDeque<(Micros, Echo)>,
    /// Sent.
    pub sent: u64,
    /// Not made because too many waited.
    pub dropped: u64,
}

impl Echoes {
    /// This packet leaves now; let it leave again.
    pub fn add(&mut self, echo: Echo, now: Micros) {
        if self.waiting.len() < MOST {
            self.waiting.push_back((now.plus(AFTER_US), echo));
        } else {
            self.dropped += 1;
        }
    }

    /// The next one that is due.
    pub fn due(&mut self, now: Micros) -> Option<Echo> {
        let (at, _) = self.waiting.front()?;
        if *at > now {
            return None;
        }
        self.waiting.pop_front().map(|(_, echo)| echo)
    }

    /// Whether one waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bad_above_three_percent_and_good_below_one() {
        let mut line = BadLine::default();
        line.on_report(13, 100, 0);
        assert!(!line.is_bad(), "one report is no line");
        (0..20).for_each(|_| assert!(line.on_report(13, 100, 0) < 14));
        assert!(line.is_bad());
        (0..20).for_each(|_| assert!(line.on_report(5, 100, 0) < 14));
        assert!(line.is_bad(), "2 %: as it was");
        (0..20).for_each(|_| assert!(line.on_report(1, 100, 0) < 14));
        assert!(!line.is_bad());
    }

    #[test]
    fn what_was_asked_for_was_lost_whatever_the_report_says() {
        let mut line = BadLine::default();
        assert_eq!(line.on_report(0, 50, 5), 25);
        assert_eq!(line.on_report(0, 100, 5), 0);
        assert_eq!(line.on_report(40, 150, 10), 40, "not both");
        assert_eq!(line.on_report(0, 150, 1_000), 255, "nothing sent and much asked for");
    }

    #[test]
    fn an_echo_leaves_once_when_it_is_due_and_no_more_wait_than_may() {
        let mut echoes = Echoes::default();
        let echo = |sequence| Echo { half: 1, sequence };
        for sequence in 0..=MOST as u16 {
            echoes.add(echo(sequence), Micros(0));
        }
        assert_eq!(echoes.dropped, 1);
        assert_eq!(echoes.due(Micros(AFTER_US - 1)), None);
        for sequence in 0..MOST as u16 {
            assert_eq!(echoes.due(Micros(AFTER_US)), Some(echo(sequence)));
        }
        assert!(!echoes.is_waiting());
    }
}
