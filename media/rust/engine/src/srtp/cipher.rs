//! The seam between SRTP's bookkeeping and a protection profile.

use std::fmt::Debug;

use super::cm::AesCmHmacSha1;
use super::gcm::AeadAes128Gcm;
use super::{AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, SrtpError};

/// The word with the index of an SRTCP packet: the E flag and 31 bits of index (RFC 3711 section 3.4).
pub(super) const RTCP_WORD_LEN: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

/// Session keys of one direction, and how packets look under them. Knows no state: the caller vouches that no
/// index of an SSRC is sealed twice.
///
/// `start` and `header_len` lie within the buffers, and RTCP packets have their eight octets of header: the
/// callers check. After an error of an `open` the packet's octets are worthless.
pub(super) trait Cipher: Debug + Send + Sync {
    /// Encrypts `out[start + header_len..]` in place and appends what the profile adds.
    fn seal_rtp(
        &self,
        out: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError>;

    /// Read what [`Self::seal_rtp`] will need.
    fn look(&self) -> u64;

    /// Authenticates and decrypts in place; gives the length of the plain packet.
    fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError>;

    /// Encrypts the compound `out[start..]` in place and appends the index and what else the profile adds.
    fn seal_rtcp(&self, out: &mut Vec<u8>, start: usize, ssrc: u32, index: u32) -> Result<(), SrtpError>;

    /// The SRTCP index that `packet` states; Unencrypted where it says that it is not.
    fn rtcp_index(&self, packet: &[u8]) -> Result<u32, SrtpError>;

    /// Authenticates and decrypts in place; gives the length of the plain compound.
    fn open_rtcp(&self, packet: &mut [u8], ssrc: u32, index: u32) -> Result<usize, SrtpError>;
}

/// The cipher of a DTLS-SRTP protection profile: the one place that lists them.
pub(super) fn new(profile: u16, master_key: &[u8], master_salt: &[u8]) -> Result<Box<dyn Cipher>, SrtpError> {
    match profile {
        AEAD_AES_128_GCM => Ok(Box::new(AeadAes128Gcm::derive(master_key, master_salt)?)),
        AES128_CM_HMAC_SHA1_80 => Ok(Box::new(AesCmHmacSha1::derive(master_key, master_salt)?)),
        _ => Err(SrtpError::UnknownProfile),
    }
}

/// The word for an encrypted packet of this index.
pub(super) fn rtcp_word(index: u32) -> [u8; RTCP_WORD_LEN] {
    (ENCRYPTED | index).to_be_bytes()
}

/// The index in the word; Unencrypted where the E flag is not set, which DTLS-SRTP never negotiates.
pub(super) fn index_of_rtcp_word(word: [u8; RTCP_WORD_LEN]) -> Result<u32, SrtpError> {
    let word = u32::from_be_bytes(word);
    if word & ENCRYPTED == 0 { Err(SrtpError::Unencrypted) } else { Ok(word & !ENCRYPTED) }
}
