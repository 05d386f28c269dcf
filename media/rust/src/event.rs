//! Events as Python sees them.

use luokkasilta_engine::event::Event as CoreEvent;
use pyo3::prelude::*;

/// See media/_engine.pyi.
#[pyclass(frozen, module = "media._engine")]
#[allow(missing_docs, reason = "described in media/_engine.pyi, where Python looks")]
pub enum Event {
    DtlsReceived { peer: u64, data: Vec<u8> },
    PeerConnected { peer: u64, local: String, remote: String },
    PeerSilent { peer: u64 },
    PeerQuiet { peer: u64, quiet: bool },
    SourceLive { peer: u64, source: u64, layer: u8 },
    SourceIdle { peer: u64, source: u64, layer: u8 },
    SourceLevel { peer: u64, source: u64, level: u8 },
    SlotSwitched { peer: u64, slot: u16, media: String, source: u64, layer: u8 },
    RecordingFailed { peer: u64, source: u64, text: String },
    RecordingsSynced { ticket: u64, shard: usize },
    CommandFailed { peer: u64, code: String },
    ShardFailed { shard: usize, text: String },
    WriterFailed { text: String },
    Stats { ticket: u64, shard: usize, json: String },
    EventsDropped { shard: usize, count: u64 },
}

impl From<CoreEvent> for Event {
    fn from(event: CoreEvent) -> Self {
        match event {
            CoreEvent::DtlsReceived { peer, data } => Self::DtlsReceived { peer, data },
            CoreEvent::PeerConnected { peer, local, remote } => {
                Self::PeerConnected { peer, local: local.ip().to_string(), remote: remote.to_string() }
            }
            CoreEvent::PeerSilent { peer } => Self::PeerSilent { peer },
            CoreEvent::PeerQuiet { peer, quiet } => Self::PeerQuiet { peer, quiet },
            CoreEvent::SourceLive { peer, source, layer } => Self::SourceLive { peer, source, layer },
            CoreEvent::SourceIdle { peer, source, layer } => Self::SourceIdle { peer, source, layer },
            CoreEvent::SourceLevel { peer, source, level } => Self::SourceLevel { peer, source, level },
            CoreEvent::SlotSwitched { peer, slot, media, source, layer } => {
                Self::SlotSwitched { peer, slot, media: media.name().to_owned(), source, layer }
            }
            CoreEvent::RecordingFailed { peer, source, text } => Self::RecordingFailed { peer, source, text },
            CoreEvent::RecordingsSynced { ticket, shard } => Self::RecordingsSynced { ticket, shard },
            CoreEvent::CommandFailed { peer, error } => {
                Self::CommandFailed { peer, code: error.code().to_owned() }
            }
            CoreEvent::ShardFailed { shard, text } => Self::ShardFailed { shard, text },
            CoreEvent::WriterFailed { text } => Self::WriterFailed { text },
            CoreEvent::Stats { ticket, shard, json } => Self::Stats { ticket, shard, json },
            CoreEvent::EventsDropped { shard, count } => Self::EventsDropped { shard, count },
        }
    }
}
