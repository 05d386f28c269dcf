//! The AV1 payload (RTP Payload Format For AV1, section 4.4), as far as forwarding needs it without the dependency
//! descriptor: the aggregation header says where a coded video sequence begins.

use super::octet;

/// N: the packet is the first of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;
/// Z: the first element goes on from the packet before; never together with N.
const CONTINUES: u8 = 0x80;

/// Whether a key frame begins with this payload.
pub fn begins_key_frame(payload: &[u8]) -> bool {
    // The header alone is an empty packet.
    payload.len() > 1
        && octet(payload, 0).is_some_and(|header| header & (NEW_SEQUENCE | CONTINUES) == NEW_SEQUENCE)
}

#[cfg(test)]
mod tests {
    use super::begins_key_frame;
    use crate::wire::testing::recorded;

    #[test]
    fn the_first_packet_of_chromium_and_no_other() {
        let packets = recorded(include_str!("../../tests/recorded/av1-l1t3.txt"));
        let begins: Vec<bool> = packets.iter().map(|packet| begins_key_frame(&packet.payload)).collect();
        assert!(begins[0]);
        assert_eq!(begins.iter().filter(|begins| **begins).count(), 1);
    }

    #[test]
    fn malformed_twins() {
        assert!(!begins_key_frame(&[]));
        assert!(!begins_key_frame(&[0x08]), "nothing behind the header");
        assert!(!begins_key_frame(&[0x88, 1]), "a sequence does not begin in the middle of an element");
        assert!(!begins_key_frame(&[0x10, 1]));
    }
}
