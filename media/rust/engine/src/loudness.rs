//! How loud a source is, by what its publisher says of each packet (RFC 6464), told twice a second while it is heard.

use crate::time::Micros;

/// Nothing at all: 127 dB below overload.
pub const SILENT: u8 = 127;
/// From here on down it is the noise of a room, in dB below overload.
const NOISE: u8 = 60;
/// Time constants: a word is noticed as it is said, a click is none, and a pause between two words is no silence.
const RISE_US: i64 = 100_000;
const FALL_US: i64 = 1_000_000;
/// Without packets for this long it is silent; a browser that saves silence still sends one each 400 ms.
const GONE_US: i64 = 800_000;
/// How often it is told.
pub const TOLD_US: i64 = 500_000;
/// Parts of a dB in which it is kept.
const PARTS: i64 = 64;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Loudness {
    /// In parts of a dB below overload.
    smoothed: i64,
    at: Option<Micros>,
    told: u8,
    told_at: Option<Micros>,
}

impl Default for Loudness {
    fn default() -> Self {
        Self { smoothed: i64::from(SILENT) * PARTS, at: None, told: SILENT, told_at: None }
    }
}

impl Loudness {
    /// A packet with this octet of the extension: a flag for voice activity, and dB below overload.
    pub fn on_level(&mut self, octet: u8, now: Micros) {
        let level = i64::from(octet & 0x7f) * PARTS;
        if let Some(at) = self.at {
            let passed = now.since(at).clamp(0, GONE_US);
            let constant = if level < self.smoothed { RISE_US } else { FALL_US };
            self.smoothed += (level - self.smoothed) * passed / (constant + passed);
        } else {
            self.smoothed = level;
        }
        self.at = Some(now);
    }

    /// dB below overload, [`SILENT`] for noise and for nothing.
    #[must_use]
    pub fn level(&self, now: Micros) -> u8 {
        let heard = self.at.is_some_and(|at| now.since(at) <= GONE_US);
        let level = (self.smoothed / PARTS) as u8;
        if heard && level < NOISE { level } else { SILENT }
    }

    /// What is to be told now, if anything: the level while it is heard, and once that it is no longer.
    pub fn news(&mut self, now: Micros) -> Option<u8> {
        if self.told_at.is_some_and(|at| now.since(at) < TOLD_US) {
            return None;
        }
        let level = self.level(now);
        if level == SILENT && self.told == SILENT {
            return None;
        }
        self.told = level;
        self.told_at = Some(now);
        Some(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms with this octet, and what is told meanwhile; gives the time after.
    fn talk(it: &mut Loudness, octet: u8, from: i64, until: i64, told: &mut Vec<(i64, u8)>) {
        for at in (from..until).step_by(20) {
            it.on_level(octet, Micros(at * 1_000));
            told.extend(it.news(Micros(at * 1_000)).map(|level| (at, level)));
        }
    }

    #[test]
    fn speech_is_told_twice_a_second_and_its_end_once() {
        let mut it = Loudness::default();
        let mut told = Vec::new();
        talk(&mut it, 0x80 | 20, 0, 2_000, &mut told);
        assert_eq!(told, [(0, 20), (500, 20), (1_000, 20), (1_500, 20)]);
        talk(&mut it, 127, 2_000, 6_000, &mut told);
        let (_, last) = told.pop().expect("told");
        assert_eq!(last, SILENT);
        assert!(told.iter().all(|&(_, level)| level < SILENT), "{told:?}");
    }

    #[test]
    fn a_click_is_not_speech_and_noise_is_silence() {
        let mut it = Loudness::default();
        let mut told = Vec::new();
        talk(&mut it, 90, 0, 1_000, &mut told);
        it.on_level(0, Micros(1_000_000));
        assert!(it.level(Micros(1_000_000)) > NOISE, "one packet of noise is no voice");
        talk(&mut it, NOISE, 1_020, 5_000, &mut told);
        assert_eq!(told, []);
    }

    #[test]
    fn pauses_between_words_are_no_silence() {
        let mut it = Loudness::default();
        let mut told = Vec::new();
        // A browser's noise suppression leaves nothing at all in them.
        for word in 0..20 {
            talk(&mut it, 0x80 | 30, word * 500, word * 500 + 300, &mut told);
            talk(&mut it, 127, word * 500 + 300, word * 500 + 500, &mut told);
        }
        assert!(told.len() >= 18, "{told:?}");
        assert!(told.iter().skip(1).all(|&(_, level)| level < NOISE), "{told:?}");
    }

    #[test]
    fn who_sends_nothing_is_silent() {
        let mut it = Loudness::default();
        it.on_level(10, Micros(0));
        assert_eq!(it.news(Micros(0)), Some(10));
        assert_eq!(it.news(Micros(TOLD_US)), Some(10));
        assert_eq!(it.news(Micros(GONE_US + TOLD_US)), Some(SILENT));
        assert_eq!(it.news(Micros(9 * TOLD_US)), None);
    }
}
