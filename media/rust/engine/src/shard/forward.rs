//! The packet's way: an authenticated RTP packet is taken in, and at the end of the turn it goes, with what else came of
//! its layer (`burst`), to the halves that play its source.

use super::Shard;
use super::burst::{Gathered, Origin};
use crate::event::Event;
use crate::output::Output;
use crate::peer::Stream;
use crate::repair::echo::Echo;
use crate::slot::{Forwarded, Incoming};
use crate::source::Subscriber;
use crate::time::Micros;
use crate::types::{Codec, Feed, Media};
use crate::understood::Understood;
use crate::wire::red::{self, Block};
use crate::wire::rtp::Header;
use crate::wire::{opus, rtx};
use std::ops::Range;

/// A packet of a layer on its way in.
struct Arrival {
    /// Extended sequence number in the layer's own stream.
    index: u64,
    /// Where the original payload lies in the packet.
    payload: Range<usize>,
    /// How it came.
    way: Way,
    /// The highest number of its layer until it came.
    highest_before: Option<u64>,
}

/// How a packet came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Itself,
    /// As a retransmission (RFC 4588).
    Repeated,
    /// Along with a later one (RFC 2198).
    Redundant,
}

/// Receivers whose state is fetched together: as much as the nearest caches hold beside what is being written.
const LOOK_AHEAD: usize = 16;

/// What became of packets in the halves that they were given to.
#[derive(Default)]
struct Visit {
    /// Feeds that ceased to play where another began.
    left: Vec<(Feed, Subscriber)>,
    /// Where the feed began.
    begun: Vec<Subscriber>,
    /// Peers to which something left late.
    late: Vec<usize>,
    /// A half waits for a key frame of the feed.
    key_frame_wanted: bool,
}

impl Shard {
    /// An authenticated RTP packet; `index` is its extended sequence number.
    pub(super) fn on_rtp(
        &mut self,
        key: usize,
        header: &Header,
        packet: &[u8],
        index: u64,
        now: Micros,
        out: &mut Output,
    ) {
        self.peers[key].media_at = Some(now);
        let (Some(stream), Ok(payload)) =
            (self.find_stream(key, header, packet, now, out), header.payload(packet))
        else {
            self.peers[key].counters.unexpected += 1;
            return;
        };
        let arrival = if stream.is_rtx {
            let layer = &self.sources[stream.source].layers[usize::from(stream.layer)];
            // Without payload it only probes the line; before the first packet it repairs nothing.
            let Some((sequence, original)) =
                rtx::original(&packet[payload.clone()]).filter(|(_, original)| !original.is_empty())
            else {
                return;
            };
            let Some(index) = layer.index_of(sequence) else { return };
            let payload = payload.end - original.len()..payload.end;
            Arrival { index, payload, way: Way::Repeated, highest_before: None }
        } else if self.sources[stream.source].spec.red_payload_type == Some(header.payload_type)
            && !payload.is_empty()
        {
            let Some(own) = self.take_in_redundant(key, stream, header, packet, payload, index, now, out)
            else {
                return;
            };
            Arrival { index, payload: own, way: Way::Itself, highest_before: None }
        } else {
            Arrival { index, payload, way: Way::Itself, highest_before: None }
        };
        self.take_in(key, stream, header, packet, arrival, now, out);
    }

    /// A packet of redundant audio: its earlier frames are taken in where they fill a gap. Gives where its own frame
    /// lies; `None` when it has none that can be read.
    #[allow(clippy::too_many_arguments, reason = "one call; a struct for it would only rename the arguments")]
    fn take_in_redundant(
        &mut self,
        key: usize,
        stream: Stream,
        header: &Header,
        packet: &[u8],
        payload: Range<usize>,
        index: u64,
        now: Micros,
        out: &mut Output,
    ) -> Option<Range<usize>> {
        let start = payload.start;
        let kind = self.sources[stream.source].spec.payload_type;
        let blocks = red::Blocks::parse(&packet[payload]).ok();
        let count = blocks.clone().map_or(0, Iterator::count);
        let own = blocks.clone().and_then(Iterator::last).filter(|block| block.payload_type == kind);
        let (Some(blocks), Some(own)) = (blocks, own) else {
            self.peers[key].counters.unexpected += 1;
            return None;
        };
        let range = |block: &Block<'_>| start + block.start..start + block.start + block.payload.len();
        let backs = (0..count as u64).rev();
        for (block, back) in blocks.zip(backs).filter(|(block, back)| *back > 0 && block.payload_type == kind)
        {
            let layer = &self.sources[stream.source].layers[usize::from(stream.layer)];
            let timestamp = layer.timestamps.peek(header.timestamp);
            let found = opus::ticks(block.payload)
                .and_then(|length| layer.order.place(index, timestamp, back, block.offset, length));
            if let Some(index) = found {
                // The extensions are about the packet's own frame.
                let earlier = Header {
                    timestamp: header.timestamp.wrapping_sub(block.offset),
                    sequence: index as u16,
                    marker: false,
                    extension: None,
                    ..header.clone()
                };
                let arrival =
                    Arrival { index, payload: range(&block), way: Way::Redundant, highest_before: None };
                self.take_in(key, stream, &earlier, packet, arrival, now, out);
            }
        }
        Some(range(&own))
    }

