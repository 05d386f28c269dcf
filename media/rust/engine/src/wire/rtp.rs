//! RTP packets (RFC 3550 section 5.1) and their header extensions (RFC 8285), read and written.

mod unwrap;

use std::ops::Range;

use super::{be16, be32, error_enum, octet};

pub use unwrap::{TimestampUnwrapper, Unwrapper};

/// Octets of the header without CSRCs and extension.
pub const FIXED_HEADER_LEN: usize = 12;

const VERSION: u8 = 2;
/// "defined by profile" of the one-byte form (RFC 8285 section 4.2).
const ONE_BYTE_PROFILE: u16 = 0xbede;
/// The two-byte form; its low four bits belong to the application (RFC 8285 section 4.3).
const TWO_BYTE_PROFILE: u16 = 0x1000;
const TWO_BYTE_PROFILE_MASK: u16 = 0xfff0;

error_enum! {
    /// Why a packet is not RTP, or a header can't be written.
    RtpError {
        TooShort => "RTP: shorter than its header",
        BadVersion => "RTP: version is not 2",
        BadPadding => "RTP: padding count is zero or longer than the payload",
        BadExtension => "RTP: extension id is 0, or its value is too long to write",
    }
}

/// The parsed header; offsets count from the packet's first octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// M.
    pub marker: bool,
    /// PT, seven bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// On the stream's RTP clock.
    pub timestamp: u32,
    /// Of the stream.
    pub ssrc: u32,
    /// Where the header with its CSRCs and extension ends.
    pub payload_offset: usize,
    /// The P bit. The count itself stands in the last octet, which SRTP encrypts: see [`Header::payload`].
    pub has_padding: bool,
    /// The extension's "defined by profile" and where its elements lie.
    pub extension: Option<(u16, Range<usize>)>,
}

impl Header {
    /// Reads a plain or still encrypted packet; everything but the padding is checked.
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        let first = octet(packet, 0).ok_or(RtpError::TooShort)?;
        if first >> 6 != VERSION {
            return Err(RtpError::BadVersion);
        }
        let second = octet(packet, 1).ok_or(RtpError::TooShort)?;
        let sequence = be16(packet, 2).ok_or(RtpError::TooShort)?;
        let timestamp = be32(packet, 4).ok_or(RtpError::TooShort)?;
        let ssrc = be32(packet, 8).ok_or(RtpError::TooShort)?;

        let mut payload_offset = FIXED_HEADER_LEN + 4 * usize::from(first & 0x0f);
        let mut extension = None;
        if first & 0x10 != 0 {
            let profile = be16(packet, payload_offset).ok_or(RtpError::TooShort)?;
            let words = be16(packet, payload_offset + 2).ok_or(RtpError::TooShort)?;
            let start = payload_offset + 4;
            payload_offset = start + 4 * usize::from(words);
            extension = Some((profile, start..payload_offset));
        }
        if payload_offset > packet.len() {
            return Err(RtpError::TooShort);
        }
        Ok(Self {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence,
            timestamp,
            ssrc,
            payload_offset,
            has_padding: first & 0x20 != 0,
            extension,
        })
    }

    /// Where the payload lies in the plain `packet` that this header was parsed from, padding taken off.
    ///
    /// `packet` ends where the plain packet ends (no SRTP tag). An empty range is a packet of padding only.
    pub fn payload(&self, packet: &[u8]) -> Result<Range<usize>, RtpError> {
        let body = packet.get(self.payload_offset..).ok_or(RtpError::TooShort)?;
        let padding = match (self.has_padding, body.last()) {
            (false, _) => 0,
            (true, None | Some(0)) => return Err(RtpError::BadPadding),
            (true, Some(&count)) => usize::from(count),
        };
        let len = body.len().checked_sub(padding).ok_or(RtpError::BadPadding)?;
        Ok(self.payload_offset..self.payload_offset + len)
    }

    /// The extension elements (id, value) in both forms; none for an unknown profile.
    ///
    /// Padding is skipped. Malformed data ends the walk: what came before it still counts (RFC 8285 4.1.2).
    pub fn extensions<'a>(&self, packet: &'a [u8]) -> Extensions<'a> {
        let (form, rest) = match &self.extension {
            Some((ONE_BYTE_PROFILE, range)) => (Form::OneByte, packet.get(range.clone())),
            Some((profile, range)) if profile & TWO_BYTE_PROFILE_MASK == TWO_BYTE_PROFILE => {
                (Form::TwoByte, packet.get(range.clone()))
            }
            _ => (Form::OneByte, None),
        };
        Extensions { form, rest: rest.unwrap_or_default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
}

