//! A line that loses, reorders and repeats packets, by a seed.

/// How packets are lost; about 5 % each but for `Nothing`.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// None at all.
    Nothing,
    /// Each by itself.
    Random,
    /// Gilbert-Elliott: bursts of 3.3 packets on average, some of more than ten.
    Gilbert,
    /// Bursts of two to five packets, each length as likely.
    Bursts,
}

/// What a line does to packets.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub loss: Loss,
    /// Packets in a hundred that take up to 15 ms longer, and so come after later ones.
    pub late_percent: u32,
    /// Packets in a hundred that come twice.
    pub twice_percent: u32,
}

/// One direction of one leg.
pub struct Line {
    state: u64,
    weather: Weather,
    is_bad: bool,
    burst: u32,
}

impl Line {
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self { state: seed, weather, is_bad: false, burst: 0 }
    }

    /// For each copy of a packet that arrives: how much longer than usual it takes, in microseconds.
    pub fn carry(&mut self) -> Vec<i64> {
        if self.loses() {
            return Vec::new();
        }
        let copies = 1 + usize::from(self.percent(self.weather.twice_percent));
        (0..copies)
            .map(
                |_| {
                    if self.percent(self.weather.late_percent) {
                        (self.random() * 15_000.0) as i64
                    } else {
                        0
                    }
                },
            )
            .collect()
    }

    fn percent(&mut self, percent: u32) -> bool {
        percent > 0 && self.random() * 100.0 < f64::from(percent)
    }

    fn random(&mut self) -> f64 {
        // SplitMix64: good enough to toss coins with.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn loses(&mut self) -> bool {
        match self.weather.loss {
            Loss::Nothing => false,
            Loss::Random => self.random() < 0.05,
            Loss::Gilbert => {
                let toss = self.random();
                self.is_bad = if self.is_bad { toss >= 0.3 } else { toss < 0.0158 };
                self.is_bad
            }
            Loss::Bursts => {
                if self.burst == 0 && self.random() < 0.0148 {
                    self.burst = 2 + (self.random() * 4.0) as u32;
                }
                let loses = self.burst > 0;
                self.burst = self.burst.saturating_sub(1);
                loses
            }
        }
    }
}
