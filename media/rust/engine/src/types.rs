//! Names and values that commands, events and the shard share.

use serde::Serialize;

/// Names a peer in the engine; given by the caller, never reused.
pub type PeerId = u64;
/// Names a source in the engine; given by the caller, never reused.
pub type SourceId = u64;
/// The index of a slot within its peer.
pub type SlotIndex = u16;
/// The index of a layer within its source, 0 the highest.
pub type LayerIndex = u8;

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

impl Media {
    /// As the binding says it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
        }
    }
}

/// What the payload is. The engine never decodes; it needs key frames and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RTP Payload Format For AV1.
    Av1,
}

impl Codec {
    /// Whether it is sound or picture.
    #[must_use]
    pub const fn media(self) -> Media {
        match self {
            Self::Opus => Media::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => Media::Video,
        }
    }
}

/// One stream of one publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Feed {
    /// The source.
    pub source: SourceId,
    /// Its layer.
    pub layer: LayerIndex,
}
