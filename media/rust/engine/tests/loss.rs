//! A lesson over two bad lines, simulated: bursts of loss on both legs, 30 ms each way, publisher and receiver as
//! browsers behave (NACK at a gap and each round trip, RTX, the same octets again for a voice). Seeded, so that the
//! figures are the same on every machine.

mod common;

use common::*;
use luokkasilta_engine::repair::lost::Missing;
use luokkasilta_engine::time::Micros;
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::demux::{self, Packet as Kind};
use luokkasilta_engine::wire::rtcp::{self, Packet};
use luokkasilta_engine::wire::rtp::HeaderFields;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;

const LEG: i64 = 30 * MS;
const ROUND_TRIP: i64 = 2 * LEG;
const SSRC: u32 = 700;
const VOICE: u32 = 800;
const SECONDS: i64 = 60;

/// Gilbert-Elliott: 5 % lost on average, in bursts of 3.3 packets.
struct Line {
    state: u64,
    is_bad: bool,
}

impl Line {
    fn new(seed: u64) -> Self {
        Self { state: seed, is_bad: false }
    }

    fn random(&mut self) -> f64 {
        // SplitMix64: good enough to toss coins with.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn loses(&mut self) -> bool {
        let toss = self.random();
        self.is_bad = if self.is_bad { toss >= 0.3 } else { toss < 0.0158 };
        self.is_bad
    }
}

/// A packet as it left, and what it was made of.
type Published = (Vec<u8>, HeaderFields, Vec<u8>);

/// Under way: when it arrives, in which order it left, to whom.
type Flight = (i64, u64, bool, Vec<u8>);

struct World {
    bench: Bench,
    teacher: Remote,
    school: Remote,
    flights: BinaryHeap<Reverse<Flight>>,
    left: u64,
    up: Line,
    down: Line,
    up_back: Line,
    down_back: Line,
    /// The publisher's packets by SSRC and sequence number: protected, and for pictures plain.
    kept: HashMap<(u32, u16), Published>,
    next_rtx: u16,
    /// By media, when each arrived at the receiver.
    arrived: HashMap<(Media, u16), i64>,
    misses: HashMap<Media, Missing>,
    /// Protected packets that came to the receiver.
    came: HashSet<Vec<u8>>,
}

impl World {
    fn send(&mut self, to_server: bool, lost: bool, data: Vec<u8>) {
        self.left += 1;
        if !lost {
            self.flights.push(Reverse((self.bench.now.0 + LEG, self.left, to_server, data)));
        }
    }

    /// What the server sent goes its way.
    fn collect(&mut self) {
        for (to, data) in self.bench.sent() {
            let is_school = to == self.school.path.remote;
            let lost = if is_school { self.down.loses() } else { self.up_back.loses() };
            let mut marked = vec![u8::from(is_school)];
            marked.extend_from_slice(&data);
            self.send(false, lost, marked);
        }
    }

    fn publish(&mut self, fields: HeaderFields, payload: Vec<u8>) {
        let index = u64::from(fields.sequence);
        let packet = self.teacher.protect(&fields, index, &payload, None, None);
        self.kept.insert((fields.ssrc, fields.sequence), (packet.clone(), fields, payload));
        let lost = self.up.loses();
        self.send(true, lost, packet);
    }

    fn deliver(&mut self, to_server: bool, data: &[u8]) {
        if to_server {
            // Both ends' addresses are told apart by the first octet of what the receiver sends.
            let from_school = data[0] == 0xff;
            let (data, path) =
                if from_school { (&data[1..], self.school.path) } else { (data, self.teacher.path) };
            self.bench.datagram(data, path);
            self.collect();
            return;
        }
        let to: SocketAddr = if data[0] == 1 { self.school.path.remote } else { self.teacher.path.remote };
        let sent = [(to, data[1..].to_vec())];
        if data[0] == 1 { self.at_school(&sent) } else { self.at_teacher(&sent) }
    }

    fn at_teacher(&mut self, sent: &[(SocketAddr, Vec<u8>)]) {
        let compounds = self.teacher.receive(sent).rtcp;
        let asked: Vec<(u32, u16)> = packets(&compounds)
            .into_iter()
            .filter_map(|packet| match packet {
                Packet::Nack { media, lost, .. } => Some(lost.map(move |sequence| (media, sequence))),
                _ => None,
            })
            .flatten()
            .collect();
        for (ssrc, sequence) in asked {
            let Some((protected, fields, payload)) = self.kept.get(&(ssrc, sequence)).cloned() else {
                continue;
            };
            let packet = if ssrc == VOICE {
                protected
            } else {
                let rtx =
                    HeaderFields { payload_type: 97, sequence: self.next_rtx, ssrc: SSRC + 1, ..fields };
                self.next_rtx += 1;
                let mut original = sequence.to_be_bytes().to_vec();
                original.extend_from_slice(&payload);
                self.teacher.protect(&rtx, u64::from(rtx.sequence), &original, None, None)
            };
            let lost = self.up.loses();
            self.send(true, lost, packet);
        }
    }

    fn at_school(&mut self, sent: &[(SocketAddr, Vec<u8>)]) {
        // What the replay list refuses came before.
        if demux::classify(&sent[0].1) == Kind::Rtp && !self.came.insert(sent[0].1.clone()) {
            return;
        }
        let now = self.bench.now;
        for (header, packet) in self.school.receive(sent).rtp {
            let payload = header.payload(&packet).expect("a payload");
            let (media, sequence) = match header.payload_type {
                120 => (Media::Video, header.sequence),
                121 => {
                    let octets = &packet[payload];
                    (Media::Video, u16::from_be_bytes([octets[0], octets[1]]))
                }
                _ => (Media::Audio, header.sequence),
            };
            self.arrived.entry((media, sequence)).or_insert(now.0);
            let missing = self.misses.entry(media).or_default();
            missing.on_packet(u64::from(sequence) + 65_536, now);
        }
        self.ask();
    }

