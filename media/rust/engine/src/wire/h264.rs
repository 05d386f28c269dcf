//! The H.264 payload (RFC 6184), as far as forwarding needs it: where a key frame begins, and what is picture.
//!
//! Packetization modes 0 and 1 are read: single NAL units, STAP-A and FU-A. Nothing is decoded but the first bit
//! of a slice.

use super::{be16, error_enum, octet};

/// Payload structures (RFC 6184 section 5.2); below them are the types of single NAL units.
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
/// NAL unit types (H.264 table 7-1): slices and their partitions are 1 to 5.
const SLICE: u8 = 1;
const IDR_SLICE: u8 = 5;
const SEQUENCE_PARAMETERS: u8 = 7;
const LAST_SINGLE: u8 = 23;

const FORBIDDEN_BIT: u8 = 0x80;
const TYPE_MASK: u8 = 0x1f;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

error_enum! {
    /// Why a payload is no H.264 of packetization mode 0 or 1.
    H264Error {
        TooShort => "H.264: payload is shorter than its headers",
        Forbidden => "H.264: the forbidden bit is set, so the data is damaged",
        BadType => "H.264: a type that packetization modes 0 and 1 do not have",
        BadAggregate => "H.264: an aggregated unit is empty or runs past the end",
        BadFragment => "H.264: a fragment that both begins and ends its unit",
    }
}

/// What a payload holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// A sequence parameter set begins here. WebRTC endpoints send one in-band before each key frame (RFC 7742
    /// section 6.2), so a decoder that knows nothing yet can begin here, and only here.
    pub sequence_parameters: bool,
    /// The first slice of an IDR picture begins here.
    pub instantaneous_refresh: bool,
    /// Part of a picture; else parameters, delimiters and the like alone.
    pub picture: bool,
}

impl Contents {
    /// Reads the whole `payload` (without RTP padding).
    pub fn parse(payload: &[u8]) -> Result<Self, H264Error> {
        let (&header, body) = payload.split_first().ok_or(H264Error::TooShort)?;
        match type_of(header)? {
            STAP_A => Self::of_aggregate(body),
            FU_A => Self::of_fragment(body),
            single => Self::of_unit(single, body),
        }
    }

    /// Whether a key frame begins here: with its parameters. A refresh alone is not decoded by who has not got them,
    /// and where they come late, the refresh before them is played after them.
    pub fn begins_key_frame(&self) -> bool {
        self.sequence_parameters
    }

    /// A NAL unit of this type; `body` follows its header.
    fn of_unit(unit_type: u8, body: &[u8]) -> Result<Self, H264Error> {
        if !(1..=LAST_SINGLE).contains(&unit_type) {
            return Err(H264Error::BadType);
        }
        // A slice begins with the number of its first macroblock as ue(v): zero is a single one bit.
        let first_slice = octet(body, 0).is_some_and(|first| first & 0x80 != 0);
        Ok(Self {
            sequence_parameters: unit_type == SEQUENCE_PARAMETERS,
            instantaneous_refresh: unit_type == IDR_SLICE && first_slice,
            picture: (SLICE..=IDR_SLICE).contains(&unit_type),
        })
    }

    /// Section 5.7.1: units, each behind its size.
    fn of_aggregate(mut rest: &[u8]) -> Result<Self, H264Error> {
        let mut contents = Self::default();
        if rest.is_empty() {
            return Err(H264Error::TooShort);
        }
        while !rest.is_empty() {
            let size = usize::from(be16(rest, 0).ok_or(H264Error::BadAggregate)?);
            let units = rest.get(2..).unwrap_or_default();
            let (unit, tail) = units.split_at_checked(size).ok_or(H264Error::BadAggregate)?;
            let (&header, body) = unit.split_first().ok_or(H264Error::BadAggregate)?;
            let unit = Self::of_unit(type_of(header)?, body)?;
            contents.sequence_parameters |= unit.sequence_parameters;
            contents.instantaneous_refresh |= unit.instantaneous_refresh;
            contents.picture |= unit.picture;
            rest = tail;
        }
        Ok(contents)
    }

    /// Section 5.8: a piece of a unit, whose type stands in the second header. The reserved bit there is ignored.
    fn of_fragment(body: &[u8]) -> Result<Self, H264Error> {
        let (&header, piece) = body.split_first().ok_or(H264Error::TooShort)?;
        let (starts, ends) = (header & FU_START != 0, header & FU_END != 0);
        if starts && ends {
            return Err(H264Error::BadFragment);
        }
        let contents = Self::of_unit(header & TYPE_MASK, piece)?;
        Ok(if starts { contents } else { Self { picture: contents.picture, ..Self::default() } })
    }
}

/// Whether a key frame begins with this payload; false where it can't be read.
pub fn begins_key_frame(payload: &[u8]) -> bool {
    Contents::parse(payload).is_ok_and(|contents| contents.begins_key_frame())
}

fn type_of(header: u8) -> Result<u8, H264Error> {
    if header & FORBIDDEN_BIT == 0 { Ok(header & TYPE_MASK) } else { Err(H264Error::Forbidden) }
}

#[cfg(test)]
mod tests;
