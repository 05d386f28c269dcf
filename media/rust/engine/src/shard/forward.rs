//! The packet's way: an authenticated RTP packet to the halves that play its source.

use super::Shard;
use crate::event::Event;
use crate::output::Output;
use crate::slot::{Forwarded, Incoming};
use crate::source::Subscriber;
use crate::time::Micros;
use crate::types::{Codec, Feed, LayerIndex};
use crate::wire::rtp::Header;
use crate::wire::vp8::Descriptor;

impl Shard {
    pub(super) fn on_rtp(
        &mut self,
        key: usize,
        header: &Header,
        packet: &[u8],
        index: u64,
        now: Micros,
        out: &mut Output,
    ) {
        let (Some((source_key, layer_index)), Ok(payload)) =
            (self.find_stream(key, header, packet), header.payload(packet))
        else {
            self.peers[key].counters.unexpected += 1;
            return;
        };
        let peer = &mut self.peers[key];
        let source = &mut self.sources[source_key];
        let feed = Feed { source: source.id(), layer: layer_index };
        let rate = source.spec.clock_rate;
        let codec = source.spec.codec;
        let level_extension = source.spec.level_extension;
        let layer = &mut source.layers[usize::from(layer_index)];

        let timestamp = layer.timestamps.unwrap(header.timestamp);
        layer.stats.on_packet(index, timestamp, rate, payload.len(), now);
        layer.clock.on_packet(&mut peer.clock, timestamp, now);
        layer.heard_at = Some(now);
        if !layer.live {
            layer.live = true;
            peer.receiver_report_now = true;
            out.events.push(Event::SourceLive { peer: peer.id, source: feed.source, layer: feed.layer });
        }
        if payload.is_empty() {
            let subscribers = std::mem::take(&mut layer.subscribers);
            for subscriber in &subscribers {
                self.peers[subscriber.peer].halves[subscriber.half].skip(feed, index);
            }
            self.sources[source_key].layers[usize::from(layer_index)].subscribers = subscribers;
            self.record_padding(source_key, layer_index, header, index, timestamp, now, out);
            return;
        }
        let vp8 = match codec {
            Codec::Opus | Codec::H264 => None,
            Codec::Vp8 => match Descriptor::parse(&packet[payload.clone()]) {
                Ok(descriptor) => Some(descriptor),
                Err(_) => {
                    peer.counters.unexpected += 1;
                    return;
                }
            },
        };
        let begins_key_frame =
            vp8.as_ref().is_some_and(|descriptor| descriptor.is_key_frame(&packet[payload.clone()]));
        if begins_key_frame {
            peer.gate.arrived(header.ssrc);
        }
        let level = level_extension.and_then(|id| {
            header
                .extensions(packet)
                .find(|(found, value)| *found == id && !value.is_empty())
                .map(|(_, value)| value[0])
        });
        let captured = layer.clock.capture_time(&peer.clock, timestamp, now);
        let incoming = Incoming {
            packet,
            payload,
            marker: header.marker,
            index,
            timestamp,
            captured,
            level,
            codec,
            vp8,
            begins_key_frame,
        };
        self.record_packet(source_key, layer_index, header.ssrc, &incoming, now, out);
        self.fan_out(key, source_key, feed, header.ssrc, &incoming, now, out);
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
        let mut key_frame_wanted = false;
        subscribers.retain(|&me| {
            let peer = &mut self.peers[me.peer];
            let half = &mut peer.halves[me.half];
            let (Some(srtp), Some(path)) = (peer.srtp.as_mut(), peer.ice.path()) else { return true };
            let before = half.playing();
            match half.forward(feed, incoming, &mut srtp.outbound, path, out, now) {
                Ok(Forwarded::Sent) => self.counters.forwarded += 1,
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
        if key_frame_wanted {
            self.peers[publisher].gate.want(ssrc);
        }
        self.send_switch_reports(source_key, place, now, out);
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

    /// Which layer a packet belongs to: by its SSRC, else by what its extensions say, which is then remembered
    /// (RFC 8843 section 9.2, RFC 8853). An SSRC that says nothing and was not announced is not accepted.
    fn find_stream(&mut self, key: usize, header: &Header, packet: &[u8]) -> Option<(usize, LayerIndex)> {
        if let Some(&(source, layer)) = self.peers[key].streams.get(&header.ssrc) {
            return (self.sources[source].spec.payload_type == header.payload_type)
                .then_some((source, layer));
        }
        let peer = &self.peers[key];
        let value_of = |id: Option<u8>| {
            id.and_then(|id| {
                header.extensions(packet).find(|(found, _)| *found == id).map(|(_, value)| value)
            })
        };
        let mut found = None;
        for &source_key in &peer.sources {
            let source = &self.sources[source_key];
            if source.spec.payload_type != header.payload_type
                || value_of(source.spec.mid_extension) != Some(source.spec.mid.as_bytes())
            {
                continue;
            }
            if let Some(layer) = source.layer_of_rid(value_of(source.spec.rid_extension)) {
                found = Some((source_key, layer));
                break;
            }
        }
        let (source_key, layer) = found?;
        self.bind_stream(key, source_key, layer, header.ssrc);
        Some((source_key, layer))
    }

    fn bind_stream(&mut self, key: usize, source_key: usize, layer: LayerIndex, ssrc: u32) {
        let source = &mut self.sources[source_key];
        let rate = source.spec.clock_rate;
        let feed = Feed { source: source.id(), layer };
        let state = &mut source.layers[usize::from(layer)];
        if let Some(before) = state.ssrc.replace(ssrc) {
            // The publisher began another RTP stream for this layer; halves that play it begin anew.
            state.restart(rate);
            if let Some(tap) = source.tap.as_mut() {
                tap.begin_again(layer);
            }
            for subscriber in state.subscribers.clone() {
                self.peers[subscriber.peer].halves[subscriber.half].begin_again(feed);
            }
            let peer = &mut self.peers[key];
            peer.streams.remove(&before);
            peer.gate.forget(before);
        }
        self.peers[key].streams.insert(ssrc, (source_key, layer));
    }
}