    /// A packet of a layer, whichever way it came.
    #[allow(clippy::too_many_arguments, reason = "one call; a struct for it would only rename the arguments")]
    fn take_in(
        &mut self,
        key: usize,
        stream: Stream,
        header: &Header,
        packet: &[u8],
        arrival: Arrival,
        now: Micros,
        out: &mut Output,
    ) {
        let Arrival { index, ref payload, way, .. } = arrival;
        let peer = &mut self.peers[key];
        let source = &mut self.sources[stream.source];
        let feed = Feed { source: source.id(), layer: stream.layer };
        let spec = &source.spec;
        let layer = &mut source.layers[usize::from(stream.layer)];
        let highest_before = layer.highest();
        if !layer.is_first(index) {
            return;
        }
        let timestamp = layer.timestamps.unwrap(header.timestamp);
        if spec.red_payload_type.is_some() {
            layer.order.put(index, timestamp);
            layer.recovered += u64::from(way == Way::Redundant);
        }
        if way == Way::Itself {
            // What was repaired is lost all the same: reports and clocks are about the line.
            layer.stats.on_packet(index, timestamp, spec.clock_rate, payload.len(), now);
            layer.clock.on_packet(&mut peer.clock, timestamp, now);
        }
        layer.heard_at = Some(now);
        if !layer.live {
            layer.live = true;
            peer.receiver_report_now = true;
            out.events.push(Event::SourceLive { peer: peer.id, source: feed.source, layer: feed.layer });
        }
        let (mut ask, mut is_open) = (false, false);
        if spec.nack {
            // A voice comes again as it was, so it can't be told from one that was only late; a frame that came along
            // answers no question.
            let measures = match way {
                Way::Itself => spec.rtx_payload_type.is_none(),
                Way::Repeated => true,
                Way::Redundant => false,
            };
            let noticed = layer.missing.on_packet(index, measures, now);
            if let Some(round_trip_us) = noticed.round_trip_us {
                peer.measured(round_trip_us);
            }
            if let (true, Some(ssrc)) = (noticed.hopeless > 0 && spec.media == Media::Video, layer.ssrc) {
                peer.gate.want(ssrc);
            }
            ask = noticed.ask;
            if spec.media == Media::Video {
                let is_end = header.marker || payload.is_empty();
                layer.tail.on_packet(index, timestamp, is_end, now);
                is_open = layer.tail.is_open() && layer.missing.is_losing(now);
            }
        }
        let arrival = Arrival { highest_before, ..arrival };
        self.play(key, stream, feed, header, packet, arrival, timestamp, now, out);
        if ask {
            self.begin_repair(key, now, out);
        }
        if is_open {
            self.look_after(key, now);
        }
    }

