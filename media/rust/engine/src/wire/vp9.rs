//! The VP9 payload descriptor (RFC 9628 section 4.2) and what a forwarder reads from the frame behind it.

use super::{be16, error_enum, octet};

/// Frames that one frame may refer to (RFC 9628 section 4.2).
const MAX_REFERENCES: usize = 3;

error_enum! {
    /// Why a payload has no VP9 descriptor.
    Vp9Error {
        TooShort => "VP9: payload shorter than its descriptor",
        TooManyReferences => "VP9: more than three reference indices",
    }
}

/// The descriptor before every VP9 payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// I: counts pictures; (value, 15 bits wide rather than 7).
    pub picture_id: Option<(u16, bool)>,
    /// P: the frame refers to earlier pictures.
    pub inter_predicted: bool,
    /// F: references are said one by one.
    pub flexible: bool,
    /// B: the payload begins a frame of a layer.
    pub start_of_frame: bool,
    /// E: the payload ends a frame of a layer.
    pub end_of_frame: bool,
    /// V: a scalability structure is there.
    pub has_structure: bool,
    /// Z: no frame of a higher spatial layer refers to this one.
    pub not_spatial_reference: bool,
    /// TID, 0 is the base.
    pub temporal_level: Option<u8>,
    /// U: a receiver may go up to this level here; false where the level is not said.
    pub switching_up: bool,
    /// SID, 0 is the base; 0 where it is not said.
    pub spatial_level: u8,
    /// D: the frame refers to the spatial layer below.
    pub inter_layer: bool,
    /// TL0PICIDX: a running count of base level frames, in the mode that is not flexible.
    pub tl0_picture_index: Option<u8>,
    /// Octets before the VP9 data.
    pub header_len: usize,
}

impl Descriptor {
    /// Reads the descriptor at the start of `payload` (without RTP padding). No VP9 data need follow.
    pub fn parse(payload: &[u8]) -> Result<Self, Vp9Error> {
        let first = octet(payload, 0).ok_or(Vp9Error::TooShort)?;
        let has = |bit: u8| first & bit != 0;
        let mut descriptor = Self {
            picture_id: None,
            inter_predicted: has(0x40),
            flexible: has(0x10),
            start_of_frame: has(0x08),
            end_of_frame: has(0x04),
            has_structure: has(0x02),
            not_spatial_reference: has(0x01),
            temporal_level: None,
            switching_up: false,
            spatial_level: 0,
            inter_layer: false,
            tl0_picture_index: None,
            header_len: 0,
        };
        descriptor.header_len = descriptor.read(payload, has(0x80), has(0x20))?;
        if descriptor.header_len > payload.len() {
            return Err(Vp9Error::TooShort);
        }
        Ok(descriptor)
    }

    /// What follows the first octet; gives the descriptor's length.
    fn read(&mut self, payload: &[u8], has_picture_id: bool, has_levels: bool) -> Result<usize, Vp9Error> {
        let need = |at: usize| octet(payload, at).ok_or(Vp9Error::TooShort);
        let mut at = 1;
        if has_picture_id {
            let narrow = need(at)?;
            let wide = narrow & 0x80 != 0;
            let value =
                if wide { be16(payload, at).ok_or(Vp9Error::TooShort)? & 0x7fff } else { u16::from(narrow) };
            self.picture_id = Some((value, wide));
            at += if wide { 2 } else { 1 };
        }
        if has_levels {
            let levels = need(at)?;
            self.temporal_level = Some(levels >> 5);
            self.switching_up = levels & 0x10 != 0;
            self.spatial_level = levels >> 1 & 0x07;
            self.inter_layer = levels & 0x01 != 0;
            at += 1;
            if !self.flexible {
                self.tl0_picture_index = Some(need(at)?);
                at += 1;
            }
        }
        if self.flexible && self.inter_predicted {
            let mut references = 1;
            while need(at)? & 0x01 != 0 {
                at += 1;
                references += 1;
                if references > MAX_REFERENCES {
                    return Err(Vp9Error::TooManyReferences);
                }
            }
            at += 1;
        }
        if self.has_structure { structure_end(payload, at) } else { Ok(at) }
    }

    /// Whether the payload is the first of a key frame: of the lowest layer, without reference to an earlier
    /// picture, and a key frame by its own header as well, since an intra-only frame is none.
    pub fn is_key_frame(&self, payload: &[u8]) -> bool {
        self.start_of_frame
            && !self.inter_predicted
            && self.spatial_level == 0
            && octet(payload, self.header_len).is_some_and(says_key_frame)
    }

    /// Puts other numbers in place, in the width that is there; what is absent stays absent.
    ///
    /// `payload` is the one this descriptor was parsed from, or a copy of it.
    pub fn rewrite(&self, payload: &mut [u8], picture_id: u16, tl0: u8) {
        let mut at = 1;
        if let Some((_, wide)) = self.picture_id {
            let [high, low] = (picture_id | 0x8000).to_be_bytes();
            match payload.get_mut(at..) {
                Some([first, second, ..]) if wide => (*first, *second) = (high, low),
                Some([first, ..]) if !wide => *first = low & 0x7f,
                _ => {}
            }
            at += if wide { 2 } else { 1 };
        }
        if let (Some(_), Some(index)) = (self.tl0_picture_index, payload.get_mut(at + 1)) {
            *index = tl0;
        }
    }
}

/// The first octet of a frame's uncompressed header (VP9 bitstream specification section 6.2): frame_marker,
/// profile, in profile 3 a reserved bit, show_existing_frame, frame_type.
fn says_key_frame(header: u8) -> bool {
    let rest = if header & 0x30 == 0x30 { header << 1 } else { header };
    header >> 6 == 2 && rest & 0x0c == 0
}

/// Where a scalability structure ends that begins at `at` (section 4.2.1).
fn structure_end(payload: &[u8], mut at: usize) -> Result<usize, Vp9Error> {
    let need = |at: usize| octet(payload, at).ok_or(Vp9Error::TooShort);
    let first = need(at)?;
    at += 1;
    if first & 0x10 != 0 {
        at += 4 * (usize::from(first >> 5) + 1);
    }
    if first & 0x08 != 0 {
        let pictures = need(at)?;
        at += 1;
        for _ in 0..pictures {
            at += 1 + usize::from(need(at)? >> 2 & 0x03);
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests;
