//! AES-CM with HMAC-SHA1: vectors of the RFC and of another implementation, and their malformed twins.

use super::super::cm::AesCmHmacSha1;
use super::*;

const SSRC: u32 = 0xcafe_babe;

fn keys() -> (Vec<u8>, Vec<u8>) {
    ((0..16).collect(), (0xa0..0xae).collect())
}

fn pair() -> (Outbound, Inbound) {
    let (key, salt) = keys();
    (
        Outbound::new(AES128_CM_HMAC_SHA1_80, &key, &salt).expect("keys"),
        Inbound::new(AES128_CM_HMAC_SHA1_80, &key, &salt).expect("keys"),
    )
}

/// Made by libsrtp 2 (pylibsrtp 1.0.0): a session with the policy AES128_CM_SHA1_80 and the key of [`keys`]
/// protected these two packets, one with an extension and one after the roll-over, and two reports.
fn packets_of_libsrtp() -> [(Vec<u8>, usize, u64, Vec<u8>); 2] {
    let header = hex("9060fffe 01020304 cafebabe bede0001 10aa0000");
    let first = (
        [&header[..], b"a classroom bridge"].concat(),
        header.len(),
        0xfffe,
        [&header[..], &hex("c6f8c1df2c71cb4fb7e709e123e282befc39205a9788b350387bbd2a")].concat(),
    );
    let header = hex("80600000 01020305 cafebabe");
    let second = (
        [&header[..], b"after the wrap"].concat(),
        header.len(),
        0x1_0000,
        [&header[..], &hex("a964b9ea6a02de6c29f6bac2b92c1f5029e582a263b4d710")].concat(),
    );
    [first, second]
}

fn report() -> Vec<u8> {
    [hex("81c90007 00000001"), vec![0; 24]].concat()
}

fn reports_of_libsrtp() -> [Vec<u8>; 2] {
    [
        hex(
            "81c90007 00000001 e1d449c0f12863f28f913a61b0ca29245a45aebf332e75c7 80000001 c903ca08bd3a5a1f9ceb",
        ),
        hex(
            "81c90007 00000001 1be56c500dd95cc291e8266f8bd8ece075188ba9a0c2e7f1 80000002 085290c491b1a12521ee",
        ),
    ]
}

#[test]
fn key_stream_of_rfc_3711() {
    // Appendix B.2. The counter of blocks goes beyond eight bits there: a packet of a megabyte of zeros.
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().expect("16 octets");
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().expect("14 octets");
    let cipher = AesCmHmacSha1::with_session_key(&key, salt);
    let mut stream = vec![0; 0xff02 * 16];
    cipher.seal_rtp(&mut stream, 0, 0, 0, 0).expect("sealed");
    for (block, expected) in [
        (0, "E03EAD0935C95E80E166B16DD92B4EB4"),
        (1, "D23513162B02D0F72A43A2FE4A5F97AB"),
        (2, "41E95B3BB0A2E8DD477901E4FCA894C0"),
        (0xfeff, "EC8CDF7398607CB0F2D21675EA9EA1E4"),
        (0xff00, "362B7C3C6773516318A077D7FC5073AE"),
        (0xff01, "6A2CC3787889374FBEB4C81B17BA6C44"),
    ] {
        assert_eq!(stream[block * 16..][..16], hex(expected), "block {block:#x}");
    }
}

#[test]
fn rtp_of_libsrtp() {
    let (mut outbound, mut inbound) = pair();
    for (plain, header_len, index, sealed) in packets_of_libsrtp() {
        assert_eq!(open_rtp(&mut inbound, &sealed), Ok((plain.clone(), index)));
        assert_eq!(open_rtp(&mut inbound, &sealed), Err(SrtpError::Replayed));
        let mut out = [b"before".to_vec(), plain].concat();
        outbound.protect_rtp(&mut out, 6, header_len, SSRC, index).expect("protected");
        assert_eq!(out, [b"before".to_vec(), sealed].concat());
    }
}

