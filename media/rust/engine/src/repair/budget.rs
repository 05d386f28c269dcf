//! How much is sent again to one receiver: a share of what it gets anyway, so that a line that loses because it is
//! full is not filled further, and a receiver that asks for everything gets no more than others.

use crate::time::Micros;

/// Octets that may be sent again at once.
const MOST: i64 = 128 * 1024;
/// Octets a second, whatever else is sent.
const PER_SECOND: i64 = 32 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Budget {
    octets: i64,
    counted_at: Micros,
}

impl Budget {
    /// A full one.
    #[must_use]
    pub fn new(now: Micros) -> Self {
        Self { octets: MOST, counted_at: now }
    }

    /// So many octets were sent for the first time: half as many may be sent again.
    pub fn earn(&mut self, octets: usize) {
        self.octets = (self.octets + octets as i64 / 2).min(MOST);
    }

    /// Whether so many may be sent again now; they count as sent.
    pub fn spend(&mut self, octets: usize, now: Micros) -> bool {
        let earned = now.since(self.counted_at).clamp(0, Micros::SECOND) * PER_SECOND / Micros::SECOND;
        if earned > 0 {
            self.octets = (self.octets + earned).min(MOST);
            self.counted_at = now;
        }
        let enough = self.octets >= octets as i64;
        if enough {
            self.octets -= octets as i64;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_everything_gets_a_share() {
        let mut budget = Budget::new(Micros(0));
        let at_once = (0..1_000).filter(|_| budget.spend(1_200, Micros(0))).count();
        assert_eq!(at_once, 109, "128 KiB");
        let later = (0..1_000).filter(|_| budget.spend(1_200, Micros(Micros::SECOND))).count();
        assert_eq!(later, 27, "and 32 KiB a second");
        budget.earn(12_000);
        assert!((0..5).all(|_| budget.spend(1_200, Micros(Micros::SECOND))));
        assert!(!budget.spend(1_200, Micros(Micros::SECOND)));
    }
}
