//! One peer: its transport, its halves of slots, and the names of its sources. All of it belongs to one shard.

use crate::capture::PublisherClock;
use crate::command::{AddPeer, CommandError, SetKeys};
use crate::ice::IceLite;
use crate::keyframes::KeyFrameGate;
use crate::repair::budget::Budget;
use crate::repair::echo::Echoes;
use crate::slot::Half;
use crate::srtp::{Inbound, Outbound};
use crate::time::Micros;
use crate::types::{LayerIndex, Media, PeerId, SlotIndex};
use std::collections::{HashMap, HashSet};

/// Consent expires after 30 s without an authenticated packet, RFC 7675 section 5.1.
pub const CONSENT_US: i64 = 30 * Micros::SECOND;
/// A peer of which nothing came for this long is quiet: browsers repeat their consent checks every 6 s at most.
const QUIET_US: i64 = 7 * Micros::SECOND;
/// One that sent media until it fell quiet is missed sooner.
const QUIET_SENDER_US: i64 = 3 * Micros::SECOND;
/// A round trip that was not measured yet, and the bounds of one that was.
const ROUND_TRIP_US: i64 = 100_000;
const MIN_ROUND_TRIP_US: i64 = 5_000;
const MAX_ROUND_TRIP_US: i64 = 500_000;

/// What an SSRC of the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The source's key in the shard.
    pub source: usize,
    /// Its layer.
    pub layer: LayerIndex,
    /// Retransmissions of it (RFC 4588).
    pub is_rtx: bool,
}

/// Counters of a peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerCounters {
    /// Protected packets that failed authentication.
    pub unauthenticated: u64,
    /// Packets that came twice or too late for the replay window.
    pub replayed: u64,
    /// Authenticated packets that are not well-formed, or for no source of the peer.
    pub unexpected: u64,
    /// Checks refused.
    pub checks_refused: u64,
    /// Packets that it asked for again.
    pub nacked: u64,
    /// Packets that were sent to it again.
    pub resent: u64,
    /// Packets that its budget did not give.
    pub not_resent: u64,
    /// The receiver's own estimate (REMB), bit/s.
    pub remb: u64,
}

/// Both directions of SRTP.
pub struct SrtpPair {
    /// What the peer sends.
    pub inbound: Inbound,
    /// What we send.
    pub outbound: Outbound,
}

/// See the module.
pub struct Peer {
    /// Its name.
    pub id: PeerId,
    /// Its agent.
    pub ice: IceLite,
    /// Its keys, once DTLS is through.
    pub srtp: Option<SrtpPair>,
    /// Its halves, in the order in which they were added; never removed, so that places stay valid.
    pub halves: Vec<Half>,
    /// The keys of its sources in the shard.
    pub sources: Vec<usize>,
    /// From SSRC to what it is.
    pub streams: HashMap<u32, Stream>,
    /// What may be sent to it again.
    pub budget: Budget,
    /// What is to be sent to it once more.
    pub echoes: Echoes,
    /// Its clock.
    pub clock: PublisherClock,
    /// Its key frame requests.
    pub gate: KeyFrameGate,
    /// What REMB tells it.
    pub receive_bitrate: u64,
    /// Our SSRC in reports to it, where we send nothing.
    pub report_ssrc: u32,
    /// A receiver report should go out at once.
    pub receiver_report_now: bool,
    /// When the next round of reports is due.
    pub reports_at: Micros,
    /// The last authenticated packet.
    pub heard_at: Micros,
    /// The last RTP packet.
    pub media_at: Option<Micros>,
    /// The caller was told that it is quiet.
    pub quiet: bool,
    /// The caller was told of its silence.
    pub silent: bool,
    round_trip_us: Option<i64>,
    /// Counters.
    pub counters: PeerCounters,
    half_by_ssrc: HashMap<u32, usize>,
    ssrcs_used: HashSet<u32>,
}