    fn ask(&mut self) {
        for media in [Media::Video, Media::Audio] {
            let mut lost = Vec::new();
            self.misses.entry(media).or_default().due(self.bench.now, ROUND_TRIP, &mut lost);
            if lost.is_empty() {
                continue;
            }
            let mut compound = Vec::new();
            rtcp::write_receiver_report(&mut compound, 1, &[]);
            rtcp::write_nack(&mut compound, 1, slot_ssrc(0, media), &lost);
            self.school.outbound.protect_rtcp(&mut compound, 0).expect("room in the counter");
            let mut marked = vec![0xff];
            marked.extend_from_slice(&compound);
            let gone = self.down_back.loses();
            self.send(true, gone, marked);
        }
    }
}

/// Share of packets of each media that were there within 250 ms, in parts of ten thousand, and what was sent.
fn run(seed: u64, repairable: bool) -> [(i64, usize); 2] {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    let school = Remote::join(&mut bench, 2);
    if repairable {
        teacher.publish_repairable_picture(&mut bench, 10, SSRC);
        school.add_repairable_pair(&mut bench, 0);
    } else {
        teacher.publish_picture(&mut bench, 10, Some(SSRC));
        school.add_pair(&mut bench, 0);
    }
    teacher.publish_audio(&mut bench, 11, Some(VOICE), repairable);
    school.route(&mut bench, 0, Media::Video, Some(10));
    school.route(&mut bench, 0, Media::Audio, Some(11));
    let start = bench.now.0;
    let line = |n| Line::new(seed * 4 + n);
    let mut world = World {
        bench,
        teacher,
        school,
        flights: BinaryHeap::new(),
        left: 0,
        up: line(0),
        down: line(1),
        up_back: line(2),
        down_back: line(3),
        kept: HashMap::new(),
        next_rtx: 0,
        arrived: HashMap::new(),
        misses: HashMap::new(),
        came: HashSet::new(),
    };
    let mut sent: HashMap<Media, Vec<(u16, i64)>> = HashMap::new();
    for tick in 0..SECONDS * 200 {
        let now = start + tick * 5 * MS;
        while world.flights.peek().is_some_and(|Reverse(flight)| flight.0 <= now) {
            let Some(Reverse((at, _, to_server, data))) = world.flights.pop() else { break };
            world.bench.now = Micros(at.max(world.bench.now.0));
            world.deliver(to_server, &data);
        }
        world.bench.now = Micros(now);
        world.bench.advance(0);
        world.collect();
        world.ask();
        if tick >= (SECONDS - 2) * 200 {
            continue;
        }
        if tick % 8 == 0 {
            // A frame of four packets each 40 ms; each begins with a key frame's first packet or a delta's.
            let frame = (tick / 8) as u16;
            for part in 0..4_u16 {
                let sequence = frame * 4 + part;
                let payload = vp8(frame, frame as u8, frame == 0, part == 0, &[part as u8; 900]);
                world.publish(picture_fields(SSRC, sequence, u32::from(frame) * 3_600, part == 3), payload);
                sent.entry(Media::Video).or_default().push((sequence, now));
            }
        }
        if tick % 4 == 0 {
            let sequence = (tick / 4) as u16;
            world.publish(voice_fields(VOICE, sequence, u32::from(sequence) * 960), vec![7; 80]);
            sent.entry(Media::Audio).or_default().push((sequence, now));
        }
    }
    assert_eq!(world.bench.stats()["counters"]["refused"], 0);
    [Media::Video, Media::Audio].map(|media| {
        let sent = &sent[&media];
        // The slot's numbers begin where it likes: the first that arrived stands for the first that was sent.
        let arrived: HashMap<u16, i64> =
            world.arrived.iter().filter(|((of, _), _)| *of == media).map(|((_, n), at)| (*n, *at)).collect();
        let (first, _) = arrived.iter().min_by_key(|(_, at)| **at).expect("something arrived");
        // Which of the sent ones that was is found by the best fit of the two lines.
        let in_time = (0..8_u16)
            .map(|skipped| {
                let hits = sent.iter().filter(|(n, at)| {
                    let slot = first.wrapping_add(n.wrapping_sub(skipped));
                    arrived.get(&slot).is_some_and(|there| there - at <= 250 * MS && there >= at)
                });
                hits.count()
            })
            .max()
            .unwrap_or(0);
        ((in_time * 10_000 / sent.len()) as i64, sent.len())
    })
}

#[test]
fn bursts_of_loss_on_both_legs_are_repaired_in_time() {
    for seed in 1..=3 {
        let [(video, _), (audio, _)] = run(seed, true);
        assert!(video >= 9_950, "seed {seed}: {video} of 10,000 packets of the picture in 250 ms");
        assert!(audio >= 9_930, "seed {seed}: {audio} of 10,000 packets of the voice in 250 ms");
    }
}

#[test]
fn without_repair_the_same_lines_lose_what_they_lose() {
    let [(video, sent), (audio, _)] = run(1, false);
    assert!((8_000..9_500).contains(&video), "{video} of {sent}");
    assert!((8_000..9_500).contains(&audio), "{audio}");
}
