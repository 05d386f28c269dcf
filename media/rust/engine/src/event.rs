//! What the engine tells the caller, in batches.

use crate::command::CommandError;
use crate::types::{LayerIndex, Media, PeerId, SlotIndex, SourceId};
use std::net::SocketAddr;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A DTLS datagram from a validated address of the peer.
    DtlsReceived {
        /// From whom.
        peer: PeerId,
        /// The datagram.
        data: Vec<u8>,
    },
    /// A pair was nominated; media goes there from now on.
    PeerConnected {
        /// Whose.
        peer: PeerId,
        /// Our address.
        local: SocketAddr,
        /// Its address.
        remote: SocketAddr,
    },
    /// Nothing authenticated came for the consent time (RFC 7675).
    PeerSilent {
        /// Who.
        peer: PeerId,
    },
    /// Nothing authenticated came for some seconds, or something came again.
    PeerQuiet {
        /// Who.
        peer: PeerId,
        /// Nothing came.
        quiet: bool,
    },
    /// The first packet of a layer, or the first after a pause.
    SourceLive {
        /// Whose.
        peer: PeerId,
        /// Which source.
        source: SourceId,
        /// Which layer.
        layer: LayerIndex,
    },
    /// No packet of a layer for two seconds.
    SourceIdle {
        /// Whose.
        peer: PeerId,
        /// Which source.
        source: SourceId,
        /// Which layer.
        layer: LayerIndex,
    },
    /// How loud a source is: twice a second while it is heard, and once when no longer.
    SourceLevel {
        /// Whose.
        peer: PeerId,
        /// Which source.
        source: SourceId,
        /// dB below overload (RFC 6464), smoothed; 127 for silence.
        level: u8,
    },
    /// A half plays something else from now on.
    SlotSwitched {
        /// Whose.
        peer: PeerId,
        /// Which slot.
        slot: SlotIndex,
        /// Which half.
        media: Media,
        /// What plays.
        source: SourceId,
        /// Its layer.
        layer: LayerIndex,
    },
    /// The recording of a source has a hole from now on, or has ended.
    RecordingFailed {
        /// Whose.
        peer: PeerId,
        /// Which source.
        source: SourceId,
        /// Why.
        text: String,
    },
    /// All that the shard recorded before the command of this ticket is on disk.
    RecordingsSynced {
        /// The command.
        ticket: u64,
        /// Which shard.
        shard: usize,
    },
    /// A command could not be carried out.
    CommandFailed {
        /// For whom it was; 0 for none.
        peer: PeerId,
        /// Why.
        error: CommandError,
    },
    /// A shard panicked. All its peers, sources and slots are gone; after a moment it goes on, empty.
    ShardFailed {
        /// Which.
        shard: usize,
        /// What it said, and where.
        text: String,
    },
    /// The writer of recordings panicked. What was recorded ends with RecordingFailed; after a moment it goes on.
    WriterFailed {
        /// What it said, and where.
        text: String,
    },
    /// The answer to a request for statistics.
    Stats {
        /// The request.
        ticket: u64,
        /// Which shard.
        shard: usize,
        /// One JSON object.
        json: String,
    },
    /// The event queue was full.
    EventsDropped {
        /// Of which shard.
        shard: usize,
        /// How many were dropped.
        count: u64,
    },
}
