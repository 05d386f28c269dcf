//! What is sent to a peer: encrypted, and no index of an SSRC ever twice.

use super::cipher::{self, Cipher};
use super::inbound::rtcp_ssrc;
use super::{MAX_RTCP_INDEX, MAX_RTP_INDEX, RTP_HEADER_LEN, SrtpError};
use crate::window::{Standing, Window};

/// The indices used of each SSRC. A peer has a few dozen SSRCs at most, all chosen by us: their numbers in a row are
/// found faster than a hash is made.
#[derive(Debug, Default)]
struct Streams {
    ssrcs: Vec<u32>,
    windows: Vec<Window>,
}

impl Streams {
    fn window(&mut self, ssrc: u32) -> &mut Window {
        let at = self.ssrcs.iter().position(|known| *known == ssrc).unwrap_or_else(|| {
            self.ssrcs.push(ssrc);
            self.windows.push(Window::default());
            self.ssrcs.len() - 1
        });
        &mut self.windows[at]
    }
}

/// One peer's sending side.
///
/// Under GCM two packets with one nonce give away their difference and the authentication key, and the nonce
/// is made of SSRC and index. So the indices used are remembered for each SSRC, and never forgotten while the
/// key lives: a few hundred octets for every SSRC that the caller ever uses.
#[derive(Debug)]
pub struct Outbound {
    cipher: Box<dyn Cipher>,
    rtp: Streams,
    /// One counter for all SSRCs: whatever the SSRC is, the pair is new.
    pub(super) next_rtcp_index: u32,
}

impl Outbound {
    /// `profile` is the DTLS-SRTP number. Errors: UnknownProfile, BadKey.
    pub fn new(profile: u16, master_key: &[u8], master_salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self::with_cipher(cipher::new(profile, master_key, master_salt)?, 0))
    }

    pub(super) fn with_cipher(cipher: Box<dyn Cipher>, next_rtcp_index: u32) -> Self {
        Self { cipher, rtp: Streams::default(), next_rtcp_index }
    }

    /// Encrypts the plain RTP packet `out[start..]`, whose header has `header_len` octets, and appends the tag.
    ///
    /// `index` is the extended sequence number in 48 bits. The receiver's roll-over counter begins at zero, so
    /// the first index of an SSRC is below 65536, best below 32768. An index is used up by the attempt.
    ///
    /// Errors: TooShort, BadHeader (the header says another SSRC or sequence number), IndexExhausted, and
    /// IndexUsed for an index used before or more than 1023 below the highest. After an error `out` ends at
    /// `start`, so that no plain packet is left behind.
    pub fn protect_rtp(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<(), SrtpError> {
        let sealed = check_rtp(out, start, header_len, ssrc, index)
            .and_then(|()| self.use_up(ssrc, index))
            .and_then(|()| self.cipher.seal_rtp(out, start, header_len, ssrc, index));
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    /// Encrypts the compound `out[start..]` and appends tag and index.
    ///
    /// Errors: TooShort, and IndexExhausted after 2^31 compounds. After an error `out` ends at `start`.
    pub fn protect_rtcp(&mut self, out: &mut Vec<u8>, start: usize) -> Result<(), SrtpError> {
        let sealed = rtcp_ssrc(out.get(start..).unwrap_or_default()).and_then(|ssrc| {
            let index = self.next_rtcp_index;
            if index > MAX_RTCP_INDEX {
                return Err(SrtpError::IndexExhausted);
            }
            self.next_rtcp_index += 1;
            self.cipher.seal_rtcp(out, start, ssrc, index)
        });
        if sealed.is_err() {
            out.truncate(start);
        }
        sealed
    }

    /// Read what [`Self::protect_rtp`] will need.
    #[must_use]
    pub fn look(&self, ssrc: u32) -> u64 {
        let at = self.rtp.ssrcs.iter().position(|known| *known == ssrc);
        at.and_then(|at| self.rtp.windows.get(at)).map_or(0, Window::look) ^ self.cipher.look()
    }

    fn use_up(&mut self, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        let window = self.rtp.window(ssrc);
        if window.standing(index) != Standing::New {
            return Err(SrtpError::IndexUsed);
        }
        window.mark(index);
        Ok(())
    }
}

/// The nonce is made of the arguments and the receiver's of the header: they have to agree.
fn check_rtp(out: &[u8], start: usize, header_len: usize, ssrc: u32, index: u64) -> Result<(), SrtpError> {
    let packet = out.get(start..).ok_or(SrtpError::TooShort)?;
    let Some(&[_, _, s0, s1, _, _, _, _, a, b, c, d]) = packet.first_chunk::<RTP_HEADER_LEN>() else {
        return Err(SrtpError::TooShort);
    };
    if header_len < RTP_HEADER_LEN || header_len > packet.len() {
        return Err(SrtpError::TooShort);
    }
    if index > MAX_RTP_INDEX {
        return Err(SrtpError::IndexExhausted);
    }
    if u16::from_be_bytes([s0, s1]) != index as u16 || u32::from_be_bytes([a, b, c, d]) != ssrc {
        return Err(SrtpError::BadHeader);
    }
    Ok(())
}
