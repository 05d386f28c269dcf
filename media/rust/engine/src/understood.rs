//! What forwarding reads of a packet, whatever the codec: its picture numbers, its temporal level, and whether a key
//! frame begins with it.

use crate::picture::Own;
use crate::temporal::{ALL, FrameLevel};
use crate::types::Codec;
use crate::wire::dependency::{Dependency, Structure};
use crate::wire::{av1, h264, vp8, vp9};

/// A payload that its codec can't have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Where the numbers of a picture stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Nowhere.
    None,
    /// In the payload.
    Vp8(vp8::Descriptor),
    /// In the payload.
    Vp9(vp9::Descriptor),
    /// In the dependency descriptor.
    Frame(u16),
}

impl Numbers {
    /// Those of the payload alone.
    pub fn of(codec: Codec, payload: &[u8]) -> Result<Self, Malformed> {
        match codec {
            Codec::Vp8 => vp8::Descriptor::parse(payload).map(Self::Vp8).map_err(|_| Malformed),
            Codec::Vp9 => vp9::Descriptor::parse(payload).map(Self::Vp9).map_err(|_| Malformed),
            Codec::Opus | Codec::H264 | Codec::Av1 => Ok(Self::None),
        }
    }

    /// The packet's own ones, where the codec has any; 0 for one that this packet leaves out.
    #[must_use]
    pub fn own(&self) -> Option<Own> {
        match self {
            Self::None => None,
            Self::Vp8(it) => {
                let (id, wide) = it.picture_id.map_or((0, true), |id| (id.value, id.wide));
                Some(Own { id, bits: if wide { 15 } else { 7 }, tl0: it.tl0_picture_index.unwrap_or(0) })
            }
            Self::Vp9(it) => {
                let (id, wide) = it.picture_id.unwrap_or((0, true));
                Some(Own { id, bits: if wide { 15 } else { 7 }, tl0: it.tl0_picture_index.unwrap_or(0) })
            }
            Self::Frame(number) => Some(Own { id: *number, bits: 16, tl0: 0 }),
        }
    }

    /// Those of a picture that was left out, where the next ones must move up. A VP8 decoder takes a gap for pictures
    /// that it lost; VP9 and AV1 say what a frame refers to by differences, which must stay true.
    #[must_use]
    pub fn to_close(&self) -> Option<Own> {
        if let Self::Vp8(it) = self { it.picture_id.and_then(|_| self.own()) } else { None }
    }

    /// Put the slot's numbers into a copy of the payload.
    pub fn rewrite(&self, payload: &mut [u8], (id, tl0): (u16, u8)) {
        match self {
            Self::Vp8(it) => it.rewrite(payload, id, tl0),
            Self::Vp9(it) => it.rewrite(payload, id, tl0),
            Self::None | Self::Frame(_) => {}
        }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Understood {
    /// Its picture numbers.
    pub numbers: Numbers,
    /// The first packet of a key frame.
    pub begins_key_frame: bool,
    /// Of its frame.
    pub frame: FrameLevel,
}

impl Understood {
    /// Reads a payload and, of AV1, the `dependency` descriptor that came with it. `structure` is that of the stream's
    /// last key frame, and becomes another when the packet brings one.
    pub fn of(
        codec: Codec,
        payload: &[u8],
        dependency: Option<&[u8]>,
        structure: &mut Option<Structure>,
    ) -> Result<Self, Malformed> {
        let numbers = Numbers::of(codec, payload)?;
        let (begins_key_frame, frame) = match &numbers {
            Numbers::Vp8(it) => {
                let level = it.temporal_level.unwrap_or(0);
                (it.is_key_frame(payload), FrameLevel { level, joins: it.layer_sync, opens: 0 })
            }
            Numbers::Vp9(it) => {
                let level = it.temporal_level.unwrap_or(0);
                let opens = if it.switching_up { ALL } else { 0 };
                (it.is_key_frame(payload), FrameLevel { level, joins: false, opens })
            }
            _ if codec == Codec::H264 => (h264::begins_key_frame(payload), FrameLevel::default()),
            _ if codec == Codec::Av1 => return Ok(Self::of_av1(payload, dependency, structure)),
            _ => (false, FrameLevel::default()),
        };
        Ok(Self { numbers, begins_key_frame, frame })
    }

    fn of_av1(payload: &[u8], dependency: Option<&[u8]>, structure: &mut Option<Structure>) -> Self {
        // The structure that a packet refers to may still be on its way; the number can be read all the same.
        let read = dependency.and_then(|value| {
            Dependency::parse(value, structure.as_ref()).or_else(|_| Dependency::parse(value, None)).ok()
        });
        let mut begins_key_frame = av1::begins_key_frame(payload);
        let Some(mut read) = read else {
            return Self { numbers: Numbers::None, begins_key_frame, frame: FrameLevel::default() };
        };
        if let Some(brought) = read.structure.take() {
            begins_key_frame |= read.start_of_frame;
            *structure = Some(brought);
        }
        let frame = FrameLevel {
            level: read.temporal_level().unwrap_or(0),
            joins: false,
            opens: read.opens().unwrap_or(0),
        };
        Self { numbers: Numbers::Frame(read.frame_number), begins_key_frame, frame }
    }
}
