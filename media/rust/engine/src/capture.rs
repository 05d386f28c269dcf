//! From a publisher's RTP timestamps to capture times on the one server clock (RFC 3550 section 6.4.1).
//!
//! A publisher's sender reports tie its RTP timestamps to its own clock, the same for all its sources, so
//! picture and voice stay together. What is left is the offset between its clock and ours: the smallest
//! (arrival - sender's time) seen in 30 s, since delay on the way only ever adds. The minimum is followed
//! slowly, so that drift is tracked and a passing change of the way is not. Until the first report of a
//! source comes, its arrivals serve in the same manner.

use crate::time::{Micros, ntp_to_us, ticks_to_us};

const WINDOW_BUCKETS: usize = 30;
const BUCKET_US: i64 = Micros::SECOND;
/// 5 ms a second follows any crystal (200 ppm) with room, and is far below what an ear or eye notices.
const SLEW_PER_SECOND_US: i64 = 5_000;
/// In the first second the minimum is still falling to the truth: follow it at once.
const SETTLING_US: i64 = Micros::SECOND;
/// A capture time further than this from the arrival is a publisher's error, not a delay.
const MAX_AGE_US: i64 = 10 * Micros::SECOND;
const MAX_AHEAD_US: i64 = Micros::SECOND;
/// Two reports that disagree by more than this mean that the sender's clock was set.
const CLOCK_STEP_US: i64 = 500_000;

/// A sliding minimum over 30 s, followed at a bounded rate.
#[derive(Clone, Debug)]
pub struct SlewedMinimum {
    buckets: [i64; WINDOW_BUCKETS],
    bucket_start: Option<Micros>,
    at: usize,
    first: Micros,
    last: Micros,
    value: i64,
}

impl Default for SlewedMinimum {
    fn default() -> Self {
        Self {
            buckets: [i64::MAX; WINDOW_BUCKETS],
            bucket_start: None,
            at: 0,
            first: Micros(0),
            last: Micros(0),
            value: 0,
        }
    }
}

impl SlewedMinimum {
    /// Take a sample into account.
    pub fn observe(&mut self, sample_us: i64, now: Micros) {
        let Some(start) = self.bucket_start else {
            self.bucket_start = Some(now);
            self.buckets[self.at] = sample_us;
            self.value = sample_us;
            self.first = now;
            self.last = now;
            return;
        };
        let steps = (now.since(start) / BUCKET_US).max(0);
        if steps > 0 {
            for _ in 0..steps.min(WINDOW_BUCKETS as i64) {
                self.at = (self.at + 1) % WINDOW_BUCKETS;
                self.buckets[self.at] = i64::MAX;
            }
            self.bucket_start = Some(start.plus(steps * BUCKET_US));
        }
        self.buckets[self.at] = self.buckets[self.at].min(sample_us);
        let minimum = self.buckets.iter().copied().min().unwrap_or(sample_us);
        let limit = if now.since(self.first) < SETTLING_US {
            i64::MAX
        } else {
            let elapsed = now.since(self.last).clamp(0, 10 * Micros::SECOND);
            // Carry the fraction: advance `last` only when the limit is at least one microsecond.
            elapsed * SLEW_PER_SECOND_US / Micros::SECOND
        };
        if limit > 0 {
            let error = minimum.saturating_sub(self.value);
            self.value = self.value.saturating_add(error.clamp(-limit, limit));
            self.last = now;
        }
    }

    /// The followed minimum, once there was a sample.
    #[must_use]
    pub fn value(&self) -> Option<i64> {
        self.bucket_start.map(|_| self.value)
    }
}

/// One publisher's clock against ours; shared by all its sources.
#[derive(Clone, Debug, Default)]
pub struct PublisherClock {
    offset: SlewedMinimum,
}

#[derive(Clone, Copy, Debug)]
struct Report {
    sender_us: i64,
    timestamp: i64,
}

/// One source layer's way from RTP timestamp to capture time.
#[derive(Clone, Debug)]
pub struct SourceClock {
    rate: u32,
    report: Option<Report>,
    arrival_offset: SlewedMinimum,
}

impl SourceClock {
    /// For a media clock of `rate` ticks a second.
    #[must_use]
    pub fn new(rate: u32) -> Self {
        Self { rate, report: None, arrival_offset: SlewedMinimum::default() }
    }

    /// A sender report said that `timestamp` (unwrapped) was at `ntp` on the sender's clock.
    pub fn on_report(&mut self, publisher: &mut PublisherClock, ntp: u64, timestamp: i64) {
        let sender_us = ntp_to_us(ntp);
        if let Some(old) = self.report {
            let expected =
                old.sender_us.saturating_add(ticks_to_us(timestamp.saturating_sub(old.timestamp), self.rate));
            if expected.saturating_sub(sender_us).abs() > CLOCK_STEP_US {
                *publisher = PublisherClock::default();
            }
        }
        self.report = Some(Report { sender_us, timestamp });
    }

    /// A packet with this unwrapped timestamp arrived now.
    pub fn on_packet(&mut self, publisher: &mut PublisherClock, timestamp: i64, now: Micros) {
        match self.report {
            Some(report) => {
                let sender_us = self.sender_time(report, timestamp);
                publisher.offset.observe(now.0.saturating_sub(sender_us), now);
            }
            None => {
                let us = ticks_to_us(timestamp, self.rate);
                self.arrival_offset.observe(now.0.saturating_sub(us), now);
            }
        }
    }

