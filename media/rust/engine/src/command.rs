//! What the caller asks of the engine. Each command goes to the shard that owns the peer and is carried out
//! there in order; one that can't be is answered by [`crate::event::Event::CommandFailed`].

use crate::types::{Codec, Feed, LayerIndex, Media, PeerId, SlotIndex, SourceId};
use std::path::PathBuf;

/// A new peer: one endpoint's transport.
#[derive(Clone, Debug)]
pub struct AddPeer {
    /// Its name.
    pub peer: PeerId,
    /// Our ICE user name fragment; unique in the engine.
    pub local_ufrag: String,
    /// Our ICE password.
    pub local_pwd: String,
    /// The peer's ICE user name fragment.
    pub remote_ufrag: String,
    /// What REMB allows it to send, bit/s.
    pub receive_bitrate: u64,
}

/// New ICE credentials of a peer (RFC 8445 section 9). The old ones and the path found with them stay good until a
/// check with the new ones nominates a pair.
#[derive(Clone, Debug)]
pub struct RestartIce {
    /// Whose.
    pub peer: PeerId,
    /// Our new user name fragment; unique in the engine.
    pub local_ufrag: String,
    /// Our new password.
    pub local_pwd: String,
    /// The peer's new user name fragment.
    pub remote_ufrag: String,
}

/// SRTP master keys, RFC 5764 section 4.2.
#[derive(Clone)]
pub struct SetKeys {
    /// Whose.
    pub peer: PeerId,
    /// The protection profile's number.
    pub profile: u16,
    /// The peer's write key.
    pub receive_key: Vec<u8>,
    /// The peer's write salt.
    pub receive_salt: Vec<u8>,
    /// Our write key.
    pub send_key: Vec<u8>,
    /// Our write salt.
    pub send_salt: Vec<u8>,
}

impl std::fmt::Debug for SetKeys {
    /// Keys are never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SetKeys")
            .field("peer", &self.peer)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

/// One layer as the offer names it.
#[derive(Clone, Debug, Default)]
pub struct LayerSpec {
    /// Its restriction identifier (RFC 8851), where simulcast is used.
    pub rid: Option<String>,
    /// Its SSRC, where the offer says it.
    pub ssrc: Option<u32>,
    /// The SSRC of its retransmissions (RFC 4588), where the offer says it.
    pub rtx_ssrc: Option<u32>,
}

/// A source that the peer will send.
#[derive(Clone, Debug)]
pub struct Publish {
    /// Whose.
    pub peer: PeerId,
    /// Its name.
    pub source: SourceId,
    /// Sound or picture.
    pub media: Media,
    /// The payload.
    pub codec: Codec,
    /// The m-line.
    pub mid: String,
    /// The payload type of its packets.
    pub payload_type: u8,
    /// The payload type of its retransmissions, where RTX (RFC 4588) was negotiated.
    pub rtx_payload_type: Option<u8>,
    /// It answers NACK (RFC 4585).
    pub nack: bool,
    /// Ticks a second.
    pub clock_rate: u32,
    /// From high to low; at least one.
    pub layers: Vec<LayerSpec>,
    /// Header extension id of the mid (RFC 9143).
    pub mid_extension: Option<u8>,
    /// Header extension id of the rid (RFC 8852).
    pub rid_extension: Option<u8>,
    /// Header extension id of the repaired rid (RFC 8852).
    pub repaired_rid_extension: Option<u8>,
    /// Header extension id of the audio level (RFC 6464).
    pub level_extension: Option<u8>,
    /// Header extension id of the dependency descriptor. It is read of AV1 alone.
    pub dependency_extension: Option<u8>,
    /// The payload type of redundant audio (RFC 2198), where the publisher may send that instead.
    pub red_payload_type: Option<u8>,
}

impl Publish {
    /// Whether packets of the source itself, no retransmissions, may have this payload type.
    #[must_use]
    pub fn carries(&self, payload_type: u8) -> bool {
        self.payload_type == payload_type || self.red_payload_type == Some(payload_type)
    }
}

/// A payload that a half may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What it is.
    pub codec: Codec,
    /// Written on every packet of it.
    pub payload_type: u8,
    /// Written on its retransmissions, where RTX (RFC 4588) was negotiated.
    pub rtx_payload_type: Option<u8>,
}

