//! What a shard wants kept of a source (D7): the records, how they lie in a file, and what is left out when.
//!
//! ```text
//! shard: on_rtp --> tap (which layer, which gaps) --> Output.records
//!   io:  flow (room? a hole?) --> bounded queue --> the writer's thread --> format --> one file a recording
//! ```
//!
//! Plain state and octets, like everything below `io`. The file format is described in media/recording/FORMAT.md.

pub mod flow;
pub mod format;
pub mod tap;

use crate::time::Micros;
use crate::types::{Codec, LayerIndex, PeerId, SourceId};
use std::path::PathBuf;

/// Names one recording, which is one file; unique in the engine, since one source may be recorded twice in turn.
pub type RecordingId = u64;

/// What stands at the beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The payload.
    pub codec: Codec,
    /// Ticks a second.
    pub clock_rate: u32,
    /// Where the server clock's zero lies, in microseconds since 1970 (UTC).
    pub zero_us: i64,
    /// The kind of source, as the caller calls it; at most [`format::MAX_KIND`] octets.
    pub kind: String,
}

/// A recording begins.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its name.
    pub recording: RecordingId,
    /// Whose source, for what the caller is told.
    pub peer: PeerId,
    /// Which source.
    pub source: SourceId,
    /// The file; it must not be there yet. Its folder is made.
    pub path: PathBuf,
    /// Its first entry.
    pub head: Head,
}

/// One RTP packet as it came, decrypted. The payload is empty where the packet was padding only: it is kept for its
/// number, or it would look lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Of which recording.
    pub recording: RecordingId,
    /// Counts the RTP streams that follow each other in one file: within a run the numbers and timestamps go on.
    pub run: u32,
    /// Which layer of the source.
    pub layer: LayerIndex,
    /// M.
    pub marker: bool,
    /// It begins a key frame.
    pub begins_key_frame: bool,
    /// Extended sequence number.
    pub index: u64,
    /// Unwrapped RTP timestamp.
    pub timestamp: i64,
    /// Capture time on the server clock.
    pub captured: Micros,
    /// As received.
    pub payload: Vec<u8>,
}

/// What a shard has for the writer, in order.
#[derive(Clone, Debug)]
pub enum Record {
    /// Begin a file.
    Open(Opening),
    /// Append a packet.
    Packet(Packet),
    /// Packets were left out here; put in by the queue, not by a shard.
    Hole {
        /// Of which recording.
        recording: RecordingId,
        /// How many.
        dropped: u64,
    },
    /// The recording is over.
    Close(RecordingId),
    /// Answer with [`crate::event::Event::RecordingsSynced`] when all before this is on disk.
    Sync(u64),
}
