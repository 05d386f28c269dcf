//! Recording: what of a source goes to the writer. The packets are the same that are forwarded, after loss repair.

use super::Shard;
use crate::command::{CommandError, RecordTo};
use crate::output::Output;
use crate::peer::Stream;
use crate::record::tap::Tap;
use crate::record::{Head, Opening, Packet, Record, RecordingId};
use crate::slot::Incoming;
use crate::time::Micros;
use crate::types::{LayerIndex, Media, PeerId, SourceId};
use crate::wire::rtp::Header;

/// The shard's number stands above this many bits of a recording's name.
const SHARD_SHIFT: u32 = 48;

struct Sample<'a> {
    layer: LayerIndex,
    ssrc: u32,
    marker: bool,
    begins_key_frame: bool,
    index: u64,
    timestamp: i64,
    captured: Micros,
    payload: &'a [u8],
}

impl Shard {
    /// Begin a recording of the source, after ending the one that may be there; or end it.
    pub(super) fn record(
        &mut self,
        peer: PeerId,
        source: SourceId,
        to: Option<RecordTo>,
        out: &mut Output,
    ) -> Result<(), CommandError> {
        let owner = self.key_of(peer)?;
        let key = *self.source_keys.get(&source).ok_or(CommandError::UnknownSource)?;
        if self.sources[key].owner != owner {
            return Err(CommandError::UnknownSource);
        }
        self.stop_recording(key, out);
        let Some(RecordTo { path, kind }) = to else { return Ok(()) };
        self.recordings += 1;
        let recording: RecordingId = (self.number as u64) << SHARD_SHIFT | self.recordings;
        let zero_us = self.epoch.to_unix_us();
        let state = &mut self.sources[key];
        let is_video = state.spec.media == Media::Video;
        state.tap = Some(Tap::new(recording, is_video));
        let head = Head { codec: state.spec.codec, clock_rate: state.spec.clock_rate, zero_us, kind };
        out.records.push(Record::Open(Opening { recording, peer, source, path, head }));
        self.want_key_frame(source);
        Ok(())
    }

    /// A recording of the source can go on only at a key frame.
    pub fn want_key_frame(&mut self, source: SourceId) {
        let Some(&key) = self.source_keys.get(&source) else { return };
        let source = &self.sources[key];
        if source.spec.media == Media::Video
            && let Some(ssrc) = source.layers.iter().filter(|layer| layer.live).find_map(|layer| layer.ssrc)
        {
            self.peers[source.owner].gate.want(ssrc);
        }
    }

    pub(super) fn stop_recording(&mut self, key: usize, out: &mut Output) {
        if let Some(tap) = self.sources[key].tap.take() {
            out.records.push(Record::Close(tap.recording));
        }
    }

    pub(super) fn record_packet(
        &mut self,
        stream: Stream,
        ssrc: u32,
        incoming: &Incoming<'_>,
        now: Micros,
        out: &mut Output,
    ) {
        if self.sources[stream.source].tap.is_none() {
            return;
        }
        let sample = Sample {
            layer: stream.layer,
            ssrc,
            marker: incoming.marker,
            begins_key_frame: incoming.understood.begins_key_frame,
            index: incoming.index,
            timestamp: incoming.timestamp,
            captured: incoming.captured,
            payload: &incoming.packet[incoming.payload.clone()],
        };
        self.keep(stream.source, &sample, now, out);
    }

    /// A packet of padding only has a number, which would else look lost.
    pub(super) fn record_padding(
        &mut self,
        stream: Stream,
        header: &Header,
        index: u64,
        timestamp: i64,
        now: Micros,
        out: &mut Output,
    ) {
        let source = &self.sources[stream.source];
        if source.tap.is_none() {
            return;
        }
        let clock = &source.layers[usize::from(stream.layer)].clock;
        let sample = Sample {
            layer: stream.layer,
            ssrc: header.ssrc,
            marker: header.marker,
            begins_key_frame: false,
            index,
            timestamp,
            captured: clock.capture_time(&self.peers[source.owner].clock, timestamp, now),
            payload: &[],
        };
        self.keep(stream.source, &sample, now, out);
    }

    fn keep(&mut self, source_key: usize, sample: &Sample<'_>, now: Micros, out: &mut Output) {
        let source = &mut self.sources[source_key];
        let Some(tap) = source.tap.as_mut() else { return };
        let tapped = tap.on_packet(sample.layer, sample.index, sample.begins_key_frame, now);
        if let Some(run) = tapped.run {
            out.records.push(Record::Packet(Packet {
                recording: tap.recording,
                run,
                layer: sample.layer,
                marker: sample.marker,
                begins_key_frame: sample.begins_key_frame,
                index: sample.index,
                timestamp: sample.timestamp,
                captured: sample.captured,
                payload: sample.payload.to_vec(),
            }));
        }
        if tapped.key_frame_wanted {
            self.peers[source.owner].gate.want(sample.ssrc);
        }
    }
}