impl Peer {
    /// A peer without keys, sources and slots.
    #[must_use]
    pub fn new(spec: &AddPeer, report_ssrc: u32, now: Micros) -> Self {
        Self {
            id: spec.peer,
            ice: IceLite::new(&spec.local_ufrag, &spec.local_pwd, &spec.remote_ufrag),
            srtp: None,
            halves: Vec::new(),
            sources: Vec::new(),
            streams: HashMap::new(),
            budget: Budget::new(now),
            echoes: Echoes::default(),
            clock: PublisherClock::default(),
            gate: KeyFrameGate::default(),
            receive_bitrate: spec.receive_bitrate,
            report_ssrc,
            receiver_report_now: false,
            reports_at: now,
            heard_at: now,
            media_at: None,
            quiet: false,
            silent: false,
            round_trip_us: None,
            counters: PeerCounters::default(),
            half_by_ssrc: HashMap::new(),
            ssrcs_used: HashSet::from([report_ssrc]),
        }
    }

    /// Keys are taken once: a second set with the same keys would begin the SRTP indices anew.
    pub fn set_keys(&mut self, keys: &SetKeys) -> Result<(), CommandError> {
        if self.srtp.is_some() {
            return Err(CommandError::KeysAlreadySet);
        }
        let inbound = Inbound::new(keys.profile, &keys.receive_key, &keys.receive_salt);
        let outbound = Outbound::new(keys.profile, &keys.send_key, &keys.send_salt);
        let (Ok(inbound), Ok(outbound)) = (inbound, outbound) else {
            return Err(CommandError::BadKeys);
        };
        self.srtp = Some(SrtpPair { inbound, outbound });
        Ok(())
    }

    /// Add a half; its SSRC must never have been used towards this peer.
    pub fn add_half(&mut self, half: Half) -> Result<(), CommandError> {
        if self.half_at(half.spec.slot, half.spec.media).is_some() {
            return Err(CommandError::Duplicate);
        }
        let ssrcs: Vec<u32> = std::iter::once(half.spec.ssrc).chain(half.spec.rtx_ssrc).collect();
        if half.spec.rtx_ssrc == Some(half.spec.ssrc)
            || ssrcs.iter().any(|ssrc| self.ssrcs_used.contains(ssrc))
        {
            return Err(CommandError::SsrcUsed);
        }
        self.ssrcs_used.extend(ssrcs);
        self.half_by_ssrc.insert(half.spec.ssrc, self.halves.len());
        self.halves.push(half);
        Ok(())
    }

    /// The place of a half.
    #[must_use]
    pub fn half_at(&self, slot: SlotIndex, media: Media) -> Option<usize> {
        self.halves.iter().position(|half| half.spec.slot == slot && half.spec.media == media)
    }

    /// The place of the half that sends `ssrc`.
    #[must_use]
    pub fn half_of_ssrc(&self, ssrc: u32) -> Option<usize> {
        self.half_by_ssrc.get(&ssrc).copied()
    }

    /// Something authenticated came.
    pub fn heard(&mut self, now: Micros) {
        self.heard_at = now;
        self.silent = false;
    }

    /// Whether nothing has come for so long that the others should know.
    #[must_use]
    pub fn is_quiet(&self, now: Micros) -> bool {
        let was_sending = self.media_at.is_some_and(|at| self.heard_at.since(at) < Micros::SECOND);
        now.since(self.heard_at) > if was_sending { QUIET_SENDER_US } else { QUIET_US }
    }

    /// To the peer and back, as measured, or a guess.
    #[must_use]
    pub fn round_trip_us(&self) -> i64 {
        self.round_trip_us.unwrap_or(ROUND_TRIP_US)
    }

    /// A round trip was measured: smoothed as RFC 6298 does.
    pub fn measured(&mut self, round_trip_us: i64) {
        let sample = round_trip_us.clamp(MIN_ROUND_TRIP_US, MAX_ROUND_TRIP_US);
        self.round_trip_us = Some(self.round_trip_us.map_or(sample, |smooth| (smooth * 7 + sample) / 8));
    }
}
