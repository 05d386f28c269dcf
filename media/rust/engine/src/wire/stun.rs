//! STUN messages (RFC 8489) with the attributes of ICE (RFC 8445 section 16.1) and short-term credentials.
//!
//! A message is checked as a whole before anything of it is believed: lengths, attribute bounds, and
//! FINGERPRINT where there is one. MESSAGE-INTEGRITY is checked when the key is known, by
//! [`Message::verify_integrity`]. What stands behind MESSAGE-INTEGRITY is not covered by it and never read.

mod address;
mod build;

use std::net::SocketAddr;

use aws_lc_rs::{constant_time, hmac};

use super::{be16, be32, be64, error_enum, octets};

pub use build::{Builder, write_error, write_success};

/// Octets of the header.
pub const HEADER_LEN: usize = 20;
/// The method Binding, the only one of ICE.
pub const BINDING: u16 = 0x001;

const MAGIC_COOKIE: u32 = 0x2112_a442;
/// XORed into FINGERPRINT, so that it isn't the CRC of a protocol beneath ("STUN").
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// A browser sends eight. More than this is no check, and the walk must end.
const MAX_ATTRIBUTES: usize = 32;
/// USERNAME is shorter than 509 octets (RFC 8489 section 14.3).
const MAX_USERNAME_LEN: usize = 508;
const INTEGRITY_LEN: usize = 20;
const ATTRIBUTE_HEADER_LEN: usize = 4;

/// Attribute types: below 0x8000 they must be understood (RFC 8489 section 18.3, RFC 8445 section 20.1).
mod attribute {
    pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(super) const REALM: u16 = 0x0014;
    pub(super) const NONCE: u16 = 0x0015;
    pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(super) const PRIORITY: u16 = 0x0024;
    pub(super) const USE_CANDIDATE: u16 = 0x0025;
    pub(super) const FINGERPRINT: u16 = 0x8028;
    pub(super) const ICE_CONTROLLED: u16 = 0x8029;
    pub(super) const ICE_CONTROLLING: u16 = 0x802a;
    pub(super) const FIRST_OPTIONAL: u16 = 0x8000;
}

error_enum! {
    /// Why a datagram is no STUN message.
    StunError {
        TooShort => "STUN: shorter than its header",
        BadType => "STUN: the first two bits are not zero",
        BadCookie => "STUN: no magic cookie",
        BadLength => "STUN: length is not that of the datagram, or no whole words",
        BadAttribute => "STUN: an attribute runs past the end or has the wrong length",
        TooManyAttributes => "STUN: more attributes than any check has",
        Misplaced => "STUN: attributes after MESSAGE-INTEGRITY or FINGERPRINT",
        BadFingerprint => "STUN: FINGERPRINT is wrong",
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wants an answer.
    Request,
    /// Wants none.
    Indication,
    /// Success response.
    Success,
    /// Error response.
    Error,
}

/// Pairs a request with its response.
pub type TransactionId = [u8; 12];

/// The key of short-term credentials: the password itself (RFC 8489 section 9.1.1).
pub fn short_term_key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

/// Attribute types that a request has and this agent doesn't know: at most eight, more aren't told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnknownAttributes {
    types: [u16; 8],
    len: usize,
}

impl UnknownAttributes {
    fn push(&mut self, attribute_type: u16) {
        if self.as_slice().contains(&attribute_type) {
            return;
        }
        if let Some(free) = self.types.get_mut(self.len) {
            *free = attribute_type;
            self.len += 1;
        }
    }

    /// For the UNKNOWN-ATTRIBUTES of a 420 response, in the order of the request.
    pub fn as_slice(&self) -> &[u16] {
        self.types.get(..self.len).unwrap_or_default()
    }

    /// Whether everything was understood.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A checked message, borrowed from the datagram. Where an attribute is there twice, the first counts.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    raw: &'a [u8],
    class: Class,
    method: u16,
    transaction_id: TransactionId,
    username: Option<&'a [u8]>,
    priority: Option<u32>,
    use_candidate: bool,
    ice_controlling: Option<u64>,
    ice_controlled: Option<u64>,
    error_code: Option<u16>,
    xor_mapped_address: Option<SocketAddr>,
    unknown: UnknownAttributes,
    /// Where MESSAGE-INTEGRITY begins.
    integrity_at: Option<usize>,
    has_fingerprint: bool,
}