/// One half of a slot.
#[derive(Clone, Debug)]
pub struct AddSlot {
    /// Whose.
    pub peer: PeerId,
    /// Its index; unique together with `media`.
    pub slot: SlotIndex,
    /// Which half.
    pub media: Media,
    /// What it may carry, each codec once; at least one.
    pub payloads: Vec<Payload>,
    /// The m-line.
    pub mid: String,
    /// Ticks a second.
    pub clock_rate: u32,
    /// Written on every packet; unique in the peer for its whole life.
    pub ssrc: u32,
    /// The SSRC of retransmissions, as unique.
    pub rtx_ssrc: Option<u32>,
    /// The receiver asks again for what it misses (RFC 4585).
    pub nack: bool,
    /// Header extension id of the mid.
    pub mid_extension: Option<u8>,
    /// Header extension id of the audio level.
    pub level_extension: Option<u8>,
    /// Header extension id of abs-send-time.
    pub send_time_extension: Option<u8>,
    /// Header extension id of the dependency descriptor (AV1).
    pub dependency_extension: Option<u8>,
    /// The payload type of redundant audio (RFC 2198), where the receiver takes it.
    pub red_payload_type: Option<u8>,
}

/// Where a source is recorded.
#[derive(Clone, Debug)]
pub struct RecordTo {
    /// A file that is not there yet; its folder is made (mode 0700).
    pub path: PathBuf,
    /// The kind of source, written into the file.
    pub kind: String,
}

/// See the module.
#[derive(Debug)]
pub enum Command {
    /// A new peer.
    AddPeer(AddPeer),
    /// New ICE credentials.
    RestartIce(RestartIce),
    /// The keys from DTLS; once per peer.
    SetKeys(SetKeys),
    /// A DTLS datagram for the peer.
    SendDtls(PeerId, Vec<u8>),
    /// A new source.
    Publish(Publish),
    /// The source is gone.
    Unpublish(PeerId, SourceId),
    /// A new half of a slot.
    AddSlot(AddSlot),
    /// What plays in a half; `None` is nothing.
    Route {
        /// Whose.
        peer: PeerId,
        /// Which slot.
        slot: SlotIndex,
        /// Which half.
        media: Media,
        /// What.
        feed: Option<Feed>,
    },
    /// The highest temporal level that a half plays from the next frame on; `None` for all. Going up waits for a
    /// frame where that can be done.
    SetTemporal {
        /// Whose.
        peer: PeerId,
        /// Which slot, the picture of it.
        slot: SlotIndex,
        /// 0 is the base.
        level: Option<u8>,
    },
    /// Append what comes of the source to a file from now on; `None` ends that. What the file lacks is told by
    /// [`crate::event::Event::RecordingFailed`].
    Record {
        /// Whose.
        peer: PeerId,
        /// Which source.
        source: SourceId,
        /// Where.
        to: Option<RecordTo>,
    },
    /// Answered by [`crate::event::Event::RecordingsSynced`] of every shard, when all that came before is on disk.
    SyncRecordings(u64),
    /// The peer is gone, with its sources and slots.
    RemovePeer(PeerId),
    /// Answered by [`crate::event::Event::Stats`].
    RequestStats(u64),
    /// A fault, for tests: the shard panics.
    #[cfg(test)]
    Panic,
}

impl Command {
    /// The peer that the command is for; `None` where it is for the shard.
    #[must_use]
    pub fn peer(&self) -> Option<PeerId> {
        match self {
            Self::AddPeer(it) => Some(it.peer),
            Self::RestartIce(it) => Some(it.peer),
            Self::SetKeys(it) => Some(it.peer),
            Self::Publish(it) => Some(it.peer),
            Self::AddSlot(it) => Some(it.peer),
            Self::SendDtls(peer, _) | Self::Unpublish(peer, _) | Self::RemovePeer(peer) => Some(*peer),
            Self::Route { peer, .. } | Self::SetTemporal { peer, .. } | Self::Record { peer, .. } => {
                Some(*peer)
            }
            Self::RequestStats(_) | Self::SyncRecordings(_) => None,
            #[cfg(test)]
            Self::Panic => None,
        }
    }
}

/// Layers a source may have.
pub const MAX_LAYERS: usize = LayerIndex::MAX as usize;

/// Why a command could not be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// No such peer here.
    UnknownPeer,
    /// No such source in this shard.
    UnknownSource,
    /// No such slot half.
    UnknownSlot,
    /// The name is taken.
    Duplicate,
    /// The shard has as many peers as it takes.
    Full,
    /// Keys were set before; setting them again could use an SRTP index twice.
    KeysAlreadySet,
    /// The keys do not fit the profile, or the profile is not supported.
    BadKeys,
    /// Sound in a picture's place, another codec, or a layer that the source has not.
    Mismatch,
    /// The SSRC was used by this peer before.
    SsrcUsed,
    /// No pair was validated yet, so there is nowhere to send.
    NoPath,
}

impl CommandError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::UnknownPeer => "unknown-peer",
            Self::UnknownSource => "unknown-source",
            Self::UnknownSlot => "unknown-slot",
            Self::Duplicate => "duplicate",
            Self::Full => "full",
            Self::KeysAlreadySet => "keys-already-set",
            Self::BadKeys => "bad-keys",
            Self::Mismatch => "mismatch",
            Self::SsrcUsed => "ssrc-used",
            Self::NoPath => "no-path",
        }
    }
}
