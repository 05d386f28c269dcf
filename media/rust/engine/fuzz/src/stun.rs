//! STUN: the datagram as it is, and again as a message whose MESSAGE-INTEGRITY and FINGERPRINT are right, which no
//! mutation would find by itself.

use aws_lc_rs::hmac;
use luokkasilta_engine::ice::IceLite;
use luokkasilta_engine::output::Path;
use luokkasilta_engine::time::Micros;
use luokkasilta_engine::wire::stun::{Class, HEADER_LEN, Message, short_term_key};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const MAGIC_COOKIE: u32 = 0x2112_a442;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
const USERNAME: &[u8] = b"near:far";
const PASSWORD: &str = "the password of the near end";
/// An answer to somebody who has proved nothing must not be worth asking for.
pub(super) const MAX_ANSWER: usize = 128;

/// The target.
pub fn stun(data: &[u8]) {
    read(data);
    let key = short_term_key(PASSWORD);
    let sealed = seal(data, &key);
    // An attribute of `data` may swallow the two that were put behind it, so they need not be there.
    if let Ok(message) = Message::parse(&sealed) {
        assert!(!message.verify_integrity(&short_term_key("another password")));
    }
    read(&sealed);
}

fn read(datagram: &[u8]) {
    let Ok(message) = Message::parse(datagram) else { return };
    assert_eq!(datagram.len() % 4, 0);
    assert!(message.username().is_none_or(|name| name.len() <= 508));
    assert!(message.unknown_comprehension_required().as_slice().len() <= 8);
    assert!(message.error_code().is_none_or(|code| (300..700).contains(&code)));
    let _ = (message.xor_mapped_address(), message.priority(), message.ice_controlling());

    let key = short_term_key(PASSWORD);
    let path = Path::udp(0, IpAddr::V4(Ipv4Addr::LOCALHOST), SocketAddr::from(([192, 0, 2, 1], 5_000)));
    let mut agent = IceLite::new("near", PASSWORD, "far");
    let mut answer = Vec::new();
    let outcome = agent.check(&message, path, Micros(1), &mut answer);
    if outcome.is_ok() {
        assert_eq!(message.class(), Class::Request);
        assert_eq!(message.username(), Some(USERNAME));
        assert!(message.verify_integrity(&key), "accepted without the password");
        assert_eq!(agent.path(), Some(path));
    } else {
        assert_eq!(agent.path(), None, "a refused check validates nothing");
    }
    if answer.is_empty() {
        assert!(outcome.is_err(), "an accepted check is answered");
        return;
    }
    assert!(answer.len() <= MAX_ANSWER, "{} octets of answer", answer.len());
    let answered = Message::parse(&answer).expect("a well-formed answer");
    assert_eq!(message.class(), Class::Request, "only requests are answered");
    assert_eq!(answered.transaction_id(), message.transaction_id());
    let expected = if outcome.is_ok() { Class::Success } else { Class::Error };
    assert_eq!(answered.class(), expected);
    assert_eq!(answered.xor_mapped_address(), outcome.is_ok().then_some(path.remote));
}

/// A message of two octets of type, twelve of transaction and attributes, as `data` gives them, made good: cookie,
/// lengths, MESSAGE-INTEGRITY for `key` (RFC 8489 section 14.5) and FINGERPRINT (14.7).
pub(super) fn seal(data: &[u8], key: &hmac::Key) -> Vec<u8> {
    let octet = |at: usize| data.get(at).copied().unwrap_or(0);
    let mut message = vec![octet(0) & 0x3f, octet(1), 0, 0];
    message.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
    message.extend((2..14).map(octet));
    message.extend(data.iter().skip(14).take(1_000));
    message.resize(message.len().next_multiple_of(4), 0);
    let mut put = |attribute: u16, len: usize, value: fn(&[u8], &hmac::Key) -> Vec<u8>| {
        let length = (message.len() - HEADER_LEN + 4 + len) as u16;
        message[2..4].copy_from_slice(&length.to_be_bytes());
        let value = value(&message, key);
        message.extend_from_slice(&attribute.to_be_bytes());
        message.extend_from_slice(&(len as u16).to_be_bytes());
        message.extend_from_slice(&value);
    };
    put(0x0008, 20, |covered, key| hmac::sign(key, covered).as_ref().to_vec());
    put(0x8028, 4, |covered, _| (crc32fast::hash(covered) ^ FINGERPRINT_XOR).to_be_bytes().to_vec());
    message
}
