//! Loss repair on both sides: asking publishers for what is missing, answering receivers that miss something.

use super::Shard;
use crate::output::Output;
use crate::repair::echo::Echo;
use crate::repair::sent::Why;
use crate::time::Micros;
use crate::types::Media;
use crate::wire::rtcp;

/// How often the shard looks whether something must be asked for again, while anything is missing.
pub(super) const REPAIR_US: i64 = 5_000;
/// Packets that one of our compound packets asks for, so that it needs no fragments anywhere.
const MAX_ASKED_IN_ONE: usize = 250;
/// Packets that one compound packet may ask for; a browser asks for far fewer at a time.
const MAX_ASKED_AT_ONCE: usize = 512;

impl Shard {
    /// Ask the publisher for what is missing of its sources and due. False when nothing is missing any more.
    pub(super) fn ask_again(&mut self, key: usize, now: Micros, out: &mut Output) -> bool {
        let peer = &mut self.peers[key];
        let round_trip_us = peer.round_trip_us();
        let sender = peer.report_ssrc;
        let mut is_waiting = false;
        let mut ask = Vec::new();
        let mut questions: Vec<(u32, Vec<u16>)> = Vec::new();
        for &source in &peer.sources {
            let is_picture = self.sources[source].spec.media == Media::Video;
            for layer in &mut self.sources[source].layers {
                let Some(ssrc) = layer.ssrc else { continue };
                if let Some(count) = layer.tail.overdue(now).filter(|_| layer.missing.is_losing(now)) {
                    layer.missing.guess(count, now);
                }
                is_waiting |= layer.tail.is_open() && layer.missing.is_losing(now);
                if !layer.missing.is_waiting() {
                    continue;
                }
                let given_up = layer.missing.due(now, round_trip_us, &mut ask);
                if given_up > 0 && is_picture && !layer.subscribers.is_empty() {
                    peer.gate.want(ssrc);
                }
                if !ask.is_empty() {
                    questions.push((ssrc, std::mem::take(&mut ask)));
                }
                is_waiting |= layer.missing.is_waiting();
            }
        }
        for (ssrc, lost) in questions {
            // At worst each number is an entry of its own.
            for part in lost.chunks(MAX_ASKED_IN_ONE) {
                rtcp::write_receiver_report(&mut self.scratch, sender, &[]);
                rtcp::write_nack(&mut self.scratch, sender, ssrc, part);
                self.send_rtcp(key, out);
            }
        }
        is_waiting
    }

    /// A receiver misses packets of the half that sends `media`.
    pub(super) fn on_nack(
        &mut self,
        key: usize,
        media: u32,
        lost: rtcp::LostSequences<'_>,
        now: Micros,
        out: &mut Output,
    ) {
        let Some(half) = self.peers[key].half_of_ssrc(media) else { return };
        let is_line_bad = self.peers[key].halves[half].is_line_bad();
        for sequence in lost.take(MAX_ASKED_AT_ONCE) {
            self.peers[key].counters.nacked += 1;
            match self.resend(key, half, sequence, Why::Asked, now, out) {
                Some(true) => {
                    let peer = &mut self.peers[key];
                    peer.counters.resent += 1;
                    if is_line_bad {
                        peer.echoes.add(Echo { half, sequence }, now);
                    }
                }
                Some(false) => self.peers[key].counters.not_resent += 1,
                None => {}
            }
        }
        if self.peers[key].echoes.is_waiting() {
            self.look_after(key, now);
        }
    }

    /// See [`crate::slot::Half::resend`].
    #[allow(clippy::too_many_arguments, reason = "one call; a struct for it would only rename the arguments")]
    fn resend(
        &mut self,
        key: usize,
        half: usize,
        sequence: u16,
        why: Why,
        now: Micros,
        out: &mut Output,
    ) -> Option<bool> {
        let peer = &mut self.peers[key];
        let path = peer.ice.path()?;
        let srtp = peer.srtp.as_mut()?;
        peer.halves.get_mut(half)?.resend(
            sequence,
            why,
            |feed, index| {
                let source = &self.sources[*self.source_keys.get(&feed.source)?];
                let layer = source.layers.get(usize::from(feed.layer))?;
                layer.cache.get(index, now).map(|packet| (source.spec.codec, packet))
            },
            &mut peer.budget,
            &mut srtp.outbound,
            path,
            out,
            now,
        )
    }

    /// Send the echoes that are due; whether more wait.
    fn echo(&mut self, key: usize, now: Micros, out: &mut Output) -> bool {
        while let Some(Echo { half, sequence }) = self.peers[key].echoes.due(now) {
            if self.resend(key, half, sequence, Why::Echo, now, out) == Some(true) {
                self.peers[key].echoes.sent += 1;
            }
        }
        self.peers[key].echoes.is_waiting()
    }

    /// Look after all that is missing.
    pub(super) fn repair(&mut self, now: Micros, out: &mut Output) {
        let mut repairing = std::mem::take(&mut self.repairing);
        repairing.retain(|&key| {
            self.peers.contains(key) && (self.ask_again(key, now, out) | self.echo(key, now, out))
        });
        self.repairing = repairing;
        self.repair_at = now.plus(REPAIR_US);
    }

    /// Something of the peer is missing: ask now, and look again until it is there or given up.
    pub(super) fn begin_repair(&mut self, key: usize, now: Micros, out: &mut Output) {
        if self.ask_again(key, now, out) {
            self.look_after(key, now);
        }
    }

    /// Look at what is missing of the peer, and what is to be sent to it once more, until nothing is.
    pub(super) fn look_after(&mut self, key: usize, now: Micros) {
        if !self.repairing.contains(&key) {
            if self.repairing.is_empty() {
                self.repair_at = now.plus(REPAIR_US);
            }
            self.repairing.push(key);
        }
    }
}
