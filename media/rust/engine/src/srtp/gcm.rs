//! AEAD_AES_128_GCM (RFC 7714).

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::cipher::{Cipher, RTCP_WORD_LEN, index_of_rtcp_word, rtcp_word};
use super::derive::{KeyDerivation, Label};
use super::{RTCP_HEADER_LEN, SrtpError};

const KEY_LEN: usize = 16;
const SALT_LEN: usize = 12;
const TAG_LEN: usize = 16;

/// A key schedule with the salt that its nonces are mixed with.
struct Keyed {
    key: LessSafeKey,
    salt: u128,
}

impl Keyed {
    fn new(key: &[u8; KEY_LEN], salt: [u8; SALT_LEN]) -> Result<Self, SrtpError> {
        let key = UnboundKey::new(&AES_128_GCM, key).map_err(|_| SrtpError::BadKey)?;
        let salt = salt.into_iter().fold(0, |salt, octet| salt << 8 | u128::from(octet));
        Ok(Self { key: LessSafeKey::new(key), salt })
    }

    /// Two zero octets, the SSRC and 48 bits of index, XORed with the salt (sections 8.1 and 9.1).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mixed = (u128::from(ssrc) << 48 | u128::from(index)) ^ self.salt;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&mixed.to_be_bytes()[16 - NONCE_LEN..]);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `body` in place, gives the tag.
    fn seal(
        &self,
        ssrc: u32,
        index: u64,
        associated: &[u8],
        body: &mut [u8],
    ) -> Result<aws_lc_rs::aead::Tag, SrtpError> {
        // Fails only beyond GCM's 64 GiB for one message.
        self.key
            .seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(associated), body)
            .map_err(|_| SrtpError::TooShort)
    }

    /// Decrypts `body`, which ends with its tag, in place; gives the plain length.
    fn open(&self, ssrc: u32, index: u64, associated: &[u8], body: &mut [u8]) -> Result<usize, SrtpError> {
        self.key
            .open_in_place(self.nonce(ssrc, index), Aad::from(associated), body)
            .map(|plain| plain.len())
            .map_err(|_| SrtpError::Unauthenticated)
    }
}

/// The keys of one direction.
pub(super) struct AeadAes128Gcm {
    rtp: Keyed,
    rtcp: Keyed,
}

impl AeadAes128Gcm {
    /// From a master key of 16 and a master salt of 12 octets.
    pub(super) fn derive(master_key: &[u8], master_salt: &[u8]) -> Result<Self, SrtpError> {
        let derivation = KeyDerivation::new(master_key, master_salt, SALT_LEN)?;
        let rtp = Keyed::new(&derivation.derive(Label::RtpKey)?, derivation.derive(Label::RtpSalt)?)?;
        let rtcp = Keyed::new(&derivation.derive(Label::RtcpKey)?, derivation.derive(Label::RtcpSalt)?)?;
        Ok(Self { rtp, rtcp })
    }

    /// The same session key and salt for RTP and RTCP, as in the vectors of the RFC.
    #[cfg(test)]
    pub(super) fn with_session_key(key: &[u8; KEY_LEN], salt: [u8; SALT_LEN]) -> Self {
        let keyed = || Keyed::new(key, salt).expect("an AES-128 key");
        Self { rtp: keyed(), rtcp: keyed() }
    }
}

/// Says nothing of the keys.
impl fmt::Debug for AeadAes128Gcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AeadAes128Gcm").finish_non_exhaustive()
    }
}

impl Cipher for AeadAes128Gcm {
    fn seal_rtp(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        let packet = out.get_mut(start..).ok_or(SrtpError::TooShort)?;
        let (header, body) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::TooShort)?;
        let tag = self.rtp.seal(ssrc, index, header, body)?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    fn look(&self) -> u64 {
        self.rtp.salt as u64
    }

    fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let (header, body) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::TooShort)?;
        if body.len() < TAG_LEN {
            return Err(SrtpError::TooShort);
        }
        Ok(header_len + self.rtp.open(ssrc, index, header, body)?)
    }

    fn seal_rtcp(&self, out: &mut Vec<u8>, start: usize, ssrc: u32, index: u32) -> Result<(), SrtpError> {
        let packet = out.get_mut(start..).ok_or(SrtpError::TooShort)?;
        let (header, body) = packet.split_at_mut_checked(RTCP_HEADER_LEN).ok_or(SrtpError::TooShort)?;
        let word = rtcp_word(index);
        let tag = self.rtcp.seal(ssrc, u64::from(index), &rtcp_associated(header, word), body)?;
        out.extend_from_slice(tag.as_ref());
        out.extend_from_slice(&word);
        Ok(())
    }

    fn rtcp_index(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        // It is the last word, behind the tag.
        index_of_rtcp_word(*packet.last_chunk().ok_or(SrtpError::TooShort)?)
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, SrtpError> {
        let (packet, word) = packet.split_last_chunk_mut::<RTCP_WORD_LEN>().ok_or(SrtpError::TooShort)?;
        let (header, body) = packet.split_at_mut_checked(RTCP_HEADER_LEN).ok_or(SrtpError::TooShort)?;
        if body.len() < TAG_LEN {
            return Err(SrtpError::TooShort);
        }
        let associated = rtcp_associated(header, *word);
        Ok(RTCP_HEADER_LEN + self.rtcp.open(ssrc, u64::from(index), &associated, body)?)
    }
}

/// What SRTCP authenticates without encrypting: the header and the word with the index (section 9.2).
fn rtcp_associated(header: &[u8], word: [u8; RTCP_WORD_LEN]) -> [u8; RTCP_HEADER_LEN + RTCP_WORD_LEN] {
    let mut associated = [0; RTCP_HEADER_LEN + RTCP_WORD_LEN];
    for (to, from) in associated.iter_mut().zip(header.iter().chain(&word)) {
        *to = *from;
    }
    associated
}
