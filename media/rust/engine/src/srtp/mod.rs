//! SRTP and SRTCP (RFC 3711), keyed by DTLS (RFC 5764): AEAD_AES_128_GCM (RFC 7714), and AES-CM with HMAC-SHA1
//! for who has nothing better.
//!
//! ```text
//!   master key, salt -> derive -> cipher (session keys; one implementation per protection profile)
//!                                   |
//!                     Inbound: roll-over estimation, replay windows     Outbound: index reuse guard
//! ```
//!
//! One [`Inbound`] and one [`Outbound`] per peer. Neither allocates per packet once it knows the SSRC and the
//! buffer has grown. State moves only for packets that were authenticated.

mod cipher;
mod cm;
mod derive;
mod gcm;
mod inbound;
mod outbound;

use crate::wire::error_enum;

pub use inbound::{Inbound, MAX_SSRCS, Unprotected};
pub use outbound::Outbound;

/// The DTLS-SRTP number of AEAD_AES_128_GCM (RFC 7714 section 14.2).
pub const AEAD_AES_128_GCM: u16 = 0x0007;
/// The DTLS-SRTP number of SRTP_AES128_CM_HMAC_SHA1_80 (RFC 5764 section 4.1.2).
pub const AES128_CM_HMAC_SHA1_80: u16 = 0x0001;

/// Fixed RTP header, and with it the least of an RTP packet.
const RTP_HEADER_LEN: usize = 12;
/// RTCP header with the sender's SSRC: always in the clear.
const RTCP_HEADER_LEN: usize = 8;
/// An RTP index has 48 bits: 32 of roll-over counter, 16 of sequence number.
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;
/// An SRTCP index has 31 bits.
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;

error_enum! {
    /// Why a packet was refused, or keys were.
    SrtpError {
        UnknownProfile => "SRTP: protection profile is not supported",
        BadKey => "SRTP: master key or salt has not the length of the profile",
        TooShort => "SRTP: packet is shorter than its header and tag",
        BadHeader => "SRTP: header is not that of this SSRC and index",
        Unencrypted => "SRTCP: not encrypted",
        Unauthenticated => "SRTP: authentication failed",
        Replayed => "SRTP: packet was received before",
        TooOld => "SRTP: packet is older than the replay window",
        TooManySsrcs => "SRTP: a new SSRC when the most that are kept are known",
        IndexUsed => "SRTP: index was used before, or is too old to tell",
        IndexExhausted => "SRTP: no index is left under this key",
    }
}

#[cfg(test)]
mod tests;
