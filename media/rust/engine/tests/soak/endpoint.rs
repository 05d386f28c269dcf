//! One endpoint behind its line: checks, what it publishes, what it hears, and the RTCP of both.

use super::common::*;
use super::line::{Line, Random};
use super::publisher::{OwnClock, Stream};
use super::receiver::Hearing;
use luokkasilta_engine::srtp::SrtpError;
use luokkasilta_engine::time::Micros;
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::demux::{self, Packet as Kind};
use luokkasilta_engine::wire::rtcp::{self, Packet, ReportBlock};
use luokkasilta_engine::wire::rtp::Header;
use luokkasilta_engine::wire::stun::{Class, Message};
use std::collections::BTreeMap;

pub const SLOTS: u16 = 3;
/// As browsers do.
const CHECK_US: i64 = 2_500_000;
const REPORT_US: i64 = Micros::SECOND;
const ROUND_TRIP_US: i64 = 50_000;

pub struct Endpoint {
    pub remote: Remote,
    pub streams: Vec<Stream>,
    /// By SSRC.
    pub halves: BTreeMap<u32, Hearing>,
    pub up: Line,
    pub down: Line,
    pub check_at: Micros,
    pub answered: u64,
    pub repeated: u64,
    pub replayed_voices: u64,
    report_at: Micros,
    random: Random,
    clock: OwnClock,
}

impl Endpoint {
    pub fn new(remote: Remote, now: Micros) -> Self {
        let peer = remote.peer;
        let mut halves = BTreeMap::new();
        for slot in 0..SLOTS {
            for media in [Media::Video, Media::Audio] {
                halves.insert(slot_ssrc(slot, media), Hearing::new(media));
            }
        }
        Self {
            remote,
            streams: Vec::new(),
            halves,
            up: Line::new(2 * peer),
            down: Line::new(2 * peer + 1),
            check_at: now,
            answered: 0,
            repeated: 0,
            replayed_voices: 0,
            report_at: now,
            random: Random(peer << 32),
            // From 120 parts of a million slow to as much fast.
            clock: OwnClock { zero: now, fast_ppm: (peer as i64 * 61) % 241 - 120 },
        }
    }

    pub fn clock(&self) -> OwnClock {
        self.clock
    }

    /// What it sends now.
    pub fn turn(&mut self, now: Micros, out: &mut Vec<Vec<u8>>) {
        for stream in &mut self.streams {
            stream.turn(now, &mut self.remote, &mut self.random, out);
        }
        self.ask(now, out);
        if now >= self.check_at {
            self.check_at = now.plus(CHECK_US);
            out.push(self.remote.check_octets(true));
        }
        if now >= self.report_at {
            self.report_at = now.plus(REPORT_US);
            self.report(now, out);
        }
    }

    /// For what is missing, and for a picture that can't go on without a key frame.
    fn ask(&mut self, now: Micros, out: &mut Vec<Vec<u8>>) {
        let mut compound = Vec::new();
        for (&ssrc, half) in &mut self.halves {
            let mut lost = Vec::new();
            if half.missing.is_waiting() && half.missing.due(now, ROUND_TRIP_US, &mut lost) > 0 {
                half.key_frame_wanted |= half.media == Media::Video;
            }
            if !lost.is_empty() {
                rtcp::write_nack(&mut compound, 1, ssrc, &lost);
            }
            if std::mem::take(&mut half.key_frame_wanted) {
                rtcp::write_pli(&mut compound, 1, ssrc);
            }
        }
        if !compound.is_empty() {
            self.protect(compound, out);
        }
    }

