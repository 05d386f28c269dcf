//! SRTP and SRTCP with AEAD_AES_128_GCM (RFC 3711, RFC 7714), one direction each.

use std::collections::HashMap;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};

/// Octets of the authentication tag.
pub const TAG: usize = 16;

/// Master key and salt of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Master {
    /// AES-128 master key.
    pub key: [u8; 16],
    /// Master salt, 96 bits (RFC 7714 section 12).
    pub salt: [u8; 12],
}

/// The RTP session key and salt of one direction, and nothing that remembers.
pub struct Cipher {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Cipher {
    /// RFC 3711 section 4.3 with labels 0 and 2.
    pub fn new(master: Master) -> Self {
        Self { key: gcm(master, 0), salt: salt(master, 2) }
    }

    /// Encrypt in place all of `packet` but its header and the room for the tag at its end.
    pub fn seal(&self, packet: &mut [u8], header: usize, index: u64) {
        let nonce = self.nonce(packet, index);
        let (head, rest) = packet.split_at_mut(header);
        let (body, tag) = rest.split_at_mut(rest.len() - TAG);
        let made =
            self.key.seal_in_place_separate_tag(nonce, Aad::from(&*head), body).expect("a short packet");
        tag.copy_from_slice(made.as_ref());
    }

    /// RFC 7714 section 8.1.
    fn nonce(&self, packet: &[u8], index: u64) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &packet[8..12]);
        xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// One direction's session keys and roll-over counters.
pub struct Srtp {
    rtp: Cipher,
    rtcp: LessSafeKey,
    rtcp_salt: [u8; 12],
    rtcp_index: u32,
    highest: HashMap<u32, u64>,
}

impl Srtp {
    /// Session keys of a master key (RFC 3711 section 4.3, key derivation rate 0).
    pub fn new(master: Master) -> Self {
        Self {
            rtp: Cipher::new(master),
            rtcp: gcm(master, 3),
            rtcp_salt: salt(master, 5),
            rtcp_index: 0,
            highest: HashMap::new(),
        }
    }

    /// Encrypt `packet` in place behind its header of `header` octets; appends the tag.
    pub fn protect(&mut self, packet: &mut Vec<u8>, header: usize) {
        let index = self.index_of(packet);
        self.remember(packet, index);
        packet.resize(packet.len() + TAG, 0);
        self.rtp.seal(packet, header, index);
    }

    /// Decrypt `packet` in place behind its header of `header` octets. Gives the index (roll-over counter and
    /// sequence number) and the plain payload, or None where the packet isn't authentic.
    pub fn unprotect<'a>(&mut self, packet: &'a mut [u8], header: usize) -> Option<(u64, &'a [u8])> {
        if packet.len() < header + TAG {
            return None;
        }
        let index = self.index_of(packet);
        let nonce = self.rtp.nonce(packet, index);
        let (head, body) = packet.split_at_mut(header);
        let plain = self.rtp.key.open_in_place(nonce, Aad::from(&*head), body).ok()?.len();
        self.remember(packet, index);
        Some((index, &packet[header..header + plain]))
    }

    /// Encrypt a compound RTCP packet (RFC 7714 section 9).
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) {
        let trailer = (1 << 31 | self.rtcp_index).to_be_bytes();
        let nonce = self.rtcp_nonce(packet, self.rtcp_index);
        self.rtcp_index += 1;
        let aad = [&packet[..8], &trailer].concat();
        let tag = self
            .rtcp
            .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut packet[8..])
            .expect("a short packet");
        packet.extend_from_slice(tag.as_ref());
        packet.extend_from_slice(&trailer);
    }

    /// Decrypt a compound RTCP packet in place; None where it isn't authentic.
    pub fn unprotect_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let end = packet.len().checked_sub(4).filter(|&end| end >= 8 + TAG)?;
        let trailer: [u8; 4] = packet[end..].try_into().ok()?;
        let index = u32::from_be_bytes(trailer) & 0x7fff_ffff;
        let nonce = self.rtcp_nonce(packet, index);
        let aad = [&packet[..8], &trailer].concat();
        let plain = self.rtcp.open_in_place(nonce, Aad::from(aad), &mut packet[8..end]).ok()?.len();
        Some(&packet[..8 + plain])
    }

    /// The index as RFC 3711 section 3.3.1 guesses it.
    fn index_of(&self, packet: &[u8]) -> u64 {
        let sequence = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
        let Some(&highest) = self.highest.get(&ssrc_of(packet)) else { return sequence };
        let near = highest & !0xffff | sequence;
        if near + 0x8000 < highest {
            near + 0x1_0000
        } else if near > highest + 0x8000 && near >= 0x1_0000 {
            near - 0x1_0000
        } else {
            near
        }
    }

    fn remember(&mut self, packet: &[u8], index: u64) {
        let highest = self.highest.entry(ssrc_of(packet)).or_insert(index);
        *highest = index.max(*highest);
    }

    /// RFC 7714 section 9.1.
    fn rtcp_nonce(&self, packet: &[u8], index: u32) -> Nonce {
        let mut nonce = self.rtcp_salt;
        xor(&mut nonce[2..6], &packet[4..8]);
        xor(&mut nonce[8..12], &index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }
}

fn ssrc_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[8..12].try_into().expect("4 octets"))
}

fn xor(into: &mut [u8], from: &[u8]) {
    for (a, b) in into.iter_mut().zip(from) {
        *a ^= b;
    }
}

fn gcm(master: Master, label: u8) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &derive(master, label)).expect("16 octets"))
}

fn salt(master: Master, label: u8) -> [u8; 12] {
    derive(master, label)[..12].try_into().expect("12 of 16 octets")
}

/// The first 16 octets of the key stream of RFC 3711 section 4.3.3; no session key here is longer.
fn derive(master: Master, label: u8) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..12].copy_from_slice(&master.salt);
    iv[7] ^= label;
    let key = UnboundCipherKey::new(&AES_128, &master.key).expect("16 octets");
    let mut stream = [0; 16];
    EncryptingKey::ctr(key)
        .expect("AES-128 has a counter mode")
        .less_safe_encrypt(&mut stream, EncryptionContext::Iv128(iv.into()))
        .expect("one block");
    stream
}
