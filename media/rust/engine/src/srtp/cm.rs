//! SRTP_AES128_CM_HMAC_SHA1_80 (RFC 3711 sections 4.1.1, 4.2.1; RFC 5764 section 4.1.2): AES in counter mode, and
//! an HMAC of which ten octets are sent.

use std::fmt;

use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;

use super::cipher::{Cipher, RTCP_WORD_LEN, index_of_rtcp_word, rtcp_word};
use super::derive::{KeyDerivation, Label};
use super::{RTCP_HEADER_LEN, SrtpError};

const KEY_LEN: usize = 16;
const SALT_LEN: usize = 14;
const AUTHENTICATION_KEY_LEN: usize = 20;
const TAG_LEN: usize = 10;
/// An SRTCP packet ends with the word of its index and the tag.
const RTCP_TRAILER_LEN: usize = RTCP_WORD_LEN + TAG_LEN;

/// The session keys for one of RTP and RTCP.
struct Keyed {
    key: EncryptingKey,
    authentication: hmac::Key,
    /// In its place of the counter block: above the 16 bits that count blocks.
    salt: u128,
}

impl Keyed {
    fn new(
        key: &[u8; KEY_LEN],
        authentication: &[u8; AUTHENTICATION_KEY_LEN],
        salt: [u8; SALT_LEN],
    ) -> Result<Self, SrtpError> {
        let key = UnboundCipherKey::new(&AES_128, key)
            .and_then(EncryptingKey::ctr)
            .map_err(|_| SrtpError::BadKey)?;
        let authentication = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication);
        let salt = salt.into_iter().fold(0, |salt, octet| salt << 8 | u128::from(octet)) << 16;
        Ok(Self { key, authentication, salt })
    }

    /// Encrypts `body` in place, or decrypts it: counter mode is its own inverse.
    ///
    /// The first counter block is salt, SSRC and index XORed (section 4.1.1). Its low 16 bits count blocks, good
    /// for a megabyte, which no datagram has.
    fn apply(&self, ssrc: u32, index: u64, body: &mut [u8]) -> Result<(), SrtpError> {
        let block = self.salt ^ u128::from(ssrc) << 64 ^ u128::from(index) << 16;
        let counter = EncryptionContext::Iv128(FixedLength::from(block.to_be_bytes()));
        // Fails for lengths beyond what a buffer can have.
        self.key.less_safe_encrypt(body, counter).map(|_| ()).map_err(|_| SrtpError::TooShort)
    }

    /// The tag of `packet` followed by `more`, whole.
    fn sign(&self, packet: &[u8], more: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(packet);
        context.update(more);
        context.sign()
    }

    /// Whether `tag` is the beginning of the right one, in a time that does not tell where it is not.
    fn verify(&self, packet: &[u8], more: &[u8], tag: &[u8; TAG_LEN]) -> Result<(), SrtpError> {
        verify_slices_are_equal(&self.sign(packet, more).as_ref()[..TAG_LEN], tag)
            .map_err(|_| SrtpError::Unauthenticated)
    }
}

/// The keys of one direction.
pub(super) struct AesCmHmacSha1 {
    rtp: Keyed,
    rtcp: Keyed,
}

impl AesCmHmacSha1 {
    /// From a master key of 16 and a master salt of 14 octets.
    pub(super) fn derive(master_key: &[u8], master_salt: &[u8]) -> Result<Self, SrtpError> {
        let derivation = KeyDerivation::new(master_key, master_salt, SALT_LEN)?;
        let keyed = |key, authentication, salt| {
            Keyed::new(
                &derivation.derive(key)?,
                &derivation.derive(authentication)?,
                derivation.derive(salt)?,
            )
        };
        Ok(Self {
            rtp: keyed(Label::RtpKey, Label::RtpAuthentication, Label::RtpSalt)?,
            rtcp: keyed(Label::RtcpKey, Label::RtcpAuthentication, Label::RtcpSalt)?,
        })
    }

    /// The same session key and salt for RTP and RTCP and no secret to authenticate, for vectors of the RFC.
    #[cfg(test)]
    pub(super) fn with_session_key(key: &[u8; KEY_LEN], salt: [u8; SALT_LEN]) -> Self {
        let keyed = || Keyed::new(key, &[0; AUTHENTICATION_KEY_LEN], salt).expect("an AES-128 key");
        Self { rtp: keyed(), rtcp: keyed() }
    }
}

/// Says nothing of the keys.
impl fmt::Debug for AesCmHmacSha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesCmHmacSha1").finish_non_exhaustive()
    }
}

/// The roll-over counter, which is authenticated and not sent (section 4.2).
fn counter_of(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

impl Cipher for AesCmHmacSha1 {
    fn seal_rtp(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        let packet = out.get_mut(start..).ok_or(SrtpError::TooShort)?;
        let body = packet.get_mut(header_len..).ok_or(SrtpError::TooShort)?;
        self.rtp.apply(ssrc, index, body)?;
        let tag = self.rtp.sign(packet, &counter_of(index));
        out.extend_from_slice(&tag.as_ref()[..TAG_LEN]);
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
        let (packet, tag) = packet.split_last_chunk_mut::<TAG_LEN>().ok_or(SrtpError::TooShort)?;
        if packet.len() < header_len {
            return Err(SrtpError::TooShort);
        }
        self.rtp.verify(packet, &counter_of(index), tag)?;
        self.rtp.apply(ssrc, index, &mut packet[header_len..])?;
        Ok(packet.len())
    }

    fn seal_rtcp(&self, out: &mut Vec<u8>, start: usize, ssrc: u32, index: u32) -> Result<(), SrtpError> {
        let packet = out.get_mut(start..).ok_or(SrtpError::TooShort)?;
        let body = packet.get_mut(RTCP_HEADER_LEN..).ok_or(SrtpError::TooShort)?;
        self.rtcp.apply(ssrc, u64::from(index), body)?;
        let word = rtcp_word(index);
        let tag = self.rtcp.sign(packet, &word);
        out.extend_from_slice(&word);
        out.extend_from_slice(&tag.as_ref()[..TAG_LEN]);
        Ok(())
    }

    fn rtcp_index(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        // It stands before the tag.
        let trailer = packet.last_chunk::<RTCP_TRAILER_LEN>().ok_or(SrtpError::TooShort)?;
        let [a, b, c, d, ..] = *trailer;
        index_of_rtcp_word([a, b, c, d])
    }

    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, SrtpError> {
        let (packet, tag) = packet.split_last_chunk_mut::<TAG_LEN>().ok_or(SrtpError::TooShort)?;
        let (packet, word) = packet.split_last_chunk_mut::<RTCP_WORD_LEN>().ok_or(SrtpError::TooShort)?;
        if packet.len() < RTCP_HEADER_LEN {
            return Err(SrtpError::TooShort);
        }
        self.rtcp.verify(packet, word, tag)?;
        self.rtcp.apply(ssrc, u64::from(index), &mut packet[RTCP_HEADER_LEN..])?;
        Ok(packet.len())
    }
}
