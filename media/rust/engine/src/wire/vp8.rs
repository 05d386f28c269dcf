//! The VP8 payload descriptor (RFC 7741 section 4.2) and what a forwarder reads from the frame behind it.

use super::{be16, error_enum, octet, octets};

/// After the three octets of the frame tag of a key frame (RFC 6386 section 9.1).
const START_CODE: [u8; 3] = [0x9d, 0x01, 0x2a];

error_enum! {
    /// Why a payload has no VP8 descriptor.
    Vp8Error {
        TooShort => "VP8: payload shorter than its descriptor",
    }
}

/// A frame's number in its stream of pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// Of the bits that the width has.
    pub value: u16,
    /// 15 bits on the wire, else 7.
    pub wide: bool,
}

/// The descriptor before every VP8 payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Counts frames.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX: a running count of base layer frames.
    pub tl0_picture_index: Option<u8>,
    /// TID, 0 is the base.
    pub temporal_level: Option<u8>,
    /// Y: decodable from the base level alone; false where the level is not said.
    pub layer_sync: bool,
    /// KEYIDX.
    pub key_index: Option<u8>,
    /// S: the payload begins a partition.
    pub start_of_partition: bool,
    /// PID.
    pub partition_index: u8,
    /// N: no later frame refers to this one.
    pub non_reference: bool,
    /// Octets before the VP8 data.
    pub header_len: usize,
}

impl Descriptor {
    /// Reads the descriptor at the start of `payload` (without RTP padding). No VP8 data need follow.
    pub fn parse(payload: &[u8]) -> Result<Self, Vp8Error> {
        Self::read(payload).ok_or(Vp8Error::TooShort)
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let first = octet(payload, 0)?;
        let mut descriptor = Self {
            picture_id: None,
            tl0_picture_index: None,
            temporal_level: None,
            layer_sync: false,
            key_index: None,
            start_of_partition: first & 0x10 != 0,
            partition_index: first & 0x07,
            non_reference: first & 0x20 != 0,
            header_len: 1,
        };
        if first & 0x80 == 0 {
            return Some(descriptor);
        }
        let present = octet(payload, 1)?;
        let mut at = 2;
        if present & 0x80 != 0 {
            let narrow = octet(payload, at)?;
            let wide = narrow & 0x80 != 0;
            let value = if wide { be16(payload, at)? & 0x7fff } else { u16::from(narrow) };
            descriptor.picture_id = Some(PictureId { value, wide });
            at += if wide { 2 } else { 1 };
        }
        if present & 0x40 != 0 {
            descriptor.tl0_picture_index = Some(octet(payload, at)?);
            at += 1;
        }
        if present & 0x30 != 0 {
            let levels = octet(payload, at)?;
            if present & 0x20 != 0 {
                descriptor.temporal_level = Some(levels >> 6);
                descriptor.layer_sync = levels & 0x20 != 0;
            }
            if present & 0x10 != 0 {
                descriptor.key_index = Some(levels & 0x1f);
            }
            at += 1;
        }
        descriptor.header_len = at;
        Some(descriptor)
    }

    /// Whether the payload is the first of a frame.
    pub fn starts_frame(&self) -> bool {
        self.start_of_partition && self.partition_index == 0
    }

    /// Whether the payload is the first of a key frame.
    pub fn is_key_frame(&self, payload: &[u8]) -> bool {
        self.starts_frame() && octet(payload, self.header_len).is_some_and(|tag| tag & 0x01 == 0)
    }

    /// Width and height in pixels where the payload is the first of a key frame, before any scaling.
    pub fn key_frame_size(&self, payload: &[u8]) -> Option<(u16, u16)> {
        if !self.is_key_frame(payload) {
            return None;
        }
        let [_, _, _, code @ .., w0, w1, h0, h1] = octets::<10>(payload, self.header_len)?;
        let side = |low, high| u16::from_le_bytes([low, high]) & 0x3fff;
        (code == START_CODE).then_some((side(w0, w1), side(h0, h1)))
    }

    /// Puts other numbers in place, in the width that is there; what is absent stays absent.
    ///
    /// `payload` is the one this descriptor was parsed from, or a copy of it.
    pub fn rewrite(&self, payload: &mut [u8], picture_id: u16, tl0: u8) {
        let mut at = 2;
        if let Some(PictureId { wide, .. }) = self.picture_id {
            let [high, low] = (picture_id | 0x8000).to_be_bytes();
            match payload.get_mut(at..) {
                Some([first, second, ..]) if wide => (*first, *second) = (high, low),
                Some([first, ..]) if !wide => *first = low & 0x7f,
                _ => {}
            }
            at += if wide { 2 } else { 1 };
        }
        if let (Some(_), Some(index)) = (self.tl0_picture_index, payload.get_mut(at)) {
            *index = tl0;
        }
    }
}

#[cfg(test)]
mod tests;