impl<'a> Message<'a> {
    /// Reads a whole datagram (or one RFC 4571 frame).
    pub fn parse(datagram: &'a [u8]) -> Result<Self, StunError> {
        let message_type = be16(datagram, 0).ok_or(StunError::TooShort)?;
        if message_type & 0xc000 != 0 {
            return Err(StunError::BadType);
        }
        let length = usize::from(be16(datagram, 2).ok_or(StunError::TooShort)?);
        if be32(datagram, 4).ok_or(StunError::TooShort)? != MAGIC_COOKIE {
            return Err(StunError::BadCookie);
        }
        let transaction_id = octets(datagram, 8).ok_or(StunError::TooShort)?;
        if HEADER_LEN + length != datagram.len() || length % 4 != 0 {
            return Err(StunError::BadLength);
        }
        let (class, method) = split_type(message_type);
        let mut message = Self {
            raw: datagram,
            class,
            method,
            transaction_id,
            username: None,
            priority: None,
            use_candidate: false,
            ice_controlling: None,
            ice_controlled: None,
            error_code: None,
            xor_mapped_address: None,
            unknown: UnknownAttributes::default(),
            integrity_at: None,
            has_fingerprint: false,
        };
        let mut at = HEADER_LEN;
        let mut count = 0;
        while at < datagram.len() {
            count += 1;
            if count > MAX_ATTRIBUTES {
                return Err(StunError::TooManyAttributes);
            }
            at = message.read_attribute(at)?;
        }
        Ok(message)
    }

    /// Takes in the attribute at `at`, gives where the next one begins.
    fn read_attribute(&mut self, at: usize) -> Result<usize, StunError> {
        let attribute_type = be16(self.raw, at).ok_or(StunError::BadAttribute)?;
        let len = usize::from(be16(self.raw, at + 2).ok_or(StunError::BadAttribute)?);
        let start = at + ATTRIBUTE_HEADER_LEN;
        let next = start + len.next_multiple_of(4);
        if next > self.raw.len() {
            return Err(StunError::BadAttribute);
        }
        let value = self.raw.get(start..start + len).ok_or(StunError::BadAttribute)?;
        if self.has_fingerprint {
            return Err(StunError::Misplaced);
        }
        match attribute_type {
            attribute::FINGERPRINT => self.check_fingerprint(at, value)?,
            // An agent that doesn't know which of the two we speak sends both (RFC 8489 section 9.1.2).
            attribute::MESSAGE_INTEGRITY_SHA256 if self.integrity_at.is_some() => {}
            _ if self.integrity_at.is_some() => return Err(StunError::Misplaced),
            attribute::MESSAGE_INTEGRITY if len == INTEGRITY_LEN => self.integrity_at = Some(at),
            _ => self.read_value(attribute_type, value).ok_or(StunError::BadAttribute)?,
        }
        Ok(next)
    }

    fn check_fingerprint(&mut self, at: usize, value: &[u8]) -> Result<(), StunError> {
        let stated: [u8; 4] = value.try_into().map_err(|_| StunError::BadAttribute)?;
        let covered = self.raw.get(..at).ok_or(StunError::BadAttribute)?;
        if u32::from_be_bytes(stated) != crc32fast::hash(covered) ^ FINGERPRINT_XOR {
            return Err(StunError::BadFingerprint);
        }
        self.has_fingerprint = true;
        Ok(())
    }