#[test]
fn rtcp_of_libsrtp() {
    let (_, mut inbound) = pair();
    let (key, salt) = keys();
    let cipher = Box::new(AesCmHmacSha1::derive(&key, &salt).expect("keys"));
    let mut outbound = Outbound::with_cipher(cipher, 1); // where libsrtp begins
    for sealed in reports_of_libsrtp() {
        assert_eq!(open_rtcp(&mut inbound, &sealed), Ok(report()));
        assert_eq!(open_rtcp(&mut inbound, &sealed), Err(SrtpError::Replayed));
        let mut out = [b"before".to_vec(), report()].concat();
        outbound.protect_rtcp(&mut out, 6).expect("protected");
        assert_eq!(out, [b"before".to_vec(), sealed].concat());
    }
}

#[test]
fn a_packet_without_payload() {
    let (mut outbound, mut inbound) = pair();
    let plain = hex("80600005 00000000 cafebabe");
    let mut out = plain.clone();
    outbound.protect_rtp(&mut out, 0, 12, SSRC, 5).expect("protected");
    assert_eq!(out.len(), 12 + 10);
    assert_eq!(open_rtp(&mut inbound, &out), Ok((plain, 5)));
    let plain = hex("81c90001 cafebabe");
    let mut out = plain.clone();
    outbound.protect_rtcp(&mut out, 0).expect("protected");
    assert_eq!(out.len(), 8 + 4 + 10);
    assert_eq!(open_rtcp(&mut inbound, &out), Ok(plain));
}

#[test]
fn every_truncation_and_every_flipped_bit_is_refused_and_moves_nothing() {
    let (_, mut inbound) = pair();
    let [(plain, _, index, rtp), _] = packets_of_libsrtp();
    let [rtcp, _] = reports_of_libsrtp();
    for len in 0..rtp.len() {
        assert!(open_rtp(&mut inbound, &rtp[..len]).is_err(), "{len} octets of RTP");
    }
    for len in 0..rtcp.len() {
        assert!(open_rtcp(&mut inbound, &rtcp[..len]).is_err(), "{len} octets of RTCP");
    }
    for bit in 0..rtp.len() * 8 {
        let mut flipped = rtp.clone();
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(open_rtp(&mut inbound, &flipped).is_err(), "bit {bit} of RTP");
    }
    for bit in 0..rtcp.len() * 8 {
        let mut flipped = rtcp.clone();
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(open_rtcp(&mut inbound, &flipped).is_err(), "bit {bit} of RTCP");
    }
    assert_eq!(open_rtp(&mut inbound, &[rtp.clone(), vec![0]].concat()), Err(SrtpError::Unauthenticated));
    assert_eq!(open_rtp(&mut inbound, &rtp), Ok((plain, index)));
    assert_eq!(open_rtcp(&mut inbound, &rtcp), Ok(report()));
}

#[test]
fn the_roll_over_counter_is_authenticated() {
    // The same octets under another counter: a receiver that counts wrongly refuses, it does not decrypt to noise.
    let (key, salt) = keys();
    let cipher = AesCmHmacSha1::derive(&key, &salt).expect("keys");
    let [_, (plain, header_len, index, sealed)] = packets_of_libsrtp();
    let mut packet = sealed.clone();
    let wrong = cipher.open_rtp(&mut packet, header_len, SSRC, index - 0x1_0000);
    assert_eq!(wrong, Err(SrtpError::Unauthenticated));
    assert_eq!(packet, sealed, "nothing is decrypted before it is authenticated");
    assert_eq!(cipher.open_rtp(&mut packet, header_len, SSRC, index), Ok(plain.len()));
    assert_eq!(packet[..plain.len()], plain);
}

#[test]
fn rtcp_in_the_clear_is_refused() {
    let [mut packet, _] = reports_of_libsrtp();
    let flag = packet.len() - 14;
    packet[flag] &= 0x7f;
    assert_eq!(open_rtcp(&mut pair().1, &packet), Err(SrtpError::Unencrypted));
}

#[test]
fn debug_output_says_nothing_of_the_keys() {
    let (outbound, inbound) = pair();
    let text = format!("{outbound:?}{inbound:?}");
    assert!(text.contains("AesCmHmacSha1 { .. }"), "{text}");
}
