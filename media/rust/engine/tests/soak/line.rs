//! The lines between endpoints and the server: loss in bursts, delay, some packets overtaken. Seeded.

use super::common::MS;
use luokkasilta_engine::time::Micros;

/// SplitMix64: good enough to toss coins with, and the same on every machine.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// One direction of an endpoint's line: about 1 % lost, in bursts of about 2.5 packets (Gilbert-Elliott), the rest
/// 20 to 26 ms under way and in order, but for one in 200 that is overtaken.
pub struct Line {
    random: Random,
    is_bad: bool,
    last: Micros,
}

impl Line {
    pub fn new(seed: u64) -> Self {
        Self { random: Random(seed), is_bad: false, last: Micros(0) }
    }

    /// When a packet arrives that leaves now; `None` for one that is lost.
    pub fn carry(&mut self, now: Micros) -> Option<Micros> {
        let toss = self.random.below(1_000);
        self.is_bad = if self.is_bad { toss >= 400 } else { toss < 4 };
        let at = now.plus(20 * MS + self.random.below(6) as i64 * MS);
        if self.random.below(200) == 0 {
            return (!self.is_bad).then(|| at.plus(30 * MS));
        }
        self.last = self.last.max(at);
        (!self.is_bad).then_some(self.last)
    }
}
