//! The engine as Python sees it. Every method posts a command and returns; none blocks, but for `close`. A panic in one
//! is an EngineError: PyO3's own exception for it is no `Exception`, and would end the event loop.

use crate::EngineError;
use crate::event::Event;
use luokkasilta_engine::command::{
    AddPeer, AddSlot, Command, LayerSpec, Payload, Publish, RecordTo, RestartIce, SetKeys,
};
use luokkasilta_engine::fault::contain;
use luokkasilta_engine::io::engine::{Engine as CoreEngine, PostError};
use luokkasilta_engine::types::{Codec, Feed, Media};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// See media/_engine.pyi.
#[pyclass(frozen, module = "media._engine")]
pub struct Engine {
    core: CoreEngine,
}

fn guarded<T>(act: impl FnOnce() -> T) -> PyResult<T> {
    contain(act).map_err(|text| EngineError::new_err(format!("a fault of the engine: {text}")))
}

fn posted(post: impl FnOnce() -> Result<(), PostError>) -> PyResult<()> {
    guarded(post)?.map_err(|error| EngineError::new_err(error.to_string()))
}

fn media_of(name: &str) -> PyResult<Media> {
    match name {
        "audio" => Ok(Media::Audio),
        "video" => Ok(Media::Video),
        _ => Err(PyValueError::new_err("media is \"audio\" or \"video\"")),
    }
}

fn codec_of(name: &str) -> PyResult<Codec> {
    match name {
        "opus" => Ok(Codec::Opus),
        "vp8" => Ok(Codec::Vp8),
        "vp9" => Ok(Codec::Vp9),
        "h264" => Ok(Codec::H264),
        "av1" => Ok(Codec::Av1),
        _ => Err(PyValueError::new_err("codec is \"opus\", \"vp8\", \"vp9\", \"h264\" or \"av1\"")),
    }
}

#[pymethods]
#[allow(clippy::too_many_arguments, reason = "keyword arguments in Python")]
#[allow(missing_docs, reason = "described in media/_engine.pyi, where Python looks")]
impl Engine {
    #[new]
    #[pyo3(signature = (bind, *, shards = 1))]
    fn new(bind: Vec<String>, shards: usize) -> PyResult<Self> {
        let mut addresses: Vec<SocketAddr> = Vec::with_capacity(bind.len());
        for text in &bind {
            let address =
                text.parse().map_err(|_| EngineError::new_err(format!("not an address and port: {text}")))?;
            addresses.push(address);
        }
        let core = guarded(|| CoreEngine::start(&addresses, shards))?.map_err(|error| {
            EngineError::new_err(format!("can't open media on {}: {error}", bind.join(", ")))
        })?;
        Ok(Self { core })
    }

    #[getter]
    fn local_addresses(&self) -> PyResult<Vec<(String, u16)>> {
        guarded(|| {
            self.core.local().iter().map(|address| (address.ip().to_string(), address.port())).collect()
        })
    }

    #[getter]
    fn event_fd(&self) -> i32 {
        self.core.event_fd().as_raw_fd()
    }

    #[getter]
    fn shards(&self) -> usize {
        self.core.shards()
    }

    #[getter]
    fn io_counters(&self) -> PyResult<Vec<(&'static str, u64)>> {
        guarded(|| {
            let mut all = self.core.counters().list();
            all.extend(self.core.recording_counters().list());
            all
        })
    }

    #[pyo3(signature = (peer, *, shard, local_ufrag, local_pwd, remote_ufrag, receive_bitrate))]
    fn add_peer(
        &self,
        peer: u64,
        shard: usize,
        local_ufrag: String,
        local_pwd: String,
        remote_ufrag: String,
        receive_bitrate: u64,
    ) -> PyResult<()> {
        let spec = AddPeer { peer, local_ufrag, local_pwd, remote_ufrag, receive_bitrate };
        posted(|| self.core.add_peer(shard, spec))
    }

    #[pyo3(signature = (peer, *, local_ufrag, local_pwd, remote_ufrag))]
    fn restart_ice(
        &self,
        peer: u64,
        local_ufrag: String,
        local_pwd: String,
        remote_ufrag: String,
    ) -> PyResult<()> {
        let spec = RestartIce { peer, local_ufrag, local_pwd, remote_ufrag };
        posted(|| self.core.post(Command::RestartIce(spec)))
    }

    #[pyo3(signature = (peer, *, profile, receive_key, receive_salt, send_key, send_salt))]
    fn set_keys(
        &self,
        peer: u64,
        profile: u16,
        receive_key: Vec<u8>,
        receive_salt: Vec<u8>,
        send_key: Vec<u8>,
        send_salt: Vec<u8>,
    ) -> PyResult<()> {
        let keys = SetKeys { peer, profile, receive_key, receive_salt, send_key, send_salt };
        posted(|| self.core.post(Command::SetKeys(keys)))
    }

