//! What a peer sends: authenticated, decrypted, and each packet once.

use std::collections::HashMap;

use super::cipher::{self, Cipher};
use super::{MAX_RTP_INDEX, RTCP_HEADER_LEN, SrtpError};
use crate::window::{Standing, Window};
use crate::wire::rtp::Header;

/// SSRCs kept per direction and kind of packet. A publisher of five sources in three layers with
/// retransmission has thirty; one that has more than this is refused its newest, never its oldest.
pub const MAX_SSRCS: usize = 128;

/// An RTP packet, authenticated and decrypted in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprotected {
    /// Octets of the plain packet, from the start of the same buffer.
    pub len: usize,
    /// Roll-over counter and sequence number in 48 bits.
    pub index: u64,
}

/// One peer's receiving side.
///
/// State is kept for SSRCs that were authenticated, at most [`MAX_SSRCS`] for RTP and as many for RTCP. The
/// roll-over counter of an SSRC begins at zero, as RFC 3711 section 3.3.1 has it: a sender that begins just
/// below the wrap and loses all packets before it can't be understood, so senders begin in the lower half.
#[derive(Debug)]
pub struct Inbound {
    cipher: Box<dyn Cipher>,
    pub(super) rtp: HashMap<u32, Window>,
    rtcp: HashMap<u32, Window>,
}

impl Inbound {
    /// `profile` is the DTLS-SRTP number. Errors: UnknownProfile, BadKey.
    pub fn new(profile: u16, master_key: &[u8], master_salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self::with_cipher(cipher::new(profile, master_key, master_salt)?))
    }

    pub(super) fn with_cipher(cipher: Box<dyn Cipher>) -> Self {
        Self { cipher, rtp: HashMap::new(), rtcp: HashMap::new() }
    }

    /// Decrypts an SRTP packet in place; `header` was parsed from it.
    ///
    /// Errors: TooShort, TooManySsrcs, Replayed, TooOld, IndexExhausted, Unauthenticated. After an error the
    /// state is as before and the packet's octets are worthless.
    pub fn unprotect_rtp(&mut self, header: &Header, packet: &mut [u8]) -> Result<Unprotected, SrtpError> {
        let window = known(&self.rtp, header.ssrc)?;
        let index = estimate_index(window.and_then(Window::highest), header.sequence)?;
        refuse_old(window, index)?;
        let len = self.cipher.open_rtp(packet, header.payload_offset, header.ssrc, index)?;
        self.rtp.entry(header.ssrc).or_default().mark(index);
        Ok(Unprotected { len, index })
    }

    /// Decrypts an SRTCP packet in place and gives the length of the plain compound.
    ///
    /// Errors: TooShort, Unencrypted, TooManySsrcs, Replayed, TooOld, Unauthenticated. After an error the
    /// state is as before and the packet's octets are worthless.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let index = self.cipher.rtcp_index(packet)?;
        let window = known(&self.rtcp, ssrc)?;
        refuse_old(window, u64::from(index))?;
        let len = self.cipher.open_rtcp(packet, ssrc, index)?;
        self.rtcp.entry(ssrc).or_default().mark(u64::from(index));
        Ok(len)
    }
}

/// The first SSRC of a compound, which names the stream.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    match packet.first_chunk::<RTCP_HEADER_LEN>() {
        Some(&[_, _, _, _, a, b, c, d]) => Ok(u32::from_be_bytes([a, b, c, d])),
        None => Err(SrtpError::TooShort),
    }
}

fn known(streams: &HashMap<u32, Window>, ssrc: u32) -> Result<Option<&Window>, SrtpError> {
    match streams.get(&ssrc) {
        None if streams.len() >= MAX_SSRCS => Err(SrtpError::TooManySsrcs),
        window => Ok(window),
    }
}

fn refuse_old(window: Option<&Window>, index: u64) -> Result<(), SrtpError> {
    match window.map_or(Standing::New, |window| window.standing(index)) {
        Standing::New => Ok(()),
        Standing::Seen => Err(SrtpError::Replayed),
        Standing::TooOld => Err(SrtpError::TooOld),
    }
}

/// The index that `sequence` most likely has after `highest` (RFC 3711 section 3.3.1 and appendix A).
fn estimate_index(highest: Option<u64>, sequence: u16) -> Result<u64, SrtpError> {
    const HALF: u16 = 1 << 15;
    let Some(highest) = highest else { return Ok(u64::from(sequence)) };
    let (counter, last) = (highest >> 16, highest as u16);
    let counter = if last < HALF && sequence.saturating_sub(last) > HALF {
        // Before the stream's first roll-over there is nothing that it could belong to.
        counter.checked_sub(1).ok_or(SrtpError::TooOld)?
    } else if last >= HALF && last - HALF > sequence {
        counter + 1
    } else {
        counter
    };
    let index = counter << 16 | u64::from(sequence);
    if index > MAX_RTP_INDEX { Err(SrtpError::IndexExhausted) } else { Ok(index) }
}

#[cfg(test)]
mod tests {
    use super::{SrtpError, estimate_index};

    #[test]
    fn estimates_as_appendix_a() {
        let roll = |counter: u64, sequence: u16| counter << 16 | u64::from(sequence);
        for (highest, sequence, expected) in [
            (roll(0, 100), 101, Ok(roll(0, 101))),
            (roll(0, 65_535), 0, Ok(roll(1, 0))),
            (roll(1, 0), 65_535, Ok(roll(0, 65_535))),
            (roll(1, 2), 65_000, Ok(roll(0, 65_000))),
            (roll(7, 40_000), 7_231, Ok(roll(8, 7_231))),
            (roll(7, 40_000), 7_232, Ok(roll(7, 7_232))), // just half the space behind
            (roll(7, 100), 32_868, Ok(roll(7, 32_868))),  // just half the space ahead
            (roll(7, 100), 32_869, Ok(roll(6, 32_869))),
            (roll(0, 100), 32_869, Err(SrtpError::TooOld)),
            (roll(u64::from(u32::MAX), 65_535), 0, Err(SrtpError::IndexExhausted)),
        ] {
            assert_eq!(estimate_index(Some(highest), sequence), expected, "{sequence} after {highest:#x}");
        }
        assert_eq!(estimate_index(None, 65_535), Ok(65_535));
    }
}
