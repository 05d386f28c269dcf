//! The other end of a peer, for tests: checks connectivity, protects and unprotects with its own keys. It is driven
//! by hand, without sockets, through the shard's own interface.

#![allow(dead_code, reason = "each test file uses a part")]

pub mod far;
pub mod streams;

use luokkasilta_engine::command::{AddPeer, AddSlot, Command, LayerSpec, Payload, Publish, SetKeys};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::output::{Output, Path};
use luokkasilta_engine::shard::Shard;
use luokkasilta_engine::srtp::{Inbound, Outbound};
use luokkasilta_engine::time::{Micros, NtpEpoch};
use luokkasilta_engine::types::{Codec, Feed, Media};
use luokkasilta_engine::wire::demux::{self, Packet};
use luokkasilta_engine::wire::rtp::{self, Header, HeaderFields};
use luokkasilta_engine::wire::{rtcp, stun};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub const GCM: u16 = 7;
pub const MS: i64 = 1_000;
pub const MID_EXTENSION: u8 = 3;
pub const LEVEL_EXTENSION: u8 = 1;
pub const SEND_TIME_EXTENSION: u8 = 2;

/// A shard with its output and a clock that only the test moves.
pub struct Bench {
    pub shard: Shard,
    pub out: Output,
    pub now: Micros,
    pub events: Vec<Event>,
    /// Media is gathered until somebody looks at what was sent, as within a turn of a worker.
    pub gathers: bool,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            shard: Shard::new(0, NtpEpoch(3_900_000_000_000_000)),
            out: Output::default(),
            now: Micros(1_000_000),
            events: Vec::new(),
            gathers: false,
        }
    }
}

impl Bench {
    pub fn command(&mut self, command: Command) {
        self.shard.handle_command(command, self.now, &mut self.out);
    }

    pub fn advance(&mut self, us: i64) {
        self.now = self.now.plus(us);
        self.shard.handle_time(self.now, &mut self.out);
    }

    pub fn datagram(&mut self, data: &[u8], path: Path) {
        let mut data = data.to_vec();
        if self.gathers {
            self.shard.take_datagram(&mut data, path, self.now, &mut self.out);
        } else {
            self.shard.handle_datagram(&mut data, path, self.now, &mut self.out);
        }
    }

    /// What was sent since the last call, by destination.
    pub fn sent(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        self.shard.forward_taken(self.now, &mut self.out);
        let sent = self
            .out
            .datagrams
            .iter()
            .map(|datagram| (datagram.path.remote, self.out.octets(datagram).to_vec()))
            .collect();
        self.out.clear_datagrams();
        self.events.append(&mut self.out.events);
        sent
    }

    /// The events since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        self.events.append(&mut self.out.events);
        std::mem::take(&mut self.events)
    }

    pub fn stats(&mut self) -> serde_json::Value {
        self.command(Command::RequestStats(1));
        let mut found = None;
        let events = self.events();
        for event in events {
            match event {
                Event::Stats { json, .. } => found = Some(serde_json::from_str(&json).expect("JSON")),
                other => self.events.push(other),
            }
        }
        found.expect("an answer")
    }
}

/// The far end of one peer.
pub struct Remote {
    pub peer: u64,
    pub path: Path,
    pub ufrag: String,
    /// PRIORITY of its checks: tells its own candidates apart.
    pub priority: u32,
    pub key: aws_lc_rs::hmac::Key,
    pub outbound: Outbound,
    pub inbound: Inbound,
    transaction: u8,
}

/// What a remote received, decrypted.
#[derive(Default)]
pub struct Received {
    pub rtp: Vec<(Header, Vec<u8>)>,
    pub rtcp: Vec<Vec<u8>>,
    pub stun: Vec<Vec<u8>>,
    pub other: Vec<Vec<u8>>,
}

