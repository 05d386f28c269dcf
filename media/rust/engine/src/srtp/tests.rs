//! Vectors and their malformed twins; what the two sides do together stands in `streams`.

mod cm;
mod properties;
mod streams;

use super::cipher::Cipher;
use super::gcm::AeadAes128Gcm;
use super::*;
use crate::wire::rtp::Header;
use crate::wire::testing::hex;

/// RFC 7714 sections 16 and 17: session key and salt, the latter "Quid pro quo".
const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const SALT: [u8; 12] = *b"Quid pro quo";
const RTP_SSRC: u32 = 0x5501_a0b2;
const RTP_INDEX: u64 = 0xf17b;
const RTCP_INDEX: u32 = 0x5d4;

fn cipher() -> Box<dyn Cipher> {
    Box::new(AeadAes128Gcm::with_session_key(&KEY, SALT))
}

/// Section 16.1.1.
fn plain_rtp() -> Vec<u8> {
    [hex("8040f17b 8041f8d3 5501a0b2"), b"Gallia est omnis divisa in partes tres".to_vec()].concat()
}

fn protected_rtp() -> Vec<u8> {
    hex("8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a
         51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce")
}

/// Section 17.1.
fn plain_rtcp() -> Vec<u8> {
    hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
         deadbeef deadbeef deadbeef deadbeef deadbeef")
}

fn protected_rtcp() -> Vec<u8> {
    hex("81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda
         4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4")
}

fn open_rtp(inbound: &mut Inbound, packet: &[u8]) -> Result<(Vec<u8>, u64), SrtpError> {
    let mut packet = packet.to_vec();
    let header = Header::parse(&packet).map_err(|_| SrtpError::TooShort)?;
    let plain = inbound.unprotect_rtp(&header, &mut packet)?;
    packet.truncate(plain.len);
    Ok((packet, plain.index))
}

fn open_rtcp(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let len = inbound.unprotect_rtcp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

#[test]
fn rtp_vector_of_rfc_7714() {
    let mut out = plain_rtp();
    Outbound::with_cipher(cipher(), 0).protect_rtp(&mut out, 0, 12, RTP_SSRC, RTP_INDEX).expect("protected");
    assert_eq!(out, protected_rtp());
    let mut inbound = Inbound::with_cipher(cipher());
    assert_eq!(open_rtp(&mut inbound, &protected_rtp()), Ok((plain_rtp(), RTP_INDEX)));
    assert_eq!(open_rtp(&mut inbound, &protected_rtp()), Err(SrtpError::Replayed));
}

#[test]
fn rtcp_vector_of_rfc_7714() {
    let mut out = plain_rtcp();
    Outbound::with_cipher(cipher(), RTCP_INDEX).protect_rtcp(&mut out, 0).expect("protected");
    assert_eq!(out, protected_rtcp());
    let mut inbound = Inbound::with_cipher(cipher());
    assert_eq!(open_rtcp(&mut inbound, &protected_rtcp()), Ok(plain_rtcp()));
    assert_eq!(open_rtcp(&mut inbound, &protected_rtcp()), Err(SrtpError::Replayed));
}

/// Made by libsrtp 2 (pylibsrtp 1.0.0) from a master key and salt, so that the derivation of RFC 7714 section 11
/// with its shorter salt is held to another implementation: an extension, a roll-over, two reports.
#[test]
fn packets_of_libsrtp() {
    let (key, salt): (Vec<u8>, Vec<u8>) = ((0..16).collect(), (0xa0..0xac).collect());
    let mut inbound = Inbound::new(AEAD_AES_128_GCM, &key, &salt).expect("keys");
    let mut outbound = Outbound::new(AEAD_AES_128_GCM, &key, &salt).expect("keys");

    let header = hex("9060fffe 01020304 cafebabe bede0001 10aa0000");
    let plain = [&header[..], b"a classroom bridge"].concat();
    let sealed =
        [&header[..], &hex("d9436824973f9db37617f22018668834f2932cee7e5a9479f9b986b5db5c5f95ef4d")].concat();
    assert_eq!(open_rtp(&mut inbound, &sealed), Ok((plain.clone(), 0xfffe)));
    let mut out = plain;
    outbound.protect_rtp(&mut out, 0, header.len(), 0xcafe_babe, 0xfffe).expect("protected");
    assert_eq!(out, sealed);

    let header = hex("80600000 01020305 cafebabe");
    let plain = [&header[..], b"after the wrap"].concat();
    let sealed = [&header[..], &hex("75a1b230ce47cadd4714abf28c9bd1a5c5a07b6c43fe63013c10a1b3ce22")].concat();
    assert_eq!(open_rtp(&mut inbound, &sealed), Ok((plain.clone(), 0x1_0000)));
    let mut out = plain;
    outbound.protect_rtp(&mut out, 0, header.len(), 0xcafe_babe, 0x1_0000).expect("protected");
    assert_eq!(out, sealed);

    let report = [hex("81c90007 00000001"), vec![0; 24]].concat();
    for sealed in [
        "81c90007 00000001 3bb9f491bab31e9d0c321dc51a463248d9c5301ed6773741bab43bc60c98c71409ab2a3a04b5771e 80000001",
        "81c90007 00000001 efd5749ad7d50f187df3b173f04990193f012d39b9ddb9bda90b0ef7983e5332abafd81411704099 80000002",
    ] {
        assert_eq!(open_rtcp(&mut inbound, &hex(sealed)), Ok(report.clone()));
    }
}

#[test]
fn every_truncation_is_refused_and_moves_nothing() {
    let mut inbound = Inbound::with_cipher(cipher());
    for len in 0..protected_rtp().len() {
        assert!(open_rtp(&mut inbound, &protected_rtp()[..len]).is_err(), "{len} octets of RTP");
    }
    for len in 0..protected_rtcp().len() {
        assert!(open_rtcp(&mut inbound, &protected_rtcp()[..len]).is_err(), "{len} octets of RTCP");
    }
    assert_eq!(open_rtp(&mut inbound, &protected_rtp()), Ok((plain_rtp(), RTP_INDEX)));
    assert_eq!(open_rtcp(&mut inbound, &protected_rtcp()), Ok(plain_rtcp()));
}

#[test]
fn every_flipped_bit_is_refused_and_moves_nothing() {
    let flip = |packet: &[u8], bit: usize| {
        let mut flipped = packet.to_vec();
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        flipped
    };
    let mut inbound = Inbound::with_cipher(cipher());
    for bit in 0..protected_rtp().len() * 8 {
        assert!(open_rtp(&mut inbound, &flip(&protected_rtp(), bit)).is_err(), "bit {bit} of RTP");
    }
    for bit in 0..protected_rtcp().len() * 8 {
        assert!(open_rtcp(&mut inbound, &flip(&protected_rtcp(), bit)).is_err(), "bit {bit} of RTCP");
    }
    assert_eq!(open_rtp(&mut inbound, &protected_rtp()), Ok((plain_rtp(), RTP_INDEX)));
    assert_eq!(open_rtcp(&mut inbound, &protected_rtcp()), Ok(plain_rtcp()));
}

#[test]
fn a_longer_packet_is_refused() {
    let mut inbound = Inbound::with_cipher(cipher());
    let longer = [protected_rtp(), vec![0]].concat();
    assert_eq!(open_rtp(&mut inbound, &longer), Err(SrtpError::Unauthenticated));
}

#[test]
fn rtcp_in_the_clear_is_refused() {
    // Section 9.3 allows authentication alone; DTLS-SRTP never negotiates it.
    let mut packet = protected_rtcp();
    let flag = packet.len() - 4;
    packet[flag] &= 0x7f;
    assert_eq!(open_rtcp(&mut Inbound::with_cipher(cipher()), &packet), Err(SrtpError::Unencrypted));
}

#[test]
fn keys_of_another_length_or_profile_are_refused() {
    for (profile, key, salt, error) in [
        (AEAD_AES_128_GCM, 15, 12, SrtpError::BadKey),
        (AEAD_AES_128_GCM, 32, 12, SrtpError::BadKey),
        (AEAD_AES_128_GCM, 16, 14, SrtpError::BadKey),
        (AES128_CM_HMAC_SHA1_80, 16, 12, SrtpError::BadKey),
        (AES128_CM_HMAC_SHA1_80, 15, 14, SrtpError::BadKey),
        (0x0002, 16, 14, SrtpError::UnknownProfile), // the tag of 32 bits
        (0x0008, 32, 12, SrtpError::UnknownProfile),
        (0, 16, 12, SrtpError::UnknownProfile),
    ] {
        let (key, salt) = (vec![0; key], vec![0; salt]);
        assert_eq!(Inbound::new(profile, &key, &salt).err(), Some(error));
        assert_eq!(Outbound::new(profile, &key, &salt).err(), Some(error));
    }
}

#[test]
fn debug_output_says_nothing_of_the_keys() {
    let text = format!("{:?}{:?}", Inbound::with_cipher(cipher()), Outbound::with_cipher(cipher(), 0));
    assert!(text.contains("AeadAes128Gcm { .. }"), "{text}");
}
