//! Statistics of a shard, its peers, sources and slots, in one JSON object. No name of a person is in the engine,
//! so none is in here.

use super::Shard;
use crate::time::Micros;
use crate::types::{Feed, Media};
use serde::Serialize;

/// Counters of a shard.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ShardCounters {
    /// Datagrams received.
    pub datagrams: u64,
    /// Of no protocol that RFC 7983 knows.
    pub unknown: u64,
    /// From an address, or with a user name, that is no peer's.
    pub unmatched: u64,
    /// Not well-formed, before authentication.
    pub malformed: u64,
    /// Media before the keys.
    pub early: u64,
    /// RTP packets sent to receivers.
    pub forwarded: u64,
    /// RTP packets that the nonce guard refused: must stay 0.
    pub refused: u64,
    /// RTCP packets sent.
    pub rtcp_sent: u64,
}

#[derive(Serialize)]
struct ShardStats {
    counters: ShardCounters,
    peers: Vec<PeerStats>,
}

#[derive(Serialize)]
struct PeerStats {
    peer: u64,
    remote: Option<String>,
    /// `udp` or `tcp`.
    transport: Option<&'static str>,
    silent_ms: i64,
    unauthenticated: u64,
    replayed: u64,
    unexpected: u64,
    checks_refused: u64,
    round_trip_ms: i64,
    nacked: u64,
    resent: u64,
    not_resent: u64,
    /// Packets that were sent to it once more, unasked.
    echoed: u64,
    /// Packets that were not, because too many waited.
    not_echoed: u64,
    key_frames_wanted: u64,
    key_frame_requests_sent: u64,
    remb: u64,
    sources: Vec<SourceStats>,
    slots: Vec<HalfStats>,
}

#[derive(Serialize)]
struct SourceStats {
    source: u64,
    layer: usize,
    ssrc: Option<u32>,
    live: bool,
    packets: u64,
    octets: u64,
    lost: i64,
    asked_again: u64,
    repaired: u64,
    given_up: u64,
    /// Frames that came along with a later one (RFC 2198) and by no other way.
    recovered: u64,
    subscribers: usize,
}

#[derive(Serialize)]
struct HalfStats {
    slot: u16,
    media: Media,
    ssrc: u32,
    wanted: Option<u64>,
    playing: Option<u64>,
    packets: u64,
    octets: u64,
    switches: u64,
    refused: u64,
    fraction_lost: u8,
    cumulative_lost: i32,
    key_frame_requests: u64,
    /// Packets of temporal levels that were not wanted.
    left_out: u64,
    /// Packets that carried earlier frames along.
    redundant: u64,
}

impl Shard {
    /// Counters of the shard.
    #[must_use]
    pub fn counters(&self) -> ShardCounters {
        self.counters
    }

    pub(super) fn stats_json(&self, now: Micros) -> String {
        let peers = self.peers.iter().map(|(key, _)| self.peer_stats(key, now)).collect();
        let stats = ShardStats { counters: self.counters, peers };
        serde_json::to_string(&stats).unwrap_or_else(|_| "{}".to_owned())
    }

    fn peer_stats(&self, key: usize, now: Micros) -> PeerStats {
        let peer = &self.peers[key];
        let mut sources = Vec::new();
        for &source in &peer.sources {
            let source = &self.sources[source];
            for (at, layer) in source.layers.iter().enumerate() {
                sources.push(SourceStats {
                    source: source.id(),
                    layer: at,
                    ssrc: layer.ssrc,
                    live: layer.live,
                    packets: layer.stats.received(),
                    octets: layer.stats.octets,
                    lost: layer.stats.lost(),
                    asked_again: layer.missing.asked,
                    repaired: layer.missing.repaired,
                    given_up: layer.missing.given_up,
                    recovered: layer.recovered,
                    subscribers: layer.subscribers.len(),
                });
            }
        }
        let name = |feed: Option<Feed>| feed.map(|feed| feed.source);
        let slots = peer
            .halves
            .iter()
            .map(|half| HalfStats {
                slot: half.spec.slot,
                media: half.spec.media,
                ssrc: half.spec.ssrc,
                wanted: name(half.wanted()),
                playing: name(half.playing()),
                packets: half.counters.packets,
                octets: half.counters.octets,
                switches: half.counters.switches,
                refused: half.counters.refused,
                fraction_lost: half.counters.fraction_lost,
                cumulative_lost: half.counters.cumulative_lost,
                key_frame_requests: half.counters.key_frame_requests,
                left_out: half.counters.left_out,
                redundant: half.counters.redundant,
            })
            .collect();
        PeerStats {
            peer: peer.id,
            remote: peer.ice.path().map(|path| path.remote.to_string()),
            transport: peer.ice.path().map(|path| path.transport()),
            silent_ms: now.since(peer.heard_at) / 1_000,
            unauthenticated: peer.counters.unauthenticated,
            replayed: peer.counters.replayed,
            unexpected: peer.counters.unexpected,
            checks_refused: peer.counters.checks_refused,
            round_trip_ms: peer.round_trip_us() / 1_000,
            nacked: peer.counters.nacked,
            resent: peer.counters.resent,
            not_resent: peer.counters.not_resent,
            echoed: peer.echoes.sent,
            not_echoed: peer.echoes.dropped,
            key_frames_wanted: peer.gate.wanted,
            key_frame_requests_sent: peer.gate.sent,
            remb: peer.counters.remb,
            sources,
            slots,
        }
    }
}