impl Remote {
    /// Add the peer to the shard, connect it and give it keys.
    pub fn join(bench: &mut Bench, peer: u64) -> Self {
        let mut remote = Self::add(bench, peer);
        remote.check(bench, true);
        remote.set_keys(bench);
        bench.sent();
        remote
    }

    /// Add the peer to the shard, no more.
    pub fn add(bench: &mut Bench, peer: u64) -> Self {
        let ufrag = format!("local{peer}");
        let pwd = format!("password-of-local-{peer}-0123");
        bench.command(Command::AddPeer(AddPeer {
            peer,
            local_ufrag: ufrag.clone(),
            local_pwd: pwd.clone(),
            remote_ufrag: "far".to_owned(),
            receive_bitrate: 2_500_000,
        }));
        let (theirs, ours) = (keys(peer, 1), keys(peer, 2));
        Self {
            peer,
            path: Path::udp(
                0,
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::from(([192, 0, 2, 1], 10_000 + peer as u16)),
            ),
            ufrag,
            priority: 1,
            key: stun::short_term_key(&pwd),
            outbound: Outbound::new(GCM, &theirs.0, &theirs.1).expect("keys"),
            inbound: Inbound::new(GCM, &ours.0, &ours.1).expect("keys"),
            transaction: 0,
        }
    }

    pub fn set_keys(&self, bench: &mut Bench) {
        let (theirs, ours) = (keys(self.peer, 1), keys(self.peer, 2));
        bench.command(Command::SetKeys(SetKeys {
            peer: self.peer,
            profile: GCM,
            receive_key: theirs.0,
            receive_salt: theirs.1,
            send_key: ours.0,
            send_salt: ours.1,
        }));
    }

    pub fn check(&mut self, bench: &mut Bench, nominate: bool) {
        let request = self.check_octets(nominate);
        bench.datagram(&request, self.path);
    }

    pub fn check_octets(&mut self, nominate: bool) -> Vec<u8> {
        self.transaction = self.transaction.wrapping_add(1);
        let username = format!("{}:far", self.ufrag);
        let mut request = Vec::new();
        let mut builder =
            stun::Builder::new(&mut request, stun::Class::Request, stun::BINDING, [self.transaction; 12])
                .username(username.as_bytes())
                .expect("not too long")
                .priority(self.priority)
                .ice_controlling(7);
        if nominate {
            builder = builder.use_candidate();
        }
        builder.finish(Some(&self.key));
        request
    }

    /// Protect and deliver an RTP packet.
    pub fn send_rtp(
        &mut self,
        bench: &mut Bench,
        fields: &HeaderFields,
        index: u64,
        payload: &[u8],
        level: Option<u8>,
        mid: Option<&str>,
    ) {
        let packet = self.protect(fields, index, payload, level, mid);
        bench.datagram(&packet, self.path);
    }

    pub fn protect(
        &mut self,
        fields: &HeaderFields,
        index: u64,
        payload: &[u8],
        level: Option<u8>,
        mid: Option<&str>,
    ) -> Vec<u8> {
        let mut packet = Vec::new();
        let level = level.map(|level| [level]);
        let mut extensions: Vec<(u8, &[u8])> = Vec::new();
        if let Some(level) = &level {
            extensions.push((LEVEL_EXTENSION, level));
        }
        if let Some(mid) = mid {
            extensions.push((MID_EXTENSION, mid.as_bytes()));
        }
        rtp::write_header(&mut packet, fields, &extensions).expect("extensions that fit");
        let header_len = packet.len();
        packet.extend_from_slice(payload);
        self.outbound.protect_rtp(&mut packet, 0, header_len, fields.ssrc, index).expect("a fresh index");
        packet
    }

    pub fn send_rtcp(&mut self, bench: &mut Bench, compound: &[u8]) {
        let mut packet = compound.to_vec();
        self.outbound.protect_rtcp(&mut packet, 0).expect("room in the counter");
        bench.datagram(&packet, self.path);
    }

