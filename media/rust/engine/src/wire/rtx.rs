//! The payload of a retransmission (RFC 4588 section 4): the original sequence number, then the original payload.
//!
//! The rest of a repeated packet stands in its own header: marker and timestamp are the original's, payload type,
//! SSRC and sequence number are those of the retransmission stream.

use super::be16;

/// Octets of the original sequence number (OSN) before the original payload.
pub const HEADER_LEN: usize = 2;

/// The original sequence number and payload; None where the payload has no two octets.
///
/// `payload` is without RTP padding. An empty original payload is what senders probe the line with.
pub fn original(payload: &[u8]) -> Option<(u16, &[u8])> {
    Some((be16(payload, 0)?, payload.get(HEADER_LEN..)?))
}

/// Appends the payload of a retransmission: what [`original`] reads.
pub fn write(out: &mut Vec<u8>, sequence: u16, payload: &[u8]) {
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{original, write};
    use crate::testing::proptest_config;

    #[test]
    fn vectors() {
        assert_eq!(original(&[0x12, 0x34, 0x90, 0x80]), Some((0x1234, &[0x90, 0x80][..])));
        assert_eq!(original(&[0xff, 0xff]), Some((0xffff, &[][..])), "a probe");
        assert_eq!(original(&[0x12]), None);
        assert_eq!(original(&[]), None);
        let mut out = b"header".to_vec();
        write(&mut out, 0x1234, &[0x90, 0x80]);
        assert_eq!(out, b"header\x12\x34\x90\x80");
    }

    proptest! {
        #![proptest_config(proptest_config())]

        #[test]
        fn what_is_written_is_read(sequence in any::<u16>(), payload in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut out = Vec::new();
            write(&mut out, sequence, &payload);
            prop_assert_eq!(original(&out), Some((sequence, &payload[..])));
        }
    }
}
