//! The server clock. All core logic takes a [`Micros`] as an argument; only `io` reads the real clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Microseconds since the engine started. Signed, so that a capture time may lie before the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

/// Seconds from the NTP epoch (1900) to the Unix epoch (1970), RFC 5905.
const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

impl Micros {
    /// One second.
    pub const SECOND: i64 = 1_000_000;

    /// The span from `earlier` to `self`, in microseconds; negative when `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0)
    }

    /// This moment moved by `us` microseconds.
    #[must_use]
    pub const fn plus(self, us: i64) -> Self {
        Self(self.0.wrapping_add(us))
    }

    /// As a 64-bit NTP timestamp (32.32 fixed point, RFC 3550 section 4). The engine's zero is put at `epoch`.
    #[must_use]
    pub fn to_ntp(self, epoch: NtpEpoch) -> u64 {
        let us = i128::from(epoch.0) + i128::from(self.0);
        let fixed = (us << 32) / i128::from(Self::SECOND);
        fixed as u64
    }
}

/// Where on the NTP time scale the engine's zero lies, in microseconds since 1900.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NtpEpoch(pub i64);

impl NtpEpoch {
    /// The same in microseconds since 1970.
    #[must_use]
    pub const fn to_unix_us(self) -> i64 {
        self.0.saturating_sub(NTP_UNIX_OFFSET_S as i64 * Micros::SECOND)
    }
}

/// An NTP timestamp in microseconds since its epoch; good for differences within one sender.
#[must_use]
pub fn ntp_to_us(ntp: u64) -> i64 {
    ((u128::from(ntp) * 1_000_000) >> 32) as i64
}

/// Media clock ticks as microseconds; saturates far outside of what a lesson can hold.
#[must_use]
pub fn ticks_to_us(ticks: i64, rate: u32) -> i64 {
    let us = i128::from(ticks) * 1_000_000 / i128::from(rate.max(1));
    us.clamp(i128::from(i64::MIN / 4), i128::from(i64::MAX / 4)) as i64
}

/// Microseconds as media clock ticks.
#[must_use]
pub fn us_to_ticks(us: i64, rate: u32) -> i64 {
    let ticks = i128::from(us) * i128::from(rate) / 1_000_000;
    ticks.clamp(i128::from(i64::MIN / 4), i128::from(i64::MAX / 4)) as i64
}

/// Reads the machine's monotonic clock as [`Micros`].
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    epoch: NtpEpoch,
}

impl Clock {
    /// A clock whose zero is now.
    #[must_use]
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let ntp = unix + Duration::from_secs(NTP_UNIX_OFFSET_S);
        Self { start: Instant::now(), epoch: NtpEpoch(ntp.as_micros() as i64) }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Micros {
        Micros(self.start.elapsed().as_micros() as i64)
    }

    /// Where the zero lies on the NTP scale.
    #[must_use]
    pub fn epoch(&self) -> NtpEpoch {
        self.epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_round_trip_keeps_microseconds() {
        let epoch = NtpEpoch(3_900_000_000 * 1_000_000);
        for us in [0, 1, 999_999, 1_000_000, 86_400_000_001] {
            let there = ntp_to_us(Micros(us).to_ntp(epoch));
            assert!((there - epoch.0 - us).abs() <= 1, "{us} came back as {}", there - epoch.0);
        }
    }

    #[test]
    fn ticks_saturate_instead_of_overflowing() {
        assert!(ticks_to_us(i64::MAX, 1) > 0);
        assert!(us_to_ticks(i64::MIN, u32::MAX) < 0);
        assert_eq!(ticks_to_us(90_000, 90_000), 1_000_000);
        assert_eq!(us_to_ticks(20_000, 48_000), 960);
    }
}