    /// To the halves that play it.
    #[allow(clippy::too_many_arguments, reason = "one call; a struct for it would only rename the arguments")]
    fn play(
        &mut self,
        key: usize,
        stream: Stream,
        feed: Feed,
        header: &Header,
        packet: &[u8],
        arrival: Arrival,
        timestamp: i64,
        now: Micros,
        out: &mut Output,
    ) {
        let Arrival { index, payload, way, highest_before } = arrival;
        let place = usize::from(stream.layer);
        let source = &mut self.sources[stream.source];
        let ssrc = source.layers[place].ssrc.unwrap_or(header.ssrc);
        let origin = Origin { publisher: key, source: stream.source, feed, ssrc };
        if payload.is_empty() {
            self.skip(origin, index, now, out);
            self.record_padding(stream, header, index, timestamp, now, out);
            return;
        }
        let octets = &packet[payload.clone()];
        let value_of = |id: Option<u8>| {
            id.and_then(|id| {
                header.extensions(packet).find(|(found, _)| *found == id).map(|(_, value)| value)
            })
        };
        // VP8 and VP9 say all of it in the payload; a descriptor beside that would need numbers of its own.
        let described = source.spec.dependency_extension.filter(|_| source.spec.codec == Codec::Av1);
        let dependency = value_of(described);
        let structure = &mut source.layers[place].structure;
        let Ok(understood) = Understood::of(source.spec.codec, octets, dependency, structure) else {
            self.peers[key].counters.unexpected += 1;
            self.skip(origin, index, now, out);
            return;
        };
        let level = value_of(source.spec.level_extension).and_then(|value| value.first().copied());
        if let (Some(octet), Way::Itself) = (level, way) {
            source.loudness.on_level(octet, now);
        }
        let is_picture = source.spec.media == Media::Video;
        let layer = &mut source.layers[place];
        if understood.begins_key_frame {
            self.peers[key].gate.arrived(ssrc);
        }
        let captured = layer.clock.capture_time(&self.peers[key].clock, timestamp, now);
        if is_picture {
            let dependency = dependency.unwrap_or_default();
            layer.cache.put(index, timestamp, captured, header.marker, octets, dependency, now);
        }
        let incoming = Incoming {
            packet,
            payload,
            marker: header.marker,
            is_newest: layer.highest() == Some(index),
            index,
            timestamp,
            captured,
            level,
            codec: source.spec.codec,
            understood,
            dependency,
        };
        self.record_packet(stream, ssrc, &incoming, now, out);
        if self.bursts.is_full(origin) {
            self.forward_taken(now, out);
        }
        self.bursts.put(origin, &incoming, highest_before);
    }

    /// A packet that no half gets: its number is no gap to them.
    fn skip(&mut self, origin: Origin, index: u64, now: Micros, out: &mut Output) {
        if self.bursts.is_full(origin) {
            self.forward_taken(now, out);
        }
        self.bursts.put_padding(origin, index);
    }

    /// Forward what was taken in and not yet forwarded.
    pub fn forward_taken(&mut self, now: Micros, out: &mut Output) {
        if self.bursts.is_empty() {
            return;
        }
        // Lent for the loop, which takes nothing in.
        let mut bursts = std::mem::take(&mut self.bursts);
        for burst in bursts.filled() {
            self.fan_out(burst.origin, &burst.packets(), now, out);
        }
        bursts.clear();
        self.bursts = bursts;
    }