    fn report(&mut self, now: Micros, out: &mut Vec<Vec<u8>>) {
        let mut compound = Vec::new();
        for stream in &self.streams {
            stream.report(&mut compound, now);
        }
        let blocks: Vec<ReportBlock> = self
            .halves
            .iter()
            .filter(|(_, half)| half.packets > 0)
            .map(|(&ssrc, half)| {
                let (last_sr, at) = half.last_report.unwrap_or((0, now));
                ReportBlock {
                    ssrc,
                    fraction_lost: 2,
                    cumulative_lost: 0,
                    highest_sequence: half.highest as u32,
                    jitter: 90,
                    last_sr,
                    delay_since_last_sr: ((now.since(at) << 16) / Micros::SECOND) as u32,
                }
            })
            .collect();
        rtcp::write_receiver_report(&mut compound, 1, &blocks);
        self.protect(compound, out);
    }

    fn protect(&mut self, mut compound: Vec<u8>, out: &mut Vec<Vec<u8>>) {
        self.remote.outbound.protect_rtcp(&mut compound, 0).expect("room in the counter");
        out.push(compound);
    }

    /// A datagram of the server; `out` gets what it answers. Panics where it is not authentic.
    pub fn receive(&mut self, mut data: Vec<u8>, now: Micros, out: &mut Vec<Vec<u8>>) {
        match demux::classify(&data) {
            Kind::Stun => {
                let message = Message::parse(&data).expect("a message");
                assert_eq!(message.class(), Class::Success);
                assert!(message.verify_integrity(&self.remote.key));
                self.answered += 1;
            }
            Kind::Rtcp => {
                let len = self.remote.inbound.unprotect_rtcp(&mut data).expect("authentic");
                self.on_rtcp(&data[..len], now, out);
            }
            Kind::Rtp => {
                let header = Header::parse(&data).expect("a header");
                match self.remote.inbound.unprotect_rtp(&header, &mut data) {
                    Ok(plain) => self.on_rtp(&header, &data[..plain.len], plain.index, now),
                    // The very octets that came before: a voice's, asked for while they were under way.
                    Err(SrtpError::Replayed) => {
                        assert_eq!(header.payload_type, 109, "an index was used twice");
                        self.replayed_voices += 1;
                    }
                    Err(error) => panic!("not authentic: {error}"),
                }
            }
            other => panic!("the server sent {other:?}"),
        }
    }

    fn on_rtp(&mut self, header: &Header, packet: &[u8], index: u64, now: Micros) {
        let payload = &packet[header.payload(packet).expect("a payload")];
        if header.payload_type == 121 {
            let slot = (header.ssrc - rtx_ssrc(0)) as u16;
            let half = self.halves.get_mut(&slot_ssrc(slot, Media::Video)).expect("a slot of ours");
            let (sequence, original) = payload.split_at(2);
            let index = half.index_of(u16::from_be_bytes([sequence[0], sequence[1]]));
            half.on_packet(index, header.timestamp, original, true, now);
            return;
        }
        let half = self.halves.get_mut(&header.ssrc).expect("a slot of ours");
        let payload_type = if half.media == Media::Video { 120 } else { 109 };
        assert_eq!(header.payload_type, payload_type);
        half.on_packet(index, header.timestamp, payload, false, now);
    }

    fn on_rtcp(&mut self, compound: &[u8], now: Micros, out: &mut Vec<Vec<u8>>) {
        for packet in rtcp::parse(compound) {
            match packet.expect("well-formed") {
                Packet::SenderReport { ssrc, ntp, .. } => {
                    let half = self.halves.get_mut(&ssrc).expect("a slot of ours");
                    half.last_report = Some(((ntp >> 16) as u32, now));
                    half.reports += 1;
                }
                Packet::PictureLossIndication { media, .. } => {
                    let stream = self.streams.iter_mut().find(|stream| stream.ssrc == media);
                    // Of a source that ended while the question was under way there is none.
                    stream.into_iter().for_each(Stream::want_key_frame);
                }
                Packet::Nack { media, lost, .. } => {
                    let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == media) else {
                        continue;
                    };
                    for sequence in lost {
                        self.repeated += 1;
                        stream.send_again(sequence, &mut self.remote, out);
                    }
                }
                _ => {}
            }
        }
    }
}