impl Form {
    /// The short form where it can carry every element: ids to 14, values of 1 to 16 octets.
    fn fitting(extensions: &[(u8, &[u8])]) -> Self {
        let short =
            extensions.iter().all(|(id, value)| (1..=14).contains(id) && (1..=16).contains(&value.len()));
        if short { Self::OneByte } else { Self::TwoByte }
    }
}

/// Iterator of [`Header::extensions`].
#[derive(Clone, Debug)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Taken, so that whatever returns early leaves an iterator that has ended.
        let mut rest = std::mem::take(&mut self.rest);
        while let [0, tail @ ..] = rest {
            rest = tail;
        }
        let (id, len, body) = match (self.form, rest) {
            // 15 is reserved and ends the extension, 0 with a length is malformed.
            (Form::OneByte, [first, body @ ..]) if !matches!(first >> 4, 0 | 15) => {
                (first >> 4, usize::from(first & 0x0f) + 1, body)
            }
            (Form::TwoByte, [id, len, body @ ..]) => (*id, usize::from(*len), body),
            _ => return None,
        };
        let (value, tail) = body.split_at_checked(len)?;
        self.rest = tail;
        Some((id, value))
    }
}

/// What [`write_header`] writes into the fixed part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFields {
    /// M.
    pub marker: bool,
    /// PT, seven bits; the eighth is ignored.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// On the stream's RTP clock.
    pub timestamp: u32,
    /// Of the stream.
    pub ssrc: u32,
}

/// Appends a header without CSRCs and padding, its extension block padded to a whole word.
///
/// The one-byte form where it can carry all elements, else the two-byte form; no block for no elements.
/// `out` is left as it was when an id is 0, or a value exceeds 255 octets or all together 65535 words.
pub fn write_header(
    out: &mut Vec<u8>,
    fields: &HeaderFields,
    extensions: &[(u8, &[u8])],
) -> Result<(), RtpError> {
    let form = Form::fitting(extensions);
    let element_header = if form == Form::OneByte { 1 } else { 2 };
    let mut block_len = 0usize;
    for (id, value) in extensions {
        if *id == 0 || value.len() > 255 {
            return Err(RtpError::BadExtension);
        }
        block_len += element_header + value.len();
    }
    let words = u16::try_from(block_len.div_ceil(4)).map_err(|_| RtpError::BadExtension)?;

    let has_extension = !extensions.is_empty();
    out.push(VERSION << 6 | u8::from(has_extension) << 4);
    out.push(u8::from(fields.marker) << 7 | fields.payload_type & 0x7f);
    out.extend_from_slice(&fields.sequence.to_be_bytes());
    out.extend_from_slice(&fields.timestamp.to_be_bytes());
    out.extend_from_slice(&fields.ssrc.to_be_bytes());
    if !has_extension {
        return Ok(());
    }
    let profile = if form == Form::OneByte { ONE_BYTE_PROFILE } else { TWO_BYTE_PROFILE };
    out.extend_from_slice(&profile.to_be_bytes());
    out.extend_from_slice(&words.to_be_bytes());
    for (id, value) in extensions {
        let len = value.len() as u8; // at most 255, checked above
        match form {
            Form::OneByte => out.push(id << 4 | len.saturating_sub(1)),
            Form::TwoByte => out.extend_from_slice(&[*id, len]),
        }
        out.extend_from_slice(value);
    }
    let padding = usize::from(words) * 4 - block_len;
    out.extend_from_slice(&[0; 3][..padding.min(3)]);
    Ok(())
}

#[cfg(test)]
mod tests;
