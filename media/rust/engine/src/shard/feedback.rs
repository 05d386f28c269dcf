//! RTCP that peers send: reports on our slots, reports of their sources, requests for key frames. It ends here.

use super::Shard;
use crate::output::Output;
use crate::time::Micros;
use crate::wire::rtcp::{self, Packet};

impl Shard {
    pub(super) fn on_rtcp(&mut self, key: usize, compound: &[u8], now: Micros, out: &mut Output) {
        for packet in rtcp::parse(compound) {
            let Ok(packet) = packet else {
                self.peers[key].counters.unexpected += 1;
                break;
            };
            match packet {
                Packet::SenderReport { ssrc, ntp, rtp_timestamp, blocks, .. } => {
                    self.on_sender_report(key, ssrc, ntp, rtp_timestamp, now);
                    self.on_blocks(key, blocks, now);
                }
                Packet::ReceiverReport { blocks, .. } => self.on_blocks(key, blocks, now),
                Packet::PictureLossIndication { media, .. } => {
                    self.on_key_frame_request(key, media, now, out)
                }
                Packet::FullIntraRequest { entries, .. } => {
                    for (ssrc, number) in entries {
                        let peer = &mut self.peers[key];
                        let half = peer.half_of_ssrc(ssrc);
                        // The same command number is the same request, sent again for safety (RFC 5104 section 4.3.1.2).
                        if half.is_some_and(|half| peer.halves[half].is_new_request(number)) {
                            self.on_key_frame_request(key, ssrc, now, out);
                        }
                    }
                }
                Packet::Nack { media, lost, .. } => self.on_nack(key, media, lost, now, out),
                Packet::Remb { bitrate, .. } => self.peers[key].counters.remb = bitrate,
                // Descriptions and goodbyes tell nothing that signalling does not; transport feedback is not in
                // the answer, so a peer that sends it is left unheard.
                _ => {}
            }
        }
    }

    fn on_sender_report(&mut self, key: usize, ssrc: u32, ntp: u64, rtp_timestamp: u32, now: Micros) {
        let peer = &mut self.peers[key];
        let Some(stream) = peer.streams.get(&ssrc).filter(|stream| !stream.is_rtx) else { return };
        let layer = &mut self.sources[stream.source].layers[usize::from(stream.layer)];
        layer.stats.on_sender_report(ntp, now);
        let timestamp = layer.timestamps.peek(rtp_timestamp);
        layer.clock.on_report(&mut peer.clock, ntp, timestamp);
    }

    fn on_blocks(&mut self, key: usize, blocks: rtcp::ReportBlocks<'_>, now: Micros) {
        let ntp = (now.to_ntp(self.epoch) >> 16) as u32;
        let peer = &mut self.peers[key];
        for block in blocks {
            let Some(half) = peer.half_of_ssrc(block.ssrc) else { continue };
            peer.halves[half].on_report(&block);
            // RFC 3550 section 6.4.1, in 1/65536 s; a report that answers none of ours has no time in it.
            let round_trip = ntp.wrapping_sub(block.last_sr).wrapping_sub(block.delay_since_last_sr);
            if block.last_sr != 0 && round_trip < 2 << 16 {
                peer.measured((i64::from(round_trip) * Micros::SECOND) >> 16);
            }
        }
    }

    /// A receiver lost a picture. Idle slots ask too; they are not listened to.
    fn on_key_frame_request(&mut self, key: usize, ssrc: u32, now: Micros, out: &mut Output) {
        let peer = &mut self.peers[key];
        let Some(half) = peer.half_of_ssrc(ssrc) else { return };
        peer.halves[half].counters.key_frame_requests += 1;
        let Some(feed) = peer.halves[half].playing() else { return };
        let Some(&source) = self.source_keys.get(&feed.source) else { return };
        let source = &self.sources[source];
        if let Some(ssrc) = source.layers[usize::from(feed.layer)].ssrc {
            let publisher = source.owner;
            self.peers[publisher].gate.want(ssrc);
            self.send_key_frame_requests(publisher, now, out);
        }
    }
}
