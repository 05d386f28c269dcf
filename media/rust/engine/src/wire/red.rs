//! Redundant audio (RFC 2198), read and written: a frame, and before it earlier ones.

use super::{be32, error_enum, octet};

/// The timestamp offset has 14 bits.
pub const MAX_OFFSET: u32 = (1 << 14) - 1;
/// The block length has ten.
pub const MAX_LEN: usize = (1 << 10) - 1;
/// F: another block header follows.
const FOLLOWED: u32 = 1 << 31;
/// Octets of the header of an earlier block.
const HEADER_LEN: usize = 4;

error_enum! {
    /// Why a payload is no redundant audio.
    RedError {
        TooShort => "RED: shorter than its block headers and the blocks they tell of",
    }
}

/// A frame of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Of the frame.
    pub payload_type: u8,
    /// How far its timestamp lies before the packet's, in ticks; 0 for the last block.
    pub offset: u32,
    /// Where it lies in the whole payload.
    pub start: usize,
    /// Its octets.
    pub payload: &'a [u8],
}

/// The blocks of a payload, as they stand there: the earlier ones and last the packet's own. What was parsed gives all
/// of them.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    octets: &'a [u8],
    header: usize,
    body: usize,
}

impl<'a> Blocks<'a> {
    /// Reads a payload (without RTP padding).
    pub fn parse(octets: &'a [u8]) -> Result<Self, RedError> {
        let (mut header, mut len) = (0, 0);
        while octet(octets, header).ok_or(RedError::TooShort)? & 0x80 != 0 {
            len += block_len(be32(octets, header).ok_or(RedError::TooShort)?);
            header += HEADER_LEN;
        }
        let body = header + 1;
        if body + len > octets.len() { Err(RedError::TooShort) } else { Ok(Self { octets, header: 0, body }) }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let first = octet(self.octets, self.header)?;
        let is_earlier = first & 0x80 != 0;
        let start = self.body;
        let (offset, payload) = if is_earlier {
            let header = be32(self.octets, self.header)?;
            self.header += HEADER_LEN;
            (header >> 10 & MAX_OFFSET, self.octets.get(start..start + block_len(header))?)
        } else {
            // Nothing comes after it.
            self.header = self.octets.len();
            (0, self.octets.get(start..)?)
        };
        self.body += payload.len();
        Some(Block { payload_type: first & 0x7f, offset, start, payload })
    }
}

fn block_len(header: u32) -> usize {
    header as usize & MAX_LEN
}

/// An earlier frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// How far back its timestamp lies, in ticks: 1 to [`MAX_OFFSET`].
    pub offset: u32,
    /// Its payload, of 1 to [`MAX_LEN`] octets.
    pub payload: &'a [u8],
}

impl Earlier<'_> {
    /// Whether the format can say it.
    #[must_use]
    pub fn is_sayable(&self) -> bool {
        (1..=MAX_OFFSET).contains(&self.offset) && (1..=MAX_LEN).contains(&self.payload.len())
    }
}

