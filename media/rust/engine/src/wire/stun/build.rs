//! Writing STUN messages.

use std::net::SocketAddr;

use aws_lc_rs::hmac;

use super::{
    ATTRIBUTE_HEADER_LEN, BINDING, Class, FINGERPRINT_XOR, HEADER_LEN, MAGIC_COOKIE, MAX_USERNAME_LEN,
    StunError, TransactionId, address, attribute, integrity, join_type,
};

/// UNKNOWN-ATTRIBUTES longer than this helps nobody.
const MAX_UNKNOWN: usize = 16;

/// Appends one message to a buffer, attribute by attribute; complete only after [`Builder::finish`].
#[derive(Debug)]
pub struct Builder<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    transaction_id: TransactionId,
}

impl<'a> Builder<'a> {
    /// Appends the header to `out`; `method` has twelve bits.
    pub fn new(out: &'a mut Vec<u8>, class: Class, method: u16, transaction_id: TransactionId) -> Self {
        let start = out.len();
        out.extend_from_slice(&join_type(class, method).to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&MAGIC_COOKIE.to_be_bytes());
        out.extend_from_slice(&transaction_id);
        Self { out, start, transaction_id }
    }

    /// USERNAME; BadAttribute where it is longer than 508 octets.
    pub fn username(self, username: &[u8]) -> Result<Self, StunError> {
        if username.len() > MAX_USERNAME_LEN {
            return Err(StunError::BadAttribute);
        }
        Ok(self.attribute(attribute::USERNAME, username))
    }

    /// PRIORITY.
    #[must_use]
    pub fn priority(self, priority: u32) -> Self {
        self.attribute(attribute::PRIORITY, &priority.to_be_bytes())
    }

    /// USE-CANDIDATE.
    #[must_use]
    pub fn use_candidate(self) -> Self {
        self.attribute(attribute::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING with its tie-breaker.
    #[must_use]
    pub fn ice_controlling(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLING, &tie_breaker.to_be_bytes())
    }

    /// ICE-CONTROLLED with its tie-breaker.
    #[must_use]
    pub fn ice_controlled(self, tie_breaker: u64) -> Self {
        self.attribute(attribute::ICE_CONTROLLED, &tie_breaker.to_be_bytes())
    }

    /// XOR-MAPPED-ADDRESS.
    #[must_use]
    pub fn xor_mapped_address(self, address: SocketAddr) -> Self {
        let mut value = Vec::with_capacity(20);
        address::write_xored(&mut value, address, &self.transaction_id);
        self.attribute(attribute::XOR_MAPPED_ADDRESS, &value)
    }

    /// ERROR-CODE with the reason phrase of the RFC that defines the code.
    #[must_use]
    pub fn error_code(self, code: u16) -> Self {
        let reason = match code {
            400 => "Bad Request",
            401 => "Unauthenticated",
            420 => "Unknown Attribute",
            487 => "Role Conflict",
            _ => "",
        };
        let mut value = vec![0, 0, (code / 100) as u8 & 0x07, (code % 100) as u8];
        value.extend_from_slice(reason.as_bytes());
        self.attribute(attribute::ERROR_CODE, &value)
    }

    /// UNKNOWN-ATTRIBUTES; the first sixteen.
    #[must_use]
    pub fn unknown_attributes(self, types: &[u16]) -> Self {
        let value: Vec<u8> = types.iter().take(MAX_UNKNOWN).flat_map(|kind| kind.to_be_bytes()).collect();
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, &value)
    }

    /// Ends the message with MESSAGE-INTEGRITY where there is a key, and FINGERPRINT.
    pub fn finish(mut self, key: Option<&hmac::Key>) {
        if let Some(key) = key {
            let tag = integrity(key, self.written());
            self = self.attribute(attribute::MESSAGE_INTEGRITY, tag.as_ref());
        }
        // FINGERPRINT covers the header, whose length already counts FINGERPRINT.
        let length = self.written().len() - HEADER_LEN + ATTRIBUTE_HEADER_LEN + 4;
        self.put_length(length);
        let fingerprint = crc32fast::hash(self.written()) ^ FINGERPRINT_XOR;
        let _ = self.attribute(attribute::FINGERPRINT, &fingerprint.to_be_bytes());
    }

    /// Every value is bounded by the methods above, far below what its length field can say.
    fn attribute(self, attribute_type: u16, value: &[u8]) -> Self {
        self.out.extend_from_slice(&attribute_type.to_be_bytes());
        self.out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.out.extend_from_slice(value);
        let padding = value.len().next_multiple_of(4) - value.len();
        self.out.resize(self.out.len() + padding, 0);
        self
    }

    fn written(&self) -> &[u8] {
        self.out.get(self.start..).unwrap_or_default()
    }

    fn put_length(&mut self, length: usize) {
        if let Some(field) = self.out.get_mut(self.start + 2..self.start + 4) {
            field.copy_from_slice(&(length as u16).to_be_bytes());
        }
    }
}

/// Appends the success response to a binding request that came from `remote`.
pub fn write_success(out: &mut Vec<u8>, transaction_id: TransactionId, remote: SocketAddr, key: &hmac::Key) {
    Builder::new(out, Class::Success, BINDING, transaction_id).xor_mapped_address(remote).finish(Some(key));
}

/// Appends an error response to a binding request: 400, 401, 420 (with `unknown`) or 487.
///
/// No `key` where the request's own credentials weren't right: 400 and 401 (RFC 8489 section 9.1.3).
pub fn write_error(
    out: &mut Vec<u8>,
    transaction_id: TransactionId,
    code: u16,
    unknown: &[u16],
    key: Option<&hmac::Key>,
) {
    let mut response = Builder::new(out, Class::Error, BINDING, transaction_id).error_code(code);
    if !unknown.is_empty() {
        response = response.unknown_attributes(unknown);
    }
    response.finish(key);
}
