//! Which protocol a datagram belongs to when all share one port (RFC 7983 section 7, RFC 5761 section 4).

/// What the first octets promise; the parser of that protocol still has to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A STUN message.
    Stun,
    /// A DTLS record.
    Dtls,
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// ZRTP, TURN channels, QUIC, empty datagrams and noise: dropped and counted by the caller.
    Unknown,
}

/// Looks at the first octet, and at the second to tell RTCP (packet types 192 to 223) from RTP.
pub fn classify(datagram: &[u8]) -> Packet {
    match datagram {
        [0..=3, ..] => Packet::Stun,
        [20..=63, ..] => Packet::Dtls,
        [128..=191, 192..=223, ..] => Packet::Rtcp,
        [128..=191, _, ..] => Packet::Rtp,
        _ => Packet::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::{Packet, classify};

    #[test]
    fn first_octet_ranges_of_rfc_7983() {
        for first in 0..=255u8 {
            let expected = match first {
                0..=3 => Packet::Stun,
                20..=63 => Packet::Dtls,
                128..=191 => Packet::Rtp,
                _ => Packet::Unknown,
            };
            assert_eq!(classify(&[first, 96]), expected, "first octet {first}");
        }
    }

    #[test]
    fn packet_types_of_rfc_5761() {
        for second in 0..=255u8 {
            let expected = if (192..=223).contains(&second) { Packet::Rtcp } else { Packet::Rtp };
            assert_eq!(classify(&[0x80, second]), expected, "second octet {second}");
        }
    }

    #[test]
    fn too_short_to_tell() {
        assert_eq!(classify(&[]), Packet::Unknown);
        assert_eq!(classify(&[0x80]), Packet::Unknown);
        assert_eq!(classify(&[0]), Packet::Stun);
    }
}
