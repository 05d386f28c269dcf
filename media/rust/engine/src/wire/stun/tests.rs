use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::testing::proptest_config;
use crate::wire::testing::hex;

/// RFC 5769 section 2.
const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const ID: TransactionId = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

fn request() -> Vec<u8> {
    hex("00010058 2112a442 b7e7a701 bc34d686 fa87dfae
         80220010 5354554e 20746573 7420636c 69656e74
         00240004 6e0001ff
         80290008 932ff9b1 51263b36
         00060009 6576746a 3a683676 59202020
         00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
         80280004 e57a3bcf")
}

fn ipv4_response() -> Vec<u8> {
    hex("0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
         8022000b 74657374 20766563 746f7220
         00200008 0001a147 e112a643
         00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
         80280004 c07d4c96")
}

fn ipv6_response() -> Vec<u8> {
    hex("01010048 2112a442 b7e7a701 bc34d686 fa87dfae
         8022000b 74657374 20766563 746f7220
         00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
         00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
         80280004 c8fb0b4c")
}

/// A message of raw attributes, given as octets with their headers and padding.
fn of_attributes(attributes: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 1];
    message.extend_from_slice(&(attributes.len() as u16).to_be_bytes());
    message.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
    message.extend_from_slice(&ID);
    message.extend_from_slice(attributes);
    message
}

fn error_of(message: &[u8]) -> Option<StunError> {
    Message::parse(message).err()
}

/// Makes FINGERPRINT, the last eight octets, right again: anyone can.
fn refresh_fingerprint(message: &mut [u8]) {
    let at = message.len() - 8;
    let fingerprint = crc32fast::hash(&message[..at]) ^ FINGERPRINT_XOR;
    message[at + 4..].copy_from_slice(&fingerprint.to_be_bytes());
}

#[test]
fn request_of_rfc_5769() {
    let raw = request();
    let message = Message::parse(&raw).expect("the vector");
    assert_eq!((message.class(), message.method()), (Class::Request, BINDING));
    assert_eq!(message.transaction_id(), ID);
    assert_eq!(message.username(), Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.priority(), Some(0x6e00_01ff));
    assert_eq!(message.ice_controlled(), Some(0x932f_f9b1_5126_3b36));
    assert_eq!((message.ice_controlling(), message.use_candidate()), (None, false));
    assert!(message.has_fingerprint() && message.has_integrity());
    assert!(message.unknown_comprehension_required().is_empty());
    assert!(message.verify_integrity(&short_term_key(PASSWORD)));
    assert!(!message.verify_integrity(&short_term_key("VOkJxbRl1RmTxUk/WvJxBu")));
}

#[test]
fn responses_of_rfc_5769() {
    for (raw, address) in [
        (ipv4_response(), "192.0.2.1:32853"),
        (ipv6_response(), "[2001:db8:1234:5678:11:2233:4455:6677]:32853"),
    ] {
        let message = Message::parse(&raw).expect("the vector");
        assert_eq!((message.class(), message.method()), (Class::Success, BINDING));
        assert_eq!(message.xor_mapped_address(), Some(address.parse().expect("an address")));
        assert!(message.has_fingerprint());
        assert!(message.verify_integrity(&short_term_key(PASSWORD)));
    }
}

#[test]
fn every_truncation_is_refused() {
    for raw in [request(), ipv4_response(), ipv6_response()] {
        for len in 0..raw.len() {
            assert!(error_of(&raw[..len]).is_some(), "{len} octets");
            // The same with a length field that agrees with the cut: without FINGERPRINT whole messages remain,
            // but none that has integrity and fingerprint.
            let mut cut = raw[..len].to_vec();
            if let Some(field) = cut.get_mut(2..4) {
                field.copy_from_slice(&(len.saturating_sub(HEADER_LEN) as u16).to_be_bytes());
            }
            assert!(!Message::parse(&cut).is_ok_and(|message| message.has_fingerprint()), "{len} octets");
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for raw in [request(), ipv4_response(), ipv6_response()] {
        for bit in 0..raw.len() * 8 {
            let mut flipped = raw.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            // A longer USERNAME can swallow the seals, so a parse may succeed, but then without them.
            let sealed = Message::parse(&flipped).is_ok_and(|message| message.has_fingerprint());
            assert!(!sealed, "bit {bit}");
        }
    }
}

#[test]
fn integrity_notices_what_a_right_fingerprint_hides() {
    let key = short_term_key(PASSWORD);
    for raw in [request(), ipv4_response(), ipv6_response()] {
        for bit in 0..(raw.len() - 8) * 8 {
            let mut flipped = raw.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            refresh_fingerprint(&mut flipped);
            let accepted = Message::parse(&flipped).is_ok_and(|message| message.verify_integrity(&key));
            assert!(!accepted, "bit {bit}");
        }
    }
}

#[test]
fn integrity_holds_without_fingerprint() {
    // The length field then ends at MESSAGE-INTEGRITY, which is what it is computed over.
    let mut raw = request();
    raw.truncate(raw.len() - 8);
    raw[3] -= 8;
    let message = Message::parse(&raw).expect("a message");
    assert!(!message.has_fingerprint());
    assert!(message.verify_integrity(&short_term_key(PASSWORD)));
}

#[test]
fn headers_that_lie() {
    assert_eq!(error_of(&[]), Some(StunError::TooShort));
    for (at, value, error) in [
        (0, 0x40, StunError::BadType),
        (0, 0x80, StunError::BadType),
        (3, 0x54, StunError::BadLength),
        (3, 0x5c, StunError::BadLength),
        (3, 0x57, StunError::BadLength),
        (2, 0xff, StunError::BadLength),
        (4, 0x22, StunError::BadCookie),
    ] {
        let mut raw = request();
        raw[at] = value;
        assert_eq!(error_of(&raw), Some(error), "octet {at} = {value:#x}");
    }
    let mut longer = request();
    longer.push(0);
    longer[3] += 1;
    assert_eq!(error_of(&longer), Some(StunError::BadLength), "no whole words");
}

#[test]
fn attributes_that_lie() {
    for (attributes, error) in [
        ("00060009 61626364", StunError::BadAttribute), // past the end
        ("0006ffff 61626364", StunError::BadAttribute),
        ("00060005 61626364", StunError::BadAttribute), // its padding is missing
        ("00240003 01020300", StunError::BadAttribute),
        ("00250001 00000000", StunError::BadAttribute),
        ("80290004 00000000", StunError::BadAttribute),
        ("802a0004 00000000", StunError::BadAttribute),
        ("00090002 00040000", StunError::BadAttribute),
        ("00090004 00000764", StunError::BadAttribute), // class 7
        ("00090004 00000464", StunError::BadAttribute), // number 100
        ("00200008 0003a147 e112a643", StunError::BadAttribute), // no such family
        ("00200008 0002a147 e112a643", StunError::BadAttribute), // too short for IPv6
        ("00080010 00000000 00000000 00000000 00000000", StunError::BadAttribute),
        ("80280003 00000000", StunError::BadAttribute),
        ("80280004 00000000", StunError::BadFingerprint),
    ] {
        assert_eq!(error_of(&of_attributes(&hex(attributes))), Some(error), "{attributes}");
    }
    let long_username = [hex("000601fd"), vec![b'u'; 512]].concat();
    assert_eq!(error_of(&of_attributes(&long_username)), Some(StunError::BadAttribute));
}

#[test]
fn the_number_of_attributes_is_bounded() {
    let attribute = hex("80220000");
    assert!(Message::parse(&of_attributes(&attribute.repeat(MAX_ATTRIBUTES))).is_ok());
    let more = of_attributes(&attribute.repeat(MAX_ATTRIBUTES + 1));
    assert_eq!(error_of(&more), Some(StunError::TooManyAttributes));
}

#[test]
fn nothing_may_follow_the_seals() {
    let integrity = [hex("00080014"), vec![0; 20]].concat();
    let after_integrity = |more: &str| of_attributes(&[integrity.clone(), hex(more)].concat());
    assert_eq!(error_of(&after_integrity("00250000")), Some(StunError::Misplaced));
    let twice = [integrity.clone(), integrity.clone()].concat();
    assert_eq!(error_of(&of_attributes(&twice)), Some(StunError::Misplaced));
    assert!(Message::parse(&after_integrity("001c0004 00000000")).is_ok(), "MESSAGE-INTEGRITY-SHA256 may");

    let mut out = Vec::new();
    Builder::new(&mut out, Class::Request, BINDING, ID).finish(None);
    out.extend(hex("00250000"));
    // The fingerprint has to be right for the longer message, or that is what is found first.
    out[3] += 4;
    let fingerprint = crc32fast::hash(&out[..20]) ^ FINGERPRINT_XOR;
    out[24..28].copy_from_slice(&fingerprint.to_be_bytes());
    assert_eq!(error_of(&out), Some(StunError::Misplaced));
}

#[test]
fn unknown_attributes_are_told_once_each_and_at_most_eight() {
    let message = of_attributes(&hex("00030000 c0010000 00030000 00190004 11000000 001e0000"));
    let message = Message::parse(&message).expect("a message");
    assert_eq!(message.unknown_comprehension_required().as_slice(), [0x0003, 0x0019, 0x001e]);

    let many: Vec<u8> = (0..20).flat_map(|n| [0x40, n, 0, 0]).collect();
    let message = of_attributes(&many);
    let unknown = Message::parse(&message).expect("a message").unknown_comprehension_required();
    assert_eq!(unknown.as_slice().len(), 8);
}

#[test]
fn the_first_of_two_counts() {
    let message =
        of_attributes(&hex("00060001 61000000 00060001 62000000 00240004 00000001 00240004 00000002"));
    let message = Message::parse(&message).expect("a message");
    assert_eq!((message.username(), message.priority()), (Some(&b"a"[..]), Some(1)));
}

#[test]
fn error_responses() {
    let key = short_term_key(PASSWORD);
    for (code, unknown, key) in
        [(400, &[][..], None), (401, &[], None), (420, &[3, 0x19], Some(&key)), (487, &[], Some(&key))]
    {
        let mut out = vec![0xee];
        write_error(&mut out, ID, code, unknown, key);
        let message = Message::parse(&out[1..]).expect("a message");
        assert_eq!((message.class(), message.method()), (Class::Error, BINDING));
        assert_eq!((message.error_code(), message.transaction_id()), (Some(code), ID));
        assert!(message.has_fingerprint());
        assert_eq!(message.has_integrity(), key.is_some());
        assert!(key.is_none_or(|key| message.verify_integrity(key)));
    }
    let mut out = Vec::new();
    write_error(&mut out, ID, 420, &[3, 0x19], None);
    let list = hex("000a0004 00030019");
    assert!(out.windows(list.len()).any(|window| window == list), "{out:02x?}");
}

#[test]
fn success_in_octets() {
    // As the IPv4 response of RFC 5769, without its SOFTWARE; so only the seals differ.
    let key = short_term_key(PASSWORD);
    let mut out = Vec::new();
    write_success(&mut out, ID, "192.0.2.1:32853".parse().expect("an address"), &key);
    assert_eq!(out[..32], hex("0101002c 2112a442 b7e7a701 bc34d686 fa87dfae 00200008 0001a147 e112a643"));
    assert!(Message::parse(&out).expect("a message").verify_integrity(&key));
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_ipv4() {
    let mut out = Vec::new();
    write_success(
        &mut out,
        ID,
        "[::ffff:192.0.2.1]:7".parse().expect("an address"),
        &short_term_key(PASSWORD),
    );
    let message = Message::parse(&out).expect("a message");
    assert_eq!(message.xor_mapped_address(), Some("192.0.2.1:7".parse().expect("an address")));
}

#[test]
fn a_username_too_long_is_not_written() {
    let mut out = Vec::new();
    let builder = Builder::new(&mut out, Class::Request, BINDING, ID);
    assert_eq!(builder.username(&[b'u'; 509]).err(), Some(StunError::BadAttribute));
}

#[test]
fn types_round_trip() {
    for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
        for method in 0..0x1000 {
            let joined = join_type(class, method);
            assert_eq!(joined & 0xc000, 0);
            assert_eq!(split_type(joined), (class, method));
        }
    }
    assert_eq!(join_type(Class::Error, BINDING), 0x0111);
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn what_is_built_is_read(
        id in any::<TransactionId>(),
        username in prop::collection::vec(any::<u8>(), 0..=508),
        (priority, tie_breaker) in any::<(u32, u64)>(),
        (nominate, controls) in any::<(bool, bool)>(),
        address in any::<SocketAddr>(),
        password in "[a-zA-Z0-9+/]{22,256}",
        before in prop::collection::vec(any::<u8>(), 0..5),
    ) {
        let key = short_term_key(&password);
        let mut out = before.clone();
        let mut builder = Builder::new(&mut out, Class::Request, BINDING, id)
            .username(&username)
            .expect("short enough")
            .priority(priority)
            .xor_mapped_address(address);
        builder = if controls { builder.ice_controlling(tie_breaker) } else { builder.ice_controlled(tie_breaker) };
        if nominate {
            builder = builder.use_candidate();
        }
        builder.finish(Some(&key));

        prop_assert_eq!(&out[..before.len()], &before[..]);
        let message = Message::parse(&out[before.len()..]).expect("a message");
        prop_assert_eq!(message.username(), Some(&username[..]));
        prop_assert_eq!(message.priority(), Some(priority));
        prop_assert_eq!(message.use_candidate(), nominate);
        prop_assert_eq!(message.ice_controlling(), controls.then_some(tie_breaker));
        prop_assert_eq!(message.ice_controlled(), (!controls).then_some(tie_breaker));
        let read = message.xor_mapped_address().expect("an address");
        prop_assert_eq!((read.ip(), read.port()), (address.ip().to_canonical(), address.port()));
        prop_assert!(message.verify_integrity(&key));
        prop_assert!(!message.verify_integrity(&short_term_key(&password[1..])));
    }

    #[test]
    fn never_panics(
        body in prop::collection::vec(any::<u8>(), 0..120),
        (whole, plausible) in any::<(bool, bool)>(),
        kinds in prop::collection::vec((any::<bool>(), 0u8..0x2c, 0u8..24), 0..30),
    ) {
        let key = short_term_key(PASSWORD);
        let mut message = if whole { of_attributes(&body) } else { body };
        if plausible {
            // Headers of known types and short lengths every few octets.
            for (chunk, (optional, kind, len)) in message.chunks_mut(4).skip(5).step_by(2).zip(kinds) {
                if let [high, low, len_high, len_low] = chunk {
                    (*high, *low, *len_high, *len_low) = (0x80 * u8::from(optional), kind, 0, len);
                }
            }
        }
        if let Ok(message) = Message::parse(&message) {
            let _ = (message.verify_integrity(&key), message.unknown_comprehension_required().as_slice().len());
        }
    }
}
