//! The first octet of an Opus packet (RFC 6716 section 3.1), which tells how long it plays.

use super::octet;

/// A packet plays for 120 ms at most (RFC 6716 section 3.2.5), on RTP's clock of 48,000 ticks (RFC 7587 section 4.1).
pub const MAX_TICKS: u32 = 5_760;

/// How long a packet plays, in ticks of 48 kHz; `None` where its first octets can't say.
#[must_use]
pub fn ticks(payload: &[u8]) -> Option<u32> {
    let toc = octet(payload, 0)?;
    let config = toc >> 3;
    let frame = match config {
        // SILK: 10, 20, 40 and 60 ms; hybrid: 10 and 20; CELT: 2.5, 5, 10 and 20.
        0..12 => [480, 960, 1_920, 2_880][usize::from(config & 3)],
        12..16 => [480, 960][usize::from(config & 1)],
        _ => 120 << (config & 3),
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(octet(payload, 1)? & 0x3f),
    };
    let ticks = frame * frames;
    (1..=MAX_TICKS).contains(&ticks).then_some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration() {
        let frame = |config: u8| ticks(&[config << 3]).expect("one frame");
        let silk = [480, 960, 1_920, 2_880];
        for config in 0..12 {
            assert_eq!(frame(config), silk[usize::from(config % 4)]);
        }
        assert_eq!([12, 13, 14, 15].map(frame), [480, 960, 480, 960]);
        for config in 16..32 {
            assert_eq!(frame(config), [120, 240, 480, 960][usize::from(config % 4)]);
        }
    }

    #[test]
    fn several_frames_and_malformed_twins() {
        assert_eq!(ticks(&[0x78]), Some(960), "Chromium's: hybrid, 20 ms, one frame");
        assert_eq!(ticks(&[0x79]), Some(1_920));
        assert_eq!(ticks(&[0x7a, 5]), Some(1_920));
        assert_eq!(ticks(&[0x7b, 0x03]), Some(2_880));
        assert_eq!(ticks(&[0x7b, 0xc6]), Some(5_760), "the other bits of the count say something else");
        assert_eq!(ticks(&[0x7b, 7]), None, "more than 120 ms");
        assert_eq!(ticks(&[0x7b, 0]), None, "no frame");
        assert_eq!(ticks(&[0x7b]), None, "no count");
        assert_eq!(ticks(&[]), None);
    }
}
