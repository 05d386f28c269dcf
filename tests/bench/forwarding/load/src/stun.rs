//! As much of STUN (RFC 8489) and ICE (RFC 8445) as a controlling agent with one host candidate needs.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const XOR_MAPPED: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const CONTROLLING: u16 = 0x802a;

/// A host candidate's priority as seen from its peer (RFC 8445 section 7.1.1): peer-reflexive, one component.
const REFLEXIVE: u32 = 110 << 24 | 65535 << 8 | 255;

/// What a datagram turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// A check of the other side, with its transaction id.
    Request([u8; 12]),
    /// The success response to the check with this transaction id.
    Success([u8; 12]),
}

/// A connectivity check that nominates its pair. `user` is "remote:local" (RFC 8445 section 7.2.2).
pub fn check(transaction: [u8; 12], user: &str, remote_password: &str) -> Vec<u8> {
    let mut message = header(REQUEST, transaction);
    attribute(&mut message, USERNAME, user.as_bytes());
    attribute(&mut message, PRIORITY, &REFLEXIVE.to_be_bytes());
    attribute(&mut message, CONTROLLING, &[7; 8]);
    attribute(&mut message, USE_CANDIDATE, &[]);
    finish(message, remote_password)
}

/// The answer to a check that came from an IPv4 address.
pub fn success(transaction: [u8; 12], from: std::net::SocketAddrV4, local_password: &str) -> Vec<u8> {
    let mut message = header(SUCCESS, transaction);
    let mut value = vec![0, 1];
    value.extend_from_slice(&(from.port() ^ 0x2112).to_be_bytes());
    value.extend(from.ip().octets().iter().zip(COOKIE).map(|(a, b)| a ^ b));
    attribute(&mut message, XOR_MAPPED, &value);
    finish(message, local_password)
}

/// Read a datagram that begins with 0 or 1 (RFC 7983). None for what is not one of the two messages above, or not
/// authentic: requests come under `local_password`, responses under `remote_password`.
pub fn parse(datagram: &[u8], local_password: &str, remote_password: &str) -> Option<Message> {
    let kind = u16::from_be_bytes(datagram.get(..2)?.try_into().ok()?);
    let transaction = datagram.get(8..20)?.try_into().ok()?;
    let (message, password) = match kind {
        REQUEST => (Message::Request(transaction), local_password),
        SUCCESS => (Message::Success(transaction), remote_password),
        _ => return None,
    };
    let mut at = 20;
    while let Some(head) = datagram.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if u16::from_be_bytes([head[0], head[1]]) == INTEGRITY {
            let mut signed = datagram[..at].to_vec();
            set_length(&mut signed, at + 24 - 20);
            return (datagram.get(at + 4..at + 24)? == hmac(&signed, password)).then_some(message);
        }
        at += 4 + length.next_multiple_of(4);
    }
    None
}

fn header(kind: u16, transaction: [u8; 12]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &[0, 0], &COOKIE, &transaction].concat()
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&(value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn set_length(message: &mut [u8], length: usize) {
    message[2..4].copy_from_slice(&(length as u16).to_be_bytes());
}

/// MESSAGE-INTEGRITY and FINGERPRINT (RFC 8489 sections 14.5 and 14.7): each is made over the message with the
/// length that it will have with that attribute.
fn finish(mut message: Vec<u8>, password: &str) -> Vec<u8> {
    let length = message.len() - 20 + 24;
    set_length(&mut message, length);
    let integrity = hmac(&message, password);
    attribute(&mut message, INTEGRITY, &integrity);
    set_length(&mut message, length + 8);
    let fingerprint = crc32(&message) ^ 0x5354_554e;
    attribute(&mut message, FINGERPRINT, &fingerprint.to_be_bytes());
    message
}

fn hmac(data: &[u8], password: &str) -> Vec<u8> {
    let key = PKey::hmac(password.as_bytes()).expect("any octets are a key");
    let mut signer = Signer::new(MessageDigest::sha1(), &key).expect("SHA-1 is there");
    signer.sign_oneshot_to_vec(data).expect("memory")
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, octet| {
        (0..8).fold(
            crc ^ u32::from(*octet),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_that_of_every_table() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn an_answer_is_taken_under_its_password_alone() {
        let answer = success([3; 12], "127.0.0.1:9".parse().unwrap(), "theirs");
        assert_eq!(parse(&answer, "mine", "theirs"), Some(Message::Success([3; 12])));
        assert_eq!(parse(&answer, "theirs", "mine"), None);
    }
}
