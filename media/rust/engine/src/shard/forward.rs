//! The packet's way: an authenticated RTP packet to the halves that play its source.

use super::Shard;
use crate::event::Event;
use crate::output::Output;
use crate::peer::Stream;
use crate::repair::echo::Echo;
use crate::slot::{Forwarded, Incoming};
use crate::source::Subscriber;
use crate::time::Micros;
use crate::types::{Feed, Media};
use crate::understood::Understood;
use crate::wire::rtp::Header;
use crate::wire::rtx;
use std::ops::Range;

/// A packet of a layer on its way in.
struct Arrival {
    /// Extended sequence number in the layer's own stream.
    index: u64,
    /// Where the original payload lies in the packet.
    payload: Range<usize>,
    /// It came as a retransmission.
    is_repair: bool,
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
        let (Some(stream), Ok(payload)) = (self.find_stream(key, header, packet), header.payload(packet))
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
            Arrival { index, payload: payload.end - original.len()..payload.end, is_repair: true }
        } else {
            Arrival { index, payload, is_repair: false }
        };
        self.take_in(key, stream, header, packet, arrival, now, out);
    }

    /// A packet of a layer, which came by itself or as a retransmission.
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
        let Arrival { index, payload, is_repair } = arrival;
        let peer = &mut self.peers[key];
        let source = &mut self.sources[stream.source];
        let feed = Feed { source: source.id(), layer: stream.layer };
        let spec = &source.spec;
        let layer = &mut source.layers[usize::from(stream.layer)];
        if !layer.is_first(index) {
            return;
        }
        let timestamp = layer.timestamps.unwrap(header.timestamp);
        if !is_repair {
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
            // A voice comes again as it was, so it can't be told from one that was only late.
            let measures = is_repair || spec.rtx_payload_type.is_none();
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
        self.play(
            key,
            stream,
            feed,
            header,
            packet,
            Arrival { index, payload, is_repair },
            timestamp,
            now,
            out,
        );
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
        let Arrival { index, payload, .. } = arrival;
        let place = usize::from(stream.layer);
        let source = &mut self.sources[stream.source];
        if payload.is_empty() {
            let subscribers = std::mem::take(&mut source.layers[place].subscribers);
            for subscriber in &subscribers {
                self.peers[subscriber.peer].halves[subscriber.half].skip(feed, index);
            }
            self.sources[stream.source].layers[place].subscribers = subscribers;
            self.record_padding(stream, header, index, timestamp, now, out);
            return;
        }
        let octets = &packet[payload.clone()];
        let value_of = |id: Option<u8>| {
            id.and_then(|id| {
                header.extensions(packet).find(|(found, _)| *found == id).map(|(_, value)| value)
            })
        };
        let dependency = value_of(source.spec.dependency_extension);
        let structure = &mut source.layers[place].structure;
        let Ok(understood) = Understood::of(source.spec.codec, octets, dependency, structure) else {
            self.peers[key].counters.unexpected += 1;
            return;
        };
        let level = value_of(source.spec.level_extension).and_then(|value| value.first().copied());
        let is_picture = source.spec.media == Media::Video;
        let layer = &mut source.layers[place];
        let ssrc = layer.ssrc.unwrap_or(header.ssrc);
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
            index,
            timestamp,
            captured,
            level,
            codec: source.spec.codec,
            understood,
            dependency,
        };
        self.record_packet(stream, ssrc, &incoming, now, out);
        self.fan_out(key, stream.source, feed, ssrc, &incoming, now, out);
    }

    #[allow(clippy::too_many_arguments, reason = "one call; a struct for it would only rename the arguments")]
    fn fan_out(
        &mut self,
        publisher: usize,
        source_key: usize,
        feed: Feed,
        ssrc: u32,
        incoming: &Incoming<'_>,
        now: Micros,
        out: &mut Output,
    ) {
        let place = usize::from(feed.layer);
        // Lent for the loop: halves belong to other peers, and none of them touches this list.
        let mut subscribers = std::mem::take(&mut self.sources[source_key].layers[place].subscribers);
        let mut left: Vec<(Feed, Subscriber)> = Vec::new();
        let mut begun: Vec<Subscriber> = Vec::new();
        let mut late: Vec<usize> = Vec::new();
        let mut key_frame_wanted = false;
        subscribers.retain(|&me| {
            let peer = &mut self.peers[me.peer];
            let half = &mut peer.halves[me.half];
            let (Some(srtp), Some(path)) = (peer.srtp.as_mut(), peer.ice.path()) else { return true };
            let before = half.playing();
            match half.forward(feed, incoming, &mut srtp.outbound, path, out, now) {
                Ok(Forwarded::Sent) => {
                    self.counters.forwarded += 1;
                    peer.budget.earn(incoming.payload.len());
                }
                Ok(Forwarded::Late(sequence)) => {
                    self.counters.forwarded += 1;
                    peer.budget.earn(incoming.payload.len());
                    peer.echoes.add(Echo { half: me.half, sequence }, now);
                    late.push(me.peer);
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
                        left.push((before, me));
                    }
                    begun.push(me);
                }
                Ok(Forwarded::NotNow) => key_frame_wanted |= half.waits_for_key_frame(feed),
                Err(_) => self.counters.refused += 1,
            }
            half.wanted() == Some(feed) || half.playing() == Some(feed)
        });
        self.sources[source_key].layers[place].subscribers = subscribers;
        for (feed, me) in left {
            self.unsubscribe(feed, me);
        }
        for me in begun {
            self.catch_up(me, source_key, feed, incoming.index, now, out);
        }
        for key in late {
            self.look_after(key, now);
        }
        if key_frame_wanted {
            self.peers[publisher].gate.want(ssrc);
        }
        self.send_switch_reports(source_key, place, now, out);
    }

    /// A picture began with a packet that was late: those that came before it belong behind it.
    fn catch_up(
        &mut self,
        me: Subscriber,
        source_key: usize,
        feed: Feed,
        begun_at: u64,
        now: Micros,
        out: &mut Output,
    ) {
        let source = &self.sources[source_key];
        let layer = &source.layers[usize::from(feed.layer)];
        let Some(highest) = layer.highest().filter(|&highest| highest > begun_at) else { return };
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

    /// A sender report goes out at once after a switch, so that the receiver can put picture and voice together.
    fn send_switch_reports(&mut self, source_key: usize, place: usize, now: Micros, out: &mut Output) {
        for at in 0..self.sources[source_key].layers[place].subscribers.len() {
            let me = self.sources[source_key].layers[place].subscribers[at];
            if self.peers[me.peer].halves[me.half].report_now {
                self.send_sender_reports(me.peer, now, true, out);
            }
        }
    }
}
