//! SRTP: what was not protected with the key is never accepted, what was is accepted once.

use arbitrary::Unstructured;
use luokkasilta_engine::srtp::{
    AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, Inbound, Outbound, SrtpError, Unprotected,
};
use luokkasilta_engine::wire::rtp::Header;
use std::collections::HashSet;

const KEY: [u8; 16] = *b"a key everyone k";
const SALT: [u8; 14] = *b"and its salt..";

/// The target: a profile, then packets. Each is opened as it is; then protected, spoilt in one bit and opened; then
/// opened as it was protected, twice.
pub fn srtp_open(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let octet = |input: &mut Unstructured<'_>| input.arbitrary::<u8>().unwrap_or(0);
    let (profile, salt) = match octet(&mut input) & 1 {
        0 => (AEAD_AES_128_GCM, &SALT[..12]),
        _ => (AES128_CM_HMAC_SHA1_80, &SALT[..]),
    };
    let mut both = Both {
        inbound: Inbound::new(profile, &KEY, salt).expect("keys"),
        outbound: Outbound::new(profile, &KEY, salt).expect("keys"),
        opened: HashSet::new(),
    };
    for _ in 0..32 {
        if input.is_empty() {
            break;
        }
        let (how, len) = (octet(&mut input), usize::from(octet(&mut input)));
        let spoilt = usize::from(octet(&mut input)) << 8 | usize::from(octet(&mut input));
        let packet = input.bytes(len.min(input.len())).unwrap_or_default();
        if how & 1 == 0 {
            both.rtp(packet, spoilt);
        } else {
            both.rtcp(packet, spoilt);
        }
    }
}

struct Both {
    inbound: Inbound,
    outbound: Outbound,
    opened: HashSet<(u32, u64)>,
}

/// The packet with one bit turned, or cut short by one octet.
fn spoil(packet: &[u8], how: usize) -> Vec<u8> {
    let mut spoilt = packet.to_vec();
    if how % 9 == 8 {
        spoilt.pop();
    } else {
        let bit = how / 9 % (spoilt.len() * 8);
        spoilt[bit / 8] ^= 1 << (bit % 8);
    }
    spoilt
}

impl Both {
    fn open_rtp(&mut self, packet: &[u8]) -> Result<(Vec<u8>, u64), SrtpError> {
        let header = Header::parse(packet).map_err(|_| SrtpError::BadHeader)?;
        let mut packet = packet.to_vec();
        let Unprotected { len, index } = self.inbound.unprotect_rtp(&header, &mut packet)?;
        packet.truncate(len);
        assert!(self.opened.insert((header.ssrc, index)), "one index was opened twice");
        Ok((packet, index))
    }

    fn open_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let mut packet = packet.to_vec();
        let len = self.inbound.unprotect_rtcp(&mut packet)?;
        packet.truncate(len);
        Ok(packet)
    }

    fn rtp(&mut self, packet: &[u8], spoilt: usize) {
        assert!(self.open_rtp(packet).is_err(), "accepted, and nobody protected it");
        let Ok(header) = Header::parse(packet) else { return };
        let index = u64::from(header.sequence);
        let mut sealed = packet.to_vec();
        let sent = self.outbound.protect_rtp(&mut sealed, 0, header.payload_offset, header.ssrc, index);
        if sent.is_err() {
            assert!(sealed.is_empty(), "a plain packet was left behind");
            return;
        }
        assert_eq!(sealed[..header.payload_offset], packet[..header.payload_offset]);
        assert!(self.open_rtp(&spoil(&sealed, spoilt)).is_err(), "a spoilt packet");
        match self.open_rtp(&sealed) {
            Ok(opened) => assert_eq!(opened, (packet.to_vec(), index)),
            // The other end counts roll-overs by what it got: far apart numbers are not understood.
            Err(error) => assert!(matches!(error, SrtpError::TooOld | SrtpError::Unauthenticated), "{error}"),
        }
        assert!(self.open_rtp(&sealed).is_err(), "a packet was taken twice");
    }

    fn rtcp(&mut self, packet: &[u8], spoilt: usize) {
        assert!(self.open_rtcp(packet).is_err(), "accepted, and nobody protected it");
        let mut sealed = packet.to_vec();
        if self.outbound.protect_rtcp(&mut sealed, 0).is_err() {
            assert!(sealed.is_empty() && packet.len() < 8);
            return;
        }
        assert!(self.open_rtcp(&spoil(&sealed, spoilt)).is_err(), "a spoilt packet");
        assert_eq!(self.open_rtcp(&sealed), Ok(packet.to_vec()));
        assert_eq!(self.open_rtcp(&sealed), Err(SrtpError::Replayed));
    }
}
