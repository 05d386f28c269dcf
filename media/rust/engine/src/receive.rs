//! What is received of one RTP stream: loss and jitter for receiver reports (RFC 3550 section 6.4, A.3, A.8).

use crate::time::{Micros, us_to_ticks};

/// Counters of one SSRC that a peer sends us.
#[derive(Clone, Debug, Default)]
pub struct ReceiveStats {
    first_index: Option<u64>,
    highest_index: u64,
    received: u64,
    expected_before: u64,
    received_before: u64,
    /// Scaled by 16, as in RFC 3550 A.8.
    jitter_q4: i64,
    last_transit: Option<i64>,
    last_report_ntp: u32,
    last_report_at: Option<Micros>,
    /// Payload octets received.
    pub octets: u64,
}

/// The reception part of a report block, RFC 3550 section 6.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reception {
    /// Loss since the report before, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start; 24 bits, signed.
    pub cumulative_lost: i32,
    /// Extended highest sequence number.
    pub highest_sequence: u32,
    /// Interarrival jitter in media clock ticks.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time.
    pub last_sr: u32,
    /// Since that report, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReceiveStats {
    /// A packet with the extended sequence number `index` arrived; `timestamp` is unwrapped.
    pub fn on_packet(&mut self, index: u64, timestamp: i64, rate: u32, payload: usize, now: Micros) {
        if self.first_index.is_none() {
            self.first_index = Some(index);
            self.highest_index = index;
        }
        self.highest_index = self.highest_index.max(index);
        self.received += 1;
        self.octets += payload as u64;
        let transit = us_to_ticks(now.0, rate).wrapping_sub(timestamp);
        if let Some(last) = self.last_transit {
            let d = transit.wrapping_sub(last).saturating_abs().min(i64::from(u32::MAX));
            self.jitter_q4 += d - ((self.jitter_q4 + 8) >> 4);
        }
        self.last_transit = Some(transit);
    }

    /// A sender report of this stream arrived.
    pub fn on_sender_report(&mut self, ntp: u64, now: Micros) {
        self.last_report_ntp = (ntp >> 16) as u32;
        self.last_report_at = Some(now);
    }

    /// Packets received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Packets that should have come and have not.
    #[must_use]
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    fn expected(&self) -> u64 {
        self.first_index.map_or(0, |first| self.highest_index - first.min(self.highest_index) + 1)
    }

    /// The block for the next report; `None` before the first packet. Starts a new interval.
    pub fn report(&mut self, now: Micros) -> Option<Reception> {
        self.first_index?;
        let expected = self.expected();
        let expected_interval = expected.saturating_sub(self.expected_before) as i64;
        let received_interval = (self.received - self.received_before) as i64;
        self.expected_before = expected;
        self.received_before = self.received;
        let lost_interval = expected_interval - received_interval;
        let fraction_lost = if expected_interval <= 0 || lost_interval <= 0 {
            0
        } else {
            ((lost_interval << 8) / expected_interval).min(255) as u8
        };
        let delay = self.last_report_at.map_or(0, |at| {
            let us = now.since(at).clamp(0, 65_535 * Micros::SECOND);
            ((i128::from(us) << 16) / 1_000_000) as u32
        });
        Some(Reception {
            fraction_lost,
            cumulative_lost: self.lost().clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: self.highest_index as u32,
            jitter: (self.jitter_q4 >> 4).clamp(0, i64::from(u32::MAX)) as u32,
            last_sr: self.last_report_ntp,
            delay_since_last_sr: delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_counted_per_interval_and_in_all() {
        let mut stats = ReceiveStats::default();
        assert_eq!(stats.report(Micros(0)), None);
        for index in [65_536_u64 + 10, 65_536 + 11, 65_536 + 13] {
            stats.on_packet(index, 0, 48_000, 100, Micros(0));
        }
        let first = stats.report(Micros(0)).expect("packets came");
        assert_eq!((first.fraction_lost, first.cumulative_lost), (64, 1));
        assert_eq!(first.highest_sequence, 65_536 + 13);
        stats.on_packet(65_536 + 12, 0, 48_000, 100, Micros(0));
        stats.on_packet(65_536 + 14, 0, 48_000, 100, Micros(0));
        let second = stats.report(Micros(0)).expect("packets came");
        assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 0), "the late one is found again");
    }

    #[test]
    fn duplicates_make_loss_negative_as_the_rfc_says() {
        let mut stats = ReceiveStats::default();
        for _ in 0..3 {
            stats.on_packet(65_546, 0, 48_000, 1, Micros(0));
        }
        assert_eq!(stats.report(Micros(0)).expect("packets came").cumulative_lost, -2);
    }

    #[test]
    fn jitter_of_a_steady_stream_is_zero_and_of_an_unsteady_one_is_not() {
        let mut steady = ReceiveStats::default();
        let mut unsteady = ReceiveStats::default();
        for n in 0..200_i64 {
            let ts = n * 960;
            steady.on_packet(65_536 + n as u64, ts, 48_000, 1, Micros(n * 20_000));
            unsteady.on_packet(65_536 + n as u64, ts, 48_000, 1, Micros(n * 20_000 + (n % 2) * 10_000));
        }
        assert_eq!(steady.report(Micros(0)).expect("packets").jitter, 0);
        let jitter = unsteady.report(Micros(0)).expect("packets").jitter;
        assert!((470..=490).contains(&jitter), "10 ms back and forth is 480 ticks, not {jitter}");
    }

    #[test]
    fn delay_since_the_last_sender_report() {
        let mut stats = ReceiveStats::default();
        stats.on_packet(65_536, 0, 48_000, 1, Micros(0));
        stats.on_sender_report(0x1234_5678_9abc_def0, Micros(0));
        let block = stats.report(Micros(1_500_000)).expect("packets");
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x5678_9abc, 98_304));
    }
}