    fn send_dtls(&self, peer: u64, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        posted(|| self.core.post(Command::SendDtls(peer, data.as_bytes().to_vec())))
    }

    #[pyo3(signature = (peer, source, *, media, codec, mid, payload_type, rtx_payload_type, nack, clock_rate, layers, mid_extension, rid_extension, repaired_rid_extension, level_extension, dependency_extension = None, red_payload_type = None))]
    fn publish(
        &self,
        peer: u64,
        source: u64,
        media: &str,
        codec: &str,
        mid: String,
        payload_type: u8,
        rtx_payload_type: Option<u8>,
        nack: bool,
        clock_rate: u32,
        layers: Vec<(Option<String>, Option<u32>, Option<u32>)>,
        mid_extension: Option<u8>,
        rid_extension: Option<u8>,
        repaired_rid_extension: Option<u8>,
        level_extension: Option<u8>,
        dependency_extension: Option<u8>,
        red_payload_type: Option<u8>,
    ) -> PyResult<()> {
        let spec = Publish {
            peer,
            source,
            media: media_of(media)?,
            codec: codec_of(codec)?,
            mid,
            payload_type,
            rtx_payload_type,
            nack,
            clock_rate,
            layers: layers
                .into_iter()
                .map(|(rid, ssrc, rtx_ssrc)| LayerSpec { rid, ssrc, rtx_ssrc })
                .collect(),
            mid_extension,
            rid_extension,
            repaired_rid_extension,
            level_extension,
            dependency_extension,
            red_payload_type,
        };
        posted(|| self.core.post(Command::Publish(spec)))
    }

    fn unpublish(&self, peer: u64, source: u64) -> PyResult<()> {
        posted(|| self.core.post(Command::Unpublish(peer, source)))
    }

    #[pyo3(signature = (peer, slot, *, media, payloads, mid, clock_rate, ssrc, rtx_ssrc, nack, mid_extension, level_extension, send_time_extension, dependency_extension = None, red_payload_type = None))]
    fn add_slot(
        &self,
        peer: u64,
        slot: u16,
        media: &str,
        payloads: Vec<(String, u8, Option<u8>)>,
        mid: String,
        clock_rate: u32,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        nack: bool,
        mid_extension: Option<u8>,
        level_extension: Option<u8>,
        send_time_extension: Option<u8>,
        dependency_extension: Option<u8>,
        red_payload_type: Option<u8>,
    ) -> PyResult<()> {
        let payloads = payloads
            .into_iter()
            .map(|(codec, payload_type, rtx_payload_type)| {
                Ok(Payload { codec: codec_of(&codec)?, payload_type, rtx_payload_type })
            })
            .collect::<PyResult<_>>()?;
        let spec = AddSlot {
            peer,
            slot,
            media: media_of(media)?,
            payloads,
            mid,
            clock_rate,
            ssrc,
            rtx_ssrc,
            nack,
            mid_extension,
            level_extension,
            send_time_extension,
            dependency_extension,
            red_payload_type,
        };
        posted(|| self.core.post(Command::AddSlot(spec)))
    }

    #[pyo3(signature = (peer, slot, *, media, source, layer = 0))]
    fn route(&self, peer: u64, slot: u16, media: &str, source: Option<u64>, layer: u8) -> PyResult<()> {
        let feed = source.map(|source| Feed { source, layer });
        let media = media_of(media)?;
        posted(|| self.core.post(Command::Route { peer, slot, media, feed }))
    }

    #[pyo3(signature = (peer, slot, *, level))]
    fn set_temporal(&self, peer: u64, slot: u16, level: Option<u8>) -> PyResult<()> {
        posted(|| self.core.post(Command::SetTemporal { peer, slot, level }))
    }

    #[pyo3(signature = (peer, source, path, *, kind = ""))]
    fn record(&self, peer: u64, source: u64, path: Option<PathBuf>, kind: &str) -> PyResult<()> {
        let to = path.map(|path| RecordTo { path, kind: kind.to_owned() });
        posted(|| self.core.post(Command::Record { peer, source, to }))
    }

    fn sync_recordings(&self, ticket: u64) -> PyResult<()> {
        posted(|| self.core.post(Command::SyncRecordings(ticket)))
    }

    fn remove_peer(&self, peer: u64) -> PyResult<()> {
        posted(|| self.core.post(Command::RemovePeer(peer)))
    }

    fn request_stats(&self, ticket: u64) -> PyResult<()> {
        posted(|| self.core.post(Command::RequestStats(ticket)))
    }

    fn drain(&self) -> PyResult<Vec<Event>> {
        guarded(|| self.core.drain().into_iter().map(Event::from).collect())
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        // The threads never take the GIL, but joining them takes a moment that others may use.
        py.detach(|| guarded(|| self.core.close()))
    }
}
