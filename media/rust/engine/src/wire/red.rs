//! Redundant audio (RFC 2198), written: a frame with an earlier one before it. Browsers' microphones are not asked for
//! it, so nothing here reads it.

/// The timestamp offset has 14 bits.
const MAX_OFFSET: u32 = (1 << 14) - 1;
/// The block length has ten.
const MAX_LEN: usize = (1 << 10) - 1;
/// F: another block header follows.
const FOLLOWED: u32 = 1 << 31;

/// An earlier frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// How far back its timestamp lies, in ticks.
    pub offset: u32,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Appends a payload of RED: all frames are of the one payload type. An earlier frame that can't be said (too long, too
/// far back, not earlier) is left out.
pub fn write(out: &mut Vec<u8>, payload_type: u8, earlier: Option<Earlier<'_>>, primary: &[u8]) {
    let kind = payload_type & 0x7f;
    let sayable =
        |it: &Earlier<'_>| (1..=MAX_OFFSET).contains(&it.offset) && (1..=MAX_LEN).contains(&it.payload.len());
    if let Some(Earlier { offset, payload }) = earlier.filter(sayable) {
        let header = FOLLOWED | u32::from(kind) << 24 | offset << 10 | payload.len() as u32;
        out.extend_from_slice(&header.to_be_bytes());
        out.push(kind);
        out.extend_from_slice(payload);
    } else {
        out.push(kind);
    }
    out.extend_from_slice(primary);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::proptest_config;
    use crate::wire::testing::hex;
    use proptest::prelude::*;

    /// The blocks of a payload as (payload type, timestamp offset, payload), read as RFC 2198 section 3 has it.
    pub(crate) fn read(payload: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
        let (mut headers, mut at) = (Vec::new(), 0);
        while payload[at] & 0x80 != 0 {
            let word = u32::from_be_bytes(payload[at..at + 4].try_into().expect("four octets"));
            headers.push(((word >> 24 & 0x7f) as u8, word >> 10 & 0x3fff, (word & 0x3ff) as usize));
            at += 4;
        }
        let last = payload[at];
        at += 1;
        let mut blocks = Vec::new();
        for (kind, offset, len) in headers {
            blocks.push((kind, offset, payload[at..at + len].to_vec()));
            at += len;
        }
        blocks.push((last, 0, payload[at..].to_vec()));
        blocks
    }

    #[test]
    fn in_octets() {
        let mut out = Vec::new();
        write(&mut out, 111, Some(Earlier { offset: 960, payload: &[1, 2, 3] }), &[9, 8]);
        assert_eq!(out, hex("ef 0f00 03 6f 010203 0908"));
        out.clear();
        write(&mut out, 111, None, &[9, 8]);
        assert_eq!(out, hex("6f 0908"));
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let long = [0; MAX_LEN + 1];
        for (offset, payload) in [(0, &[1][..]), (MAX_OFFSET + 1, &[1]), (960, &[]), (960, &long)] {
            let mut out = Vec::new();
            write(&mut out, 111, Some(Earlier { offset, payload }), &[9]);
            assert_eq!(out, [111, 9]);
        }
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_written_is_read(
            kind in 0_u8..128,
            offset in 1..=MAX_OFFSET,
            earlier in prop::collection::vec(any::<u8>(), 1..=MAX_LEN),
            primary in prop::collection::vec(any::<u8>(), 0..1_200),
        ) {
            let mut out = Vec::new();
            write(&mut out, kind, Some(Earlier { offset, payload: &earlier }), &primary);
            prop_assert_eq!(read(&out), [(kind, offset, earlier), (kind, 0, primary)]);
        }
    }
}
