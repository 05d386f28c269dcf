//! What a shard does by the clock: reports in both directions, key frame requests, silence noticed.

use super::{CNAME, Shard};
use crate::event::Event;
use crate::output::Output;
use crate::peer::CONSENT_US;
use crate::time::Micros;
use crate::types::LayerIndex;
use crate::wire::rtcp::{self, ReportBlock};

/// How often the shard looks at the time.
pub const TICK_US: i64 = 50_000;
/// Reports go out each second in both directions: REMB must not time out, and lip sync leans on them.
const REPORT_US: i64 = Micros::SECOND;
/// A layer of which nothing came for this long is idle.
const IDLE_US: i64 = 2 * Micros::SECOND;
/// A compound packet stays below this, so that it needs no fragments anywhere.
const MAX_COMPOUND: usize = 1_100;
/// Report blocks in one receiver report, RFC 3550 section 6.4.2.
const MAX_BLOCKS: usize = 31;

impl Shard {
    /// When [`Self::handle_time`] wants to be called.
    #[must_use]
    pub fn next_time(&self) -> Micros {
        if self.repairing.is_empty() { self.tick_at } else { self.tick_at.min(self.repair_at) }
    }

    /// Do what is due.
    pub fn handle_time(&mut self, now: Micros, out: &mut Output) {
        self.forward_taken(now, out);
        if !self.repairing.is_empty() && now >= self.repair_at {
            self.repair(now, out);
        }
        if now < self.tick_at {
            return;
        }
        self.tick_at = now.plus(TICK_US);
        for at in 0..self.peers.capacity() {
            if self.peers.contains(at) {
                self.tick_peer(at, now, out);
            }
        }
    }

    fn tick_peer(&mut self, key: usize, now: Micros, out: &mut Output) {
        let peer = &mut self.peers[key];
        let quiet = peer.is_quiet(now);
        if quiet != peer.quiet {
            peer.quiet = quiet;
            out.events.push(Event::PeerQuiet { peer: peer.id, quiet });
        }
        if !peer.silent && now.since(peer.heard_at) > CONSENT_US {
            peer.silent = true;
            out.events.push(Event::PeerSilent { peer: peer.id });
        }
        self.notice_idle(key, now, out);
        self.tell_levels(key, now, out);
        self.send_key_frame_requests(key, now, out);
        let peer = &mut self.peers[key];
        let all = now.since(peer.reports_at) >= 0;
        if all {
            peer.reports_at = now.plus(REPORT_US);
        }
        if all || peer.receiver_report_now {
            self.send_receiver_report(key, now, out);
        }
        if all {
            self.send_sender_reports(key, now, false, out);
        }
    }

    fn notice_idle(&mut self, key: usize, now: Micros, out: &mut Output) {
        let peer = &self.peers[key];
        for &source_key in &peer.sources {
            let source = &mut self.sources[source_key];
            let id = source.id();
            for (at, layer) in (0 as LayerIndex..).zip(source.layers.iter_mut()) {
                if layer.live && layer.heard_at.is_some_and(|heard| now.since(heard) > IDLE_US) {
                    layer.live = false;
                    layer.cache.clear();
                    out.events.push(Event::SourceIdle { peer: peer.id, source: id, layer: at });
                }
            }
        }
    }

    fn tell_levels(&mut self, key: usize, now: Micros, out: &mut Output) {
        let peer = &self.peers[key];
        for &source_key in &peer.sources {
            let source = &mut self.sources[source_key];
            if let Some(level) = source.loudness.news(now) {
                out.events.push(Event::SourceLevel { peer: peer.id, source: source.id(), level });
            }
        }
    }

    /// Ask the publisher for the key frames that somebody waits for, if it is time (RFC 4585 section 6.3.1).
    pub(super) fn send_key_frame_requests(&mut self, key: usize, now: Micros, out: &mut Output) {
        let peer = &mut self.peers[key];
        let sender = peer.report_ssrc;
        let Some(wanted) = peer.gate.due(now) else { return };
        rtcp::write_receiver_report(&mut self.scratch, sender, &[]);
        for &ssrc in wanted {
            rtcp::write_pli(&mut self.scratch, sender, ssrc);
        }
        self.send_rtcp(key, out);
    }

    /// Tell the publisher what came, and what it may send (REMB).
    pub(super) fn send_receiver_report(&mut self, key: usize, now: Micros, out: &mut Output) {
        let peer = &mut self.peers[key];
        peer.receiver_report_now = false;
        let mut blocks: Vec<ReportBlock> = Vec::new();
        for &source_key in &peer.sources {
            for layer in &mut self.sources[source_key].layers {
                if blocks.len() == MAX_BLOCKS {
                    break;
                }
                if let (Some(ssrc), Some(reception)) = (layer.ssrc, layer.stats.report(now)) {
                    blocks.push(ReportBlock {
                        ssrc,
                        fraction_lost: reception.fraction_lost,
                        cumulative_lost: reception.cumulative_lost,
                        highest_sequence: reception.highest_sequence,
                        jitter: reception.jitter,
                        last_sr: reception.last_sr,
                        delay_since_last_sr: reception.delay_since_last_sr,
                    });
                }
            }
        }
        if blocks.is_empty() {
            return;
        }
        let peer = &self.peers[key];
        let ssrcs: Vec<u32> = blocks.iter().map(|block| block.ssrc).collect();
        rtcp::write_receiver_report(&mut self.scratch, peer.report_ssrc, &blocks);
        rtcp::write_cname(&mut self.scratch, peer.report_ssrc, CNAME);
        rtcp::write_remb(&mut self.scratch, peer.report_ssrc, peer.receive_bitrate, &ssrcs);
        self.send_rtcp(key, out);
    }

    /// Sender reports of the peer's slots: all that ever played, or only those that ask for one now.
    pub(super) fn send_sender_reports(&mut self, key: usize, now: Micros, only_due: bool, out: &mut Output) {
        for half in 0..self.peers[key].halves.len() {
            let half = &mut self.peers[key].halves[half];
            let due = if only_due { half.report_now } else { half.playing().is_some() };
            if !due {
                continue;
            }
            let ssrc = half.spec.ssrc;
            if half.write_report(&mut self.scratch, now, self.epoch) {
                rtcp::write_cname(&mut self.scratch, ssrc, CNAME);
            }
            if self.scratch.len() > MAX_COMPOUND {
                self.send_rtcp(key, out);
            }
        }
        self.send_rtcp(key, out);
    }
}