    /// When `timestamp` was captured, on the server clock. `now` bounds it: a publisher that reports
    /// nonsense can spoil its own lip sync and nothing else.
    #[must_use]
    pub fn capture_time(&self, publisher: &PublisherClock, timestamp: i64, now: Micros) -> Micros {
        let captured = match (self.report, publisher.offset.value()) {
            (Some(report), Some(offset)) => self.sender_time(report, timestamp).saturating_add(offset),
            _ => match self.arrival_offset.value() {
                Some(offset) => ticks_to_us(timestamp, self.rate).saturating_add(offset),
                None => now.0,
            },
        };
        if captured < now.0 - MAX_AGE_US || captured > now.0 + MAX_AHEAD_US {
            return now;
        }
        Micros(captured)
    }

    fn sender_time(&self, report: Report, timestamp: i64) -> i64 {
        let ticks = timestamp.saturating_sub(report.timestamp);
        report.sender_us.saturating_add(ticks_to_us(ticks, self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::NtpEpoch;

    const S: i64 = Micros::SECOND;

    #[test]
    fn minimum_ignores_delay_and_forgets_after_the_window() {
        let mut minimum = SlewedMinimum::default();
        minimum.observe(100, Micros(0));
        minimum.observe(40_000, Micros(S / 2));
        assert_eq!(minimum.value(), Some(100));
        for second in 1..29 {
            minimum.observe(40_000, Micros(second * S));
        }
        assert_eq!(minimum.value(), Some(100), "a longer way within the window changes nothing");
        for second in 29..50 {
            minimum.observe(40_000, Micros(second * S));
        }
        assert_eq!(minimum.value(), Some(40_000), "a lasting longer way is followed");
    }

    #[test]
    fn minimum_follows_no_faster_than_the_slew() {
        let mut minimum = SlewedMinimum::default();
        minimum.observe(0, Micros(0));
        minimum.observe(0, Micros(2 * S));
        minimum.observe(-100_000, Micros(3 * S));
        assert_eq!(minimum.value(), Some(-5_000));
    }

    #[test]
    fn picture_and_voice_of_one_publisher_meet_on_the_server_clock() {
        // The sender's clock is off by an hour; the picture arrives 80 ms later than the voice.
        let epoch = NtpEpoch(0);
        let sender = |us: i64| Micros(us + 3600 * S).to_ntp(epoch);
        let mut publisher = PublisherClock::default();
        let mut voice = SourceClock::new(48_000);
        let mut picture = SourceClock::new(90_000);
        voice.on_report(&mut publisher, sender(0), 1_000);
        picture.on_report(&mut publisher, sender(0), 5_000);
        for n in 0..100 {
            let captured = n * 20_000;
            voice.on_packet(&mut publisher, 1_000 + 960 * n, Micros(captured + 10_000));
            picture.on_packet(&mut publisher, 5_000 + 1_800 * n, Micros(captured + 90_000));
        }
        let now = Micros(2 * S);
        let voice_at = voice.capture_time(&publisher, 1_000 + 960 * 99, now);
        let picture_at = picture.capture_time(&publisher, 5_000 + 1_800 * 99, now);
        assert_eq!(voice_at, picture_at);
        assert_eq!(voice_at, Micros(99 * 20_000 + 10_000));
    }

    #[test]
    fn drift_of_a_lesson_is_followed() {
        // 100 ppm over 45 minutes is 270 ms.
        let mut publisher = PublisherClock::default();
        let mut voice = SourceClock::new(48_000);
        let mut worst = 0;
        for n in 0..(45 * 60 * 50) {
            let arrival = Micros(n * 20_000 + n * 2);
            voice.on_packet(&mut publisher, 960 * n, arrival);
            worst = worst.max(voice.capture_time(&publisher, 960 * n, arrival).since(arrival).abs());
        }
        assert!(worst <= 3_500, "capture times fell {worst} us behind");
    }

    #[test]
    fn nonsense_reports_are_bounded() {
        let mut publisher = PublisherClock::default();
        let mut voice = SourceClock::new(48_000);
        voice.on_packet(&mut publisher, 0, Micros(0));
        voice.on_report(&mut publisher, u64::MAX, i64::MIN / 8);
        voice.on_packet(&mut publisher, i64::MAX / 8, Micros(20_000));
        voice.on_report(&mut publisher, 0, 0);
        let at = voice.capture_time(&publisher, 960, Micros(20_000));
        assert!(at.since(Micros(20_000)).abs() <= 10 * S);
    }

    #[test]
    fn a_set_clock_starts_the_offset_anew() {
        let epoch = NtpEpoch(0);
        let mut publisher = PublisherClock::default();
        let mut voice = SourceClock::new(48_000);
        voice.on_report(&mut publisher, Micros(0).to_ntp(epoch), 0);
        voice.on_packet(&mut publisher, 0, Micros(10_000));
        voice.on_report(&mut publisher, Micros(7 * S).to_ntp(epoch), 48_000);
        voice.on_packet(&mut publisher, 48_000, Micros(S + 10_000));
        let at = voice.capture_time(&publisher, 48_000, Micros(S + 10_000));
        assert_eq!(at, Micros(S + 10_000));
    }
}