    fn fan_out(&mut self, origin: Origin, packets: &[Gathered<'_>], now: Micros, out: &mut Output) {
        let Origin { publisher, source, feed, ssrc } = origin;
        let place = usize::from(feed.layer);
        // Lent for the loop: halves belong to other peers, and none of them touches this list.
        let mut subscribers = std::mem::take(&mut self.sources[source].layers[place].subscribers);
        let mut visit = Visit::default();
        let mut kept = 0;
        for at in 0..subscribers.len() {
            if at.is_multiple_of(LOOK_AHEAD) {
                self.look_at(&subscribers[at..subscribers.len().min(at + LOOK_AHEAD)]);
            }
            let me = subscribers[at];
            let mut rest = packets;
            while !rest.is_empty() {
                rest = self.visit(me, origin, rest, &mut visit, now, out);
            }
            let half = &self.peers[me.peer].halves[me.half];
            if half.wanted() == Some(feed) || half.playing() == Some(feed) {
                subscribers[kept] = me;
                kept += 1;
            }
        }
        subscribers.truncate(kept);
        self.sources[source].layers[place].subscribers = subscribers;
        for (feed, me) in visit.left {
            self.unsubscribe(feed, me);
        }
        for key in visit.late {
            self.look_after(key, now);
        }
        if visit.key_frame_wanted {
            self.peers[publisher].gate.want(ssrc);
        }
        // Out at once after a switch, so that the receiver can put picture and voice together.
        for me in visit.begun {
            self.send_sender_reports(me.peer, now, true, out);
        }
    }

    /// Read the state of some receivers, and do nothing with it.
    ///
    /// Between two turns the kernel's way out has taken the caches, so each receiver's state comes from far away, piece
    /// after piece, each known only by the one before. Of several receivers at once the processor fetches the pieces
    /// side by side, and the forwarding then finds them near. Measured: see tests/bench/RESULTS.md.
    fn look_at(&self, subscribers: &[Subscriber]) {
        let mut seen = 0;
        for me in subscribers {
            let peer = &self.peers[me.peer];
            let half = &peer.halves[me.half];
            let indices = peer.srtp.as_ref().map_or(0, |srtp| srtp.outbound.look(half.spec.ssrc));
            seen ^= half.look() ^ indices ^ u64::from(peer.ice.path().is_some());
        }
        std::hint::black_box(seen);
    }

    /// Give packets to one half, up to one with which the feed begins there. Gives the rest.
    fn visit<'a, 'b>(
        &mut self,
        me: Subscriber,
        origin: Origin,
        packets: &'a [Gathered<'b>],
        visit: &mut Visit,
        now: Micros,
        out: &mut Output,
    ) -> &'a [Gathered<'b>] {
        let feed = origin.feed;
        let peer = &mut self.peers[me.peer];
        let half = &mut peer.halves[me.half];
        let to = peer.srtp.as_mut().zip(peer.ice.path());
        let mut to = to.map(|(srtp, path)| (&mut srtp.outbound, path));
        for (at, packet) in packets.iter().enumerate() {
            let (incoming, highest_before) = match packet {
                Gathered::Packet(incoming, highest_before) => (incoming, *highest_before),
                Gathered::Padding(index) => {
                    half.skip(feed, *index);
                    continue;
                }
            };
            let Some((outbound, path)) = to.as_mut() else { continue };
            let before = half.playing();
            match half.forward(feed, incoming, outbound, *path, out, now) {
                Ok(Forwarded::Sent) => {
                    self.counters.forwarded += 1;
                    peer.budget.earn(incoming.payload.len());
                }
                Ok(Forwarded::Late(sequence)) => {
                    self.counters.forwarded += 1;
                    peer.budget.earn(incoming.payload.len());
                    peer.echoes.add(Echo { half: me.half, sequence }, now);
                    visit.late.push(me.peer);
                }
                Ok(Forwarded::Switched) => {
                    self.counters.forwarded += 1;
                    let spec = &half.spec;
                    out.events.push(Event::SlotSwitched {
                        peer: peer.id,
                        slot: spec.slot,
                        media: spec.media,
                        source: feed.source,
                        layer: feed.layer,
                    });
                    if let Some(before) = before {
                        visit.left.push((before, me));
                    }
                    visit.begun.push(me);
                    self.catch_up(me, origin, incoming.index, highest_before, now, out);
                    return &packets[at + 1..];
                }
                Ok(Forwarded::NotNow) => visit.key_frame_wanted |= half.waits_for_key_frame(feed),
                Err(_) => self.counters.refused += 1,
            }
        }
        &[]
    }

    /// A picture began with a packet that was late: those that came before it belong behind it.
    fn catch_up(
        &mut self,
        me: Subscriber,
        origin: Origin,
        begun_at: u64,
        highest_before: Option<u64>,
        now: Micros,
        out: &mut Output,
    ) {
        let Some(highest) = highest_before.filter(|&highest| highest > begun_at) else { return };
        let feed = origin.feed;
        let source = &self.sources[origin.source];
        let layer = &source.layers[usize::from(feed.layer)];
        let peer = &mut self.peers[me.peer];
        let (Some(srtp), Some(path)) = (peer.srtp.as_mut(), peer.ice.path()) else { return };
        let mut structure = layer.structure.clone();
        for packet in layer.cache.range(begun_at + 1..highest + 1, now) {
            let dependency = (!packet.dependency.is_empty()).then_some(&packet.dependency[..]);
            let Ok(understood) =
                Understood::of(source.spec.codec, &packet.payload, dependency, &mut structure)
            else {
                continue;
            };
            let incoming = Incoming {
                packet: &packet.payload,
                payload: 0..packet.payload.len(),
                marker: packet.marker,
                is_newest: packet.index == highest,
                index: packet.index,
                timestamp: packet.timestamp,
                captured: packet.captured,
                level: None,
                codec: source.spec.codec,
                understood,
                dependency,
            };
            match peer.halves[me.half].forward(feed, &incoming, &mut srtp.outbound, path, out, now) {
                Ok(Forwarded::NotNow) => {}
                Ok(_) => self.counters.forwarded += 1,
                Err(_) => self.counters.refused += 1,
            }
        }
    }
}