/// Appends a payload: the earlier frames in the order given, which is that of time, then the packet's own. All are of
/// the one payload type. An earlier frame that can't be said is left out.
pub fn write(out: &mut Vec<u8>, payload_type: u8, earlier: &[Earlier<'_>], primary: &[u8]) {
    let kind = payload_type & 0x7f;
    let sayable = || earlier.iter().filter(|it| it.is_sayable());
    for Earlier { offset, payload } in sayable() {
        let header = FOLLOWED | u32::from(kind) << 24 | offset << 10 | payload.len() as u32;
        out.extend_from_slice(&header.to_be_bytes());
    }
    out.push(kind);
    for Earlier { payload, .. } in sayable() {
        out.extend_from_slice(payload);
    }
    out.extend_from_slice(primary);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::proptest_config;
    use crate::wire::testing::hex;
    use proptest::prelude::*;

    fn read(payload: &[u8]) -> Result<Vec<(u8, u32, Vec<u8>)>, RedError> {
        let blocks = Blocks::parse(payload)?;
        Ok(blocks
            .map(|block| {
                assert_eq!(&payload[block.start..block.start + block.payload.len()], block.payload);
                (block.payload_type, block.offset, block.payload.to_vec())
            })
            .collect())
    }

    #[test]
    fn in_octets() {
        let mut out = Vec::new();
        let one = Earlier { offset: 960, payload: &[1, 2, 3] };
        write(&mut out, 111, &[one], &[9, 8]);
        assert_eq!(out, hex("ef 0f00 03 6f 010203 0908"));
        assert_eq!(read(&out), Ok(vec![(111, 960, vec![1, 2, 3]), (111, 0, vec![9, 8])]));
        out.clear();
        write(&mut out, 111, &[Earlier { offset: 1_920, payload: &[7] }, one], &[9, 8]);
        assert_eq!(out, hex("ef 1e00 01 ef 0f00 03 6f 07 010203 0908"));
        assert_eq!(read(&out).expect("RED").len(), 3);
        out.clear();
        write(&mut out, 111, &[], &[9, 8]);
        assert_eq!(out, hex("6f 0908"));
    }

    #[test]
    fn what_cannot_be_said_is_left_out() {
        let long = [0; MAX_LEN + 1];
        for (offset, payload) in [(0, &[1][..]), (MAX_OFFSET + 1, &[1]), (960, &[]), (960, &long)] {
            let mut out = Vec::new();
            write(&mut out, 111, &[Earlier { offset, payload }], &[9]);
            assert_eq!(out, [111, 9]);
        }
    }

    #[test]
    fn every_truncation_of_headers_and_earlier_blocks_is_refused() {
        let whole = hex("ef 1e00 01 ef 0f00 03 6f 07 010203");
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]), Err(RedError::TooShort), "{len}");
        }
        assert_eq!(read(&whole).expect("RED").last(), Some(&(111, 0, Vec::new())), "an empty frame");
    }

    #[test]
    fn malformed_twins() {
        assert_eq!(read(&[0xff; 40]), Err(RedError::TooShort), "headers without end");
        assert_eq!(read(&hex("ef 0f00 04 6f 010203")), Err(RedError::TooShort), "a block past the end");
        assert_eq!(read(&hex("00")), Ok(vec![(0, 0, vec![])]), "a header alone");
        assert_eq!(read(&hex("ef 0000 00 6f 01")), Ok(vec![(111, 0, vec![]), (111, 0, vec![1])]));
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_written_is_read(
            kind in 0_u8..128,
            earlier in prop::collection::vec(
                (1..=MAX_OFFSET, prop::collection::vec(any::<u8>(), 1..=MAX_LEN)), 0..4),
            primary in prop::collection::vec(any::<u8>(), 0..1_200),
        ) {
            let frames: Vec<Earlier<'_>> =
                earlier.iter().map(|(offset, payload)| Earlier { offset: *offset, payload }).collect();
            let mut out = Vec::new();
            write(&mut out, kind, &frames, &primary);
            let mut expected: Vec<(u8, u32, Vec<u8>)> =
                earlier.into_iter().map(|(offset, payload)| (kind, offset, payload)).collect();
            expected.push((kind, 0, primary));
            prop_assert_eq!(read(&out), Ok(expected));
        }

        #[test]
        fn blocks_lie_one_behind_the_other_whatever_comes(payload in prop::collection::vec(any::<u8>(), 0..60)) {
            let Ok(blocks) = Blocks::parse(&payload) else { return Ok(()) };
            let blocks: Vec<Block<'_>> = blocks.collect();
            let mut at = blocks[0].start;
            prop_assert_eq!(at, HEADER_LEN * (blocks.len() - 1) + 1);
            for block in &blocks {
                prop_assert_eq!(block.start, at);
                at += block.payload.len();
            }
            prop_assert_eq!(at, payload.len());
            prop_assert_eq!(blocks.last().map(|block| block.offset), Some(0));
        }
    }
}