    /// Ask for packets of the stream `ssrc` again (RFC 4585 section 6.2.1).
    pub fn ask(&mut self, bench: &mut Bench, ssrc: u32, lost: &[u16]) {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 1, &[]);
        rtcp::write_nack(&mut compound, 1, ssrc, lost);
        self.send_rtcp(bench, &compound);
    }

    /// Take from `sent` what is for this remote.
    pub fn receive(&mut self, sent: &[(SocketAddr, Vec<u8>)]) -> Received {
        let mut received = Received::default();
        for (to, data) in sent {
            if *to != self.path.remote {
                continue;
            }
            let mut data = data.clone();
            match demux::classify(&data) {
                Packet::Rtp => {
                    let header = Header::parse(&data).expect("a header");
                    let plain = self.inbound.unprotect_rtp(&header, &mut data).expect("authentic");
                    data.truncate(plain.len);
                    received.rtp.push((header, data));
                }
                Packet::Rtcp => {
                    let len = self.inbound.unprotect_rtcp(&mut data).expect("authentic");
                    data.truncate(len);
                    received.rtcp.push(data);
                }
                Packet::Stun => received.stun.push(data),
                _ => received.other.push(data),
            }
        }
        received
    }

    pub fn publish_picture(&self, bench: &mut Bench, source: u64, ssrc: Option<u32>) {
        self.publish_video(bench, source, ssrc, Codec::Vp8, None);
    }

    /// With NACK, and RTX on payload type 97 and the SSRC after.
    pub fn publish_repairable_picture(&self, bench: &mut Bench, source: u64, ssrc: u32) {
        self.publish_video(bench, source, Some(ssrc), Codec::Vp8, Some(ssrc + 1));
    }

    pub fn publish_video(
        &self,
        bench: &mut Bench,
        source: u64,
        ssrc: Option<u32>,
        codec: Codec,
        rtx_ssrc: Option<u32>,
    ) {
        bench.command(Command::Publish(Publish {
            peer: self.peer,
            source,
            media: Media::Video,
            codec,
            mid: "0".to_owned(),
            payload_type: 96,
            rtx_payload_type: rtx_ssrc.map(|_| 97),
            nack: rtx_ssrc.is_some(),
            clock_rate: 90_000,
            layers: vec![LayerSpec { rid: None, ssrc, rtx_ssrc }],
            mid_extension: Some(MID_EXTENSION),
            rid_extension: None,
            repaired_rid_extension: None,
            level_extension: None,
            dependency_extension: None,
            red_payload_type: None,
        }));
    }

    pub fn publish_voice(&self, bench: &mut Bench, source: u64, ssrc: Option<u32>) {
        self.publish_audio(bench, source, ssrc, false);
    }

    pub fn publish_audio(&self, bench: &mut Bench, source: u64, ssrc: Option<u32>, nack: bool) {
        bench.command(Command::Publish(Publish {
            peer: self.peer,
            source,
            media: Media::Audio,
            codec: Codec::Opus,
            mid: "1".to_owned(),
            payload_type: 111,
            rtx_payload_type: None,
            nack,
            clock_rate: 48_000,
            layers: vec![LayerSpec { rid: None, ssrc, rtx_ssrc: None }],
            mid_extension: Some(MID_EXTENSION),
            rid_extension: None,
            repaired_rid_extension: None,
            level_extension: Some(LEVEL_EXTENSION),
            dependency_extension: None,
            red_payload_type: None,
        }));
    }

    pub fn add_pair(&self, bench: &mut Bench, slot: u16) {
        self.add_pair_with(bench, slot, false, None);
    }

    /// A pair whose receiver asks again; retransmissions of its picture have payload type 121.
    pub fn add_repairable_pair(&self, bench: &mut Bench, slot: u16) {
        self.add_pair_with(bench, slot, true, None);
    }

    /// The same, with redundant audio (RFC 2198) on this payload type.
    pub fn add_repairable_pair_with_red(&self, bench: &mut Bench, slot: u16, red: Option<u8>) {
        self.add_pair_with(bench, slot, true, red);
    }

    fn add_pair_with(&self, bench: &mut Bench, slot: u16, nack: bool, red: Option<u8>) {
        for (media, codec, payload_type, clock_rate) in
            [(Media::Video, Codec::Vp8, 120, 90_000), (Media::Audio, Codec::Opus, 109, 48_000)]
        {
            let picture = media == Media::Video;
            let mut payloads = vec![Payload { codec, payload_type, rtx_payload_type: None }];
            if picture {
                payloads.push(Payload { codec: Codec::H264, payload_type: 122, rtx_payload_type: None });
            }
            if nack && picture {
                payloads[0].rtx_payload_type = Some(121);
                payloads[1].rtx_payload_type = Some(123);
            }
            bench.command(Command::AddSlot(AddSlot {
                peer: self.peer,
                slot,
                media,
                payloads,
                mid: format!("{slot}{}", media.name()),
                clock_rate,
                ssrc: slot_ssrc(slot, media),
                rtx_ssrc: (nack && picture).then(|| rtx_ssrc(slot)),
                nack,
                mid_extension: Some(MID_EXTENSION),
                level_extension: Some(LEVEL_EXTENSION),
                send_time_extension: Some(SEND_TIME_EXTENSION),
                dependency_extension: None,
                red_payload_type: red.filter(|_| !picture),
            }));
        }
    }

    pub fn route(&self, bench: &mut Bench, slot: u16, media: Media, source: Option<u64>) {
        let feed = source.map(|source| Feed { source, layer: 0 });
        bench.command(Command::Route { peer: self.peer, slot, media, feed });
    }
}