    /// None for a value that its type can't have.
    fn read_value(&mut self, attribute_type: u16, value: &'a [u8]) -> Option<()> {
        let exactly = |len: usize| (value.len() == len).then_some(());
        match attribute_type {
            attribute::USERNAME => {
                (value.len() <= MAX_USERNAME_LEN).then_some(())?;
                self.username.get_or_insert(value);
            }
            attribute::PRIORITY => {
                exactly(4)?;
                self.priority.get_or_insert(be32(value, 0)?);
            }
            attribute::USE_CANDIDATE => {
                exactly(0)?;
                self.use_candidate = true;
            }
            attribute::ICE_CONTROLLING => {
                exactly(8)?;
                self.ice_controlling.get_or_insert(be64(value, 0)?);
            }
            attribute::ICE_CONTROLLED => {
                exactly(8)?;
                self.ice_controlled.get_or_insert(be64(value, 0)?);
            }
            attribute::ERROR_CODE => {
                let [_, _, class, number] = octets(value, 0)?;
                let (class, number) = (u16::from(class & 0x07), u16::from(number));
                ((3..=6).contains(&class) && number < 100).then_some(())?;
                self.error_code.get_or_insert(class * 100 + number);
            }
            attribute::XOR_MAPPED_ADDRESS => {
                let address = address::read_xored(value, &self.transaction_id)?;
                self.xor_mapped_address.get_or_insert(address);
            }
            attribute::MESSAGE_INTEGRITY => return None,
            attribute::MAPPED_ADDRESS
            | attribute::UNKNOWN_ATTRIBUTES
            | attribute::REALM
            | attribute::NONCE
            | attribute::FIRST_OPTIONAL.. => {}
            unknown => self.unknown.push(unknown),
        }
        Some(())
    }

    /// Request, indication or response.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Twelve bits; [`BINDING`] in all of ICE.
    pub fn method(&self) -> u16 {
        self.method
    }

    /// Pairs a request with its response.
    pub fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    /// USERNAME: of a check, the receiver's fragment, a colon and the sender's.
    pub fn username(&self) -> Option<&'a [u8]> {
        self.username
    }

    /// PRIORITY of the peer-reflexive candidate that this check may find.
    pub fn priority(&self) -> Option<u32> {
        self.priority
    }

    /// USE-CANDIDATE: the controlling agent nominates this pair.
    pub fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// The tie-breaker of a sender that says it controls.
    pub fn ice_controlling(&self) -> Option<u64> {
        self.ice_controlling
    }

    /// The tie-breaker of a sender that says it is controlled.
    pub fn ice_controlled(&self) -> Option<u64> {
        self.ice_controlled
    }

    /// ERROR-CODE, 300 to 699.
    pub fn error_code(&self) -> Option<u16> {
        self.error_code
    }

    /// The request's source as the responder saw it.
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.xor_mapped_address
    }

    /// Whether FINGERPRINT is there; if so, it is right.
    pub fn has_fingerprint(&self) -> bool {
        self.has_fingerprint
    }

    /// Whether MESSAGE-INTEGRITY is there; see [`Message::verify_integrity`].
    pub fn has_integrity(&self) -> bool {
        self.integrity_at.is_some()
    }

    /// Types below 0x8000 that are not known here: a request with any is answered with 420.
    pub fn unknown_comprehension_required(&self) -> UnknownAttributes {
        self.unknown
    }

    /// Whether MESSAGE-INTEGRITY is there and right for `key`, compared in constant time (RFC 8489 14.5).
    pub fn verify_integrity(&self, key: &hmac::Key) -> bool {
        let Some(at) = self.integrity_at else { return false };
        let start = at + ATTRIBUTE_HEADER_LEN;
        let (Some(covered), Some(stated)) = (self.raw.get(..at), self.raw.get(start..start + INTEGRITY_LEN))
        else {
            return false;
        };
        let computed = integrity(key, covered);
        constant_time::verify_slices_are_equal(computed.as_ref(), stated).is_ok()
    }
}

/// MESSAGE-INTEGRITY over `covered`, with a length field as if the attribute were the message's last.
fn integrity(key: &hmac::Key, covered: &[u8]) -> hmac::Tag {
    let length = covered.len().saturating_sub(HEADER_LEN) + ATTRIBUTE_HEADER_LEN + INTEGRITY_LEN;
    let mut context = hmac::Context::with_key(key);
    context.update(covered.get(..2).unwrap_or_default());
    context.update(&(length as u16).to_be_bytes());
    context.update(covered.get(4..).unwrap_or_default());
    context.sign()
}

/// Two bits of class lie among the twelve of the method (RFC 8489 section 5).
fn split_type(message_type: u16) -> (Class, u16) {
    let class = match message_type & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    let method = message_type & 0x000f | (message_type & 0x00e0) >> 1 | (message_type & 0x3e00) >> 2;
    (class, method)
}

fn join_type(class: Class, method: u16) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | method & 0x000f | (method & 0x0070) << 1 | (method & 0x0f80) << 2
}

#[cfg(test)]
mod tests;
