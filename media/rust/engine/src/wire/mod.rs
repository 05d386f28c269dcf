//! What crosses the socket, read from and written to octets: no state of a peer, no clock, no crypto keys.
//!
//! ```text
//!   datagram ------------> demux -> stun
//!   TCP octets -> framing ->     -> rtp  -> vp8, vp9 (payload descriptors), h264, av1 (payload structures)
//!                                        -> dependency (what an AV1 frame belongs to, in a header extension)
//!                                        -> rtx (a repeated packet), red (redundant audio), opus (how long it plays)
//!                                -> rtcp (compound, after SRTCP)
//! ```
//!
//! Every parser borrows, refuses what it cannot read with its own small error, and never panics: the octets
//! are a stranger's until SRTP or MESSAGE-INTEGRITY has vouched for them, and sometimes after.

pub mod av1;
pub mod demux;
pub mod dependency;
pub mod framing;
pub mod h264;
pub mod opus;
pub mod red;
pub mod rtcp;
pub mod rtp;
pub mod rtx;
pub mod stun;
pub mod vp8;
pub mod vp9;

/// The octet at `at`, or None past the end.
fn octet(data: &[u8], at: usize) -> Option<u8> {
    data.get(at).copied()
}

/// `N` octets from `at` on, or None where the data ends before.
fn octets<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    let end = at.checked_add(N)?;
    data.get(at..end)?.try_into().ok()
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    octets(data, at).map(u16::from_be_bytes)
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    octets(data, at).map(u32::from_be_bytes)
}

fn be64(data: &[u8], at: usize) -> Option<u64> {
    octets(data, at).map(u64::from_be_bytes)
}

/// Declares a small error: a Copy enum whose Display is the given text.
macro_rules! error_enum {
    ($(#[$outer:meta])* $name:ident { $($variant:ident => $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $text] $variant,)+
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }

        impl std::error::Error for $name {}
    };
}
pub(crate) use error_enum;

#[cfg(test)]
pub(crate) mod testing {
    /// Octets of a hexadecimal string; blanks are ignored.
    pub(crate) fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .bytes()
            .filter(|b| !b.is_ascii_whitespace())
            .map(|b| char::from(b).to_digit(16).expect("a hexadecimal digit") as u8)
            .collect();
        assert_eq!(digits.len() % 2, 0, "half an octet");
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// A packet of a real browser.
    pub(crate) struct Recorded {
        /// The dependency descriptor, where it has one: VP9 and AV1.
        pub(crate) dependency: Option<Vec<u8>>,
        /// Cut after 32 octets.
        pub(crate) payload: Vec<u8>,
    }

    /// What tests/media/record_payloads.py wrote, without the packets of padding alone.
    pub(crate) fn recorded(text: &str) -> Vec<Recorded> {
        const DEPENDENCY: u8 = 13;
        let packets: Vec<Recorded> = text
            .lines()
            .map(hex)
            // A cut packet does not say how much of it is padding; Chromium pads nothing but probes.
            .filter(|packet| packet[0] & 0x20 == 0)
            .map(|packet| {
                let header = crate::wire::rtp::Header::parse(&packet).expect("RTP");
                Recorded {
                    dependency: header
                        .extensions(&packet)
                        .find(|(id, _)| *id == DEPENDENCY)
                        .map(|(_, value)| value.to_vec()),
                    payload: packet[header.payload_offset..].to_vec(),
                }
            })
            .collect();
        assert!(packets.len() > 10, "a recording of something");
        packets
    }
}