/// A binding request with a user name and a priority, to go on with.
pub fn request_from<'a>(out: &'a mut Vec<u8>, transaction: u8, username: &[u8]) -> stun::Builder<'a> {
    stun::Builder::new(out, stun::Class::Request, stun::BINDING, [transaction; 12])
        .username(username)
        .expect("not too long")
        .priority(1)
}

pub fn slot_ssrc(slot: u16, media: Media) -> u32 {
    1_000 + u32::from(slot) * 2 + u32::from(media == Media::Audio)
}

/// The SSRC of retransmissions of a slot's picture.
pub fn rtx_ssrc(slot: u16) -> u32 {
    5_000 + u32::from(slot)
}

fn keys(peer: u64, direction: u8) -> (Vec<u8>, Vec<u8>) {
    (vec![peer as u8 ^ (direction << 4); 16], vec![peer as u8 ^ direction; 12])
}

/// One VP8 packet with a 15-bit picture id and a TL0PICIDX (RFC 7741 section 4.2).
pub fn vp8(picture: u16, tl0: u8, key_frame: bool, starts: bool, body: &[u8]) -> Vec<u8> {
    let mut payload =
        vec![0x80 | if starts { 0x10 } else { 0 }, 0xc0, 0x80 | (picture >> 8) as u8, picture as u8, tl0];
    if starts {
        // Frame tag: bit 0 is the inverse key frame flag; a key frame has its start code and size.
        payload.push(u8::from(!key_frame));
        payload.extend_from_slice(&[0, 0]);
        if key_frame {
            payload.extend_from_slice(&[0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
        }
    }
    payload.extend_from_slice(body);
    payload
}

pub fn picture_fields(ssrc: u32, sequence: u16, timestamp: u32, marker: bool) -> HeaderFields {
    HeaderFields { marker, payload_type: 96, sequence, timestamp, ssrc }
}

pub fn voice_fields(ssrc: u32, sequence: u16, timestamp: u32) -> HeaderFields {
    HeaderFields { marker: false, payload_type: 111, sequence, timestamp, ssrc }
}

pub fn packets(compounds: &[Vec<u8>]) -> Vec<rtcp::Packet<'_>> {
    compounds
        .iter()
        .flat_map(|compound| rtcp::parse(compound))
        .map(|packet| packet.expect("well-formed"))
        .collect()
}
