//! A lesson over two bad lines: a publisher and a receiver as browsers behave, 30 ms each way on each leg. Media time
//! alone: the figures are the same on every machine.

mod browser;
pub mod line;

use crate::common::*;
use browser::{Answering, Asking};
use line::{Line, Weather};
use luokkasilta_engine::receive::ReceiveStats;
use luokkasilta_engine::time::Micros;
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::demux::{self, Packet as Kind};
use luokkasilta_engine::wire::rtcp::{self, Packet, ReportBlock};
use luokkasilta_engine::wire::rtp::{Header, HeaderFields};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

const LEG: i64 = 30 * MS;
const ROUND_TRIP: i64 = 2 * LEG;
/// What comes later than this is of no use to a lesson.
const IN_TIME: i64 = 250 * MS;
/// Not counted at the beginning.
const SETTLES: i64 = 5_000 * MS;
const SSRC: u32 = 700;
const VOICE: u32 = 800;
const RED: u8 = 63;
/// Packets of one frame of the picture, and the time from one of them to the next.
const PARTS: u16 = 4;
const BETWEEN_PARTS: i64 = MS;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    pub seed: u64,
    pub seconds: i64,
    /// From the publisher to the server and back, and from there to the receiver and back.
    pub legs: [Weather; 2],
    /// NACK and RTX are negotiated on both legs.
    pub repair: bool,
    /// The receiver publishes as much as it receives, so both directions of a line carry equally many packets. Without
    /// it a burst of loss, counted in packets, takes all questions of seconds from a direction that carries only them.
    pub talk: bool,
    /// The receiver takes redundant audio (RFC 2198) too.
    pub red: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Packets of the picture: sent, and there in time.
    pub video: (u64, u64),
    /// Frames of the voice: sent, and there in time.
    pub audio: (u64, u64),
    /// Octets of RTP to the receiver: for the first time, and beyond that.
    pub down: (u64, u64),
    /// Octets of RTP from the publisher: for the first time, and again.
    pub up: (u64, u64),
    /// Octets of RTCP to the publisher.
    pub asked: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.video, other.video),
            (&mut self.audio, other.audio),
            (&mut self.down, other.down),
            (&mut self.up, other.up),
        ] {
            *sum = (sum.0 + part.0, sum.1 + part.1);
        }
        self.asked += other.asked;
    }
}

/// Parts of the whole, in a hundred.
pub fn percent((whole, part): (u64, u64)) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// A packet as it left, and what it was made of.
type Published = (Vec<u8>, HeaderFields, Vec<u8>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum To {
    Teacher,
    School,
    ServerFromTeacher,
    ServerFromSchool,
}

/// Under way: when it arrives, in which order it left, to whom.
type Flight = (i64, u64, To, Vec<u8>);

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
    /// The publisher's packets by SSRC and sequence number.
    kept: HashMap<(u32, u16), Published>,
    next_rtx: u16,
    key_frame_wanted: bool,
    answering: Answering,
    /// By media and the number written into the payload: when it arrived at the receiver.
    arrived: HashMap<(Media, u16), i64>,
    asks: bool,
    is_talk: bool,
    asking: HashMap<Media, Asking>,
    received: HashMap<Media, ReceiveStats>,
    /// Protected packets that came to an end: what SRTP's replay list refuses.
    came: HashSet<Vec<u8>>,
    /// Numbers of the slot that were sent once.
    first: HashSet<(u32, u16)>,
    outcome: Outcome,
}

impl World {
    fn fly(&mut self, to: To, data: Vec<u8>) {
        let line = match to {
            To::Teacher => &mut self.up_back,
            To::School => &mut self.down,
            To::ServerFromTeacher => &mut self.up,
            To::ServerFromSchool => &mut self.down_back,
        };
        for longer in line.carry() {
            self.left += 1;
            self.flights.push(Reverse((self.bench.now.0 + LEG + longer, self.left, to, data.clone())));
        }
    }

    /// What the server sent goes its way.
    fn collect(&mut self) {
        for (to, data) in self.bench.sent() {
            let is_rtp = demux::classify(&data) == Kind::Rtp;
            if to == self.school.path.remote {
                if is_rtp {
                    let header = Header::parse(&data).expect("a header");
                    let is_slot = header.ssrc != rtx_ssrc(0);
                    let is_first = is_slot && self.first.insert((header.ssrc, header.sequence));
                    let octets = data.len() as u64;
                    let down = &mut self.outcome.down;
                    *down = if is_first { (down.0 + octets, down.1) } else { (down.0, down.1 + octets) };
                }
                self.fly(To::School, data);
            } else {
                self.outcome.asked += data.len() as u64;
                self.fly(To::Teacher, data);
            }
        }
    }

    fn publish(&mut self, fields: HeaderFields, payload: Vec<u8>) {
        let packet = self.teacher.protect(&fields, u64::from(fields.sequence), &payload, None, None);
        self.outcome.up.0 += packet.len() as u64;
        self.kept.insert((fields.ssrc, fields.sequence), (packet.clone(), fields, payload));
        self.fly(To::ServerFromTeacher, packet);
        if self.is_talk {
            self.up_back.carry();
            self.down_back.carry();
        }
    }

    fn deliver(&mut self, to: To, data: &[u8]) {
        match to {
            To::ServerFromTeacher => self.bench.datagram(data, self.teacher.path),
            To::ServerFromSchool => self.bench.datagram(data, self.school.path),
            _ if !self.came.insert(data.to_vec()) => {}
            To::Teacher => self.at_teacher(data),
            To::School => self.at_school(data),
        }
        self.collect();
    }

    fn at_teacher(&mut self, data: &[u8]) {
        let compounds = self.teacher.receive(&[(self.teacher.path.remote, data.to_vec())]).rtcp;
        if packets(&compounds).iter().any(|packet| matches!(packet, Packet::PictureLossIndication { .. })) {
            self.key_frame_wanted = true;
        }
        let asked: Vec<(u32, u16)> = packets(&compounds)
            .into_iter()
            .filter_map(|packet| match packet {
                Packet::Nack { media, lost, .. } => Some(lost.map(move |sequence| (media, sequence))),
                _ => None,
            })
            .flatten()
            .collect();
        for (ssrc, sequence) in asked {
            // What has not been sent yet can't be sent again.
            let Some((protected, fields, payload)) = self.kept.get(&(ssrc, sequence)).cloned() else {
                continue;
            };
            if !self.answering.may(ssrc, sequence, self.bench.now.0, ROUND_TRIP) {
                continue;
            }
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
            self.outcome.up.1 += packet.len() as u64;
            self.fly(To::ServerFromTeacher, packet);
        }
    }

    fn at_school(&mut self, data: &[u8]) {
        let now = self.bench.now;
        for (header, packet) in self.school.receive(&[(self.school.path.remote, data.to_vec())]).rtp {
            let payload = header.payload(&packet).expect("a payload");
            let octets = &packet[payload];
            let (media, sequence, numbers) = match header.payload_type {
                120 => (Media::Video, header.sequence, vec![tail_number(octets)]),
                121 => (
                    Media::Video,
                    u16::from_be_bytes([octets[0], octets[1]]),
                    vec![tail_number(&octets[2..])],
                ),
                RED => {
                    let frames = red_frames(octets).into_iter().map(tail_number).collect();
                    (Media::Audio, header.sequence, frames)
                }
                _ => (Media::Audio, header.sequence, vec![tail_number(octets)]),
            };
            for number in numbers {
                self.arrived.entry((media, number)).or_insert(now.0);
            }
            let recovered = header.payload_type == 121;
            if !recovered {
                let index = u64::from(sequence) + 65_536;
                self.received.entry(media).or_default().on_packet(index, 0, 90_000, octets.len(), now);
            }
            let lost = self.asking.entry(media).or_default().on_packet(sequence, recovered, now.0);
            self.ask(media, &lost);
        }
    }

    fn ask(&mut self, media: Media, lost: &[u16]) {
        if lost.is_empty() || !self.asks {
            return;
        }
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 1, &[]);
        rtcp::write_nack(&mut compound, 1, slot_ssrc(0, media), lost);
        self.send_rtcp(compound);
    }

    fn send_rtcp(&mut self, mut compound: Vec<u8>) {
        self.school.outbound.protect_rtcp(&mut compound, 0).expect("room in the counter");
        self.fly(To::ServerFromSchool, compound);
    }

    /// A receiver report, as each second.
    fn report(&mut self) {
        let now = self.bench.now;
        let blocks: Vec<ReportBlock> = self
            .received
            .iter_mut()
            .filter_map(|(media, stats)| {
                stats.report(now).map(|reception| ReportBlock {
                    ssrc: slot_ssrc(0, *media),
                    fraction_lost: reception.fraction_lost,
                    cumulative_lost: reception.cumulative_lost,
                    highest_sequence: reception.highest_sequence,
                    jitter: 0,
                    last_sr: 0,
                    delay_since_last_sr: 0,
                })
            })
            .collect();
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 1, &blocks);
        self.send_rtcp(compound);
    }
}

/// The number that every payload here ends with.
fn tail_number(payload: &[u8]) -> u16 {
    let tail = payload.last_chunk().expect("two octets");
    u16::from_be_bytes(*tail)
}

/// The frames of a redundant payload (RFC 2198 section 3).
fn red_frames(mut payload: &[u8]) -> Vec<&[u8]> {
    let mut lens = Vec::new();
    while payload[0] & 0x80 != 0 {
        lens.push(usize::from(payload[2] & 3) << 8 | usize::from(payload[3]));
        payload = &payload[4..];
    }
    payload = &payload[1..];
    let mut frames = Vec::new();
    for len in lens {
        let (frame, rest) = payload.split_at(len);
        frames.push(frame);
        payload = rest;
    }
    frames.push(payload);
    frames
}

/// Play a story through.
pub fn run(story: Story) -> Outcome {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    let school = Remote::join(&mut bench, 2);
    if story.repair {
        teacher.publish_repairable_picture(&mut bench, 10, SSRC);
        school.add_repairable_pair_with_red(&mut bench, 0, story.red.then_some(RED));
    } else {
        teacher.publish_picture(&mut bench, 10, Some(SSRC));
        school.add_pair(&mut bench, 0);
    }
    teacher.publish_audio(&mut bench, 11, Some(VOICE), story.repair);
    school.route(&mut bench, 0, Media::Video, Some(10));
    school.route(&mut bench, 0, Media::Audio, Some(11));
    let start = bench.now.0;
    let line = |n| Line::new(story.seed * 4 + n, story.legs[n as usize % 2]);
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
        key_frame_wanted: true,
        answering: Answering::default(),
        arrived: HashMap::new(),
        asks: story.repair,
        is_talk: story.talk,
        asking: HashMap::new(),
        received: HashMap::new(),
        came: HashSet::new(),
        first: HashSet::new(),
        outcome: Outcome::default(),
    };
    let mut sent: Vec<((Media, u16), i64)> = Vec::new();
    for ms in 0..(story.seconds + 2) * 1_000 {
        let now = start + ms * MS;
        while world.flights.peek().is_some_and(|Reverse(flight)| flight.0 <= now) {
            let Some(Reverse((at, _, to, data))) = world.flights.pop() else { break };
            world.bench.now = Micros(at.max(world.bench.now.0));
            world.deliver(to, &data);
        }
        world.bench.now = Micros(now);
        if world.bench.shard.next_time().0 <= now {
            world.bench.advance(0);
            world.collect();
        }
        for media in [Media::Video, Media::Audio] {
            let lost = world.asking.entry(media).or_default().again(now, ROUND_TRIP);
            world.ask(media, &lost);
        }
        if ms % 1_000 == 999 {
            world.report();
        }
        // The last two seconds are for what is still to come.
        if ms < story.seconds * 1_000 {
            world.publish_due(ms, &mut sent);
        }
    }
    assert_eq!(world.bench.stats()["counters"]["refused"], 0);
    // The first seconds are for the beginning: key frame, round trip and loss become known.
    for (key, at) in sent.into_iter().filter(|(_, at)| *at >= start + SETTLES) {
        let in_time = world.arrived.get(&key).is_some_and(|there| there - at <= IN_TIME);
        let outcome = &mut world.outcome;
        let count = if key.0 == Media::Video { &mut outcome.video } else { &mut outcome.audio };
        *count = (count.0 + 1, count.1 + u64::from(in_time));
    }
    world.outcome
}

impl World {
    /// 25 frames of the picture a second, 50 of the voice.
    fn publish_due(&mut self, ms: i64, sent: &mut Vec<((Media, u16), i64)>) {
        let (frame, into) = ((ms / 40) as u16, ms % 40 * MS);
        if into % BETWEEN_PARTS == 0 && into / BETWEEN_PARTS < i64::from(PARTS) {
            let part = (into / BETWEEN_PARTS) as u16;
            let number = frame * PARTS + part;
            let mut body = vec![part as u8; 900];
            body.extend_from_slice(&number.to_be_bytes());
            let is_key_frame = part == 0 && std::mem::take(&mut self.key_frame_wanted);
            let payload = vp8(frame, frame as u8, is_key_frame, part == 0, &body);
            let fields = picture_fields(SSRC, number, u32::from(frame) * 3_600, part + 1 == PARTS);
            sent.push(((Media::Video, number), self.bench.now.0));
            self.publish(fields, payload);
        }
        if ms % 20 == 0 {
            let number = (ms / 20) as u16;
            let mut payload = vec![7; 78];
            payload.extend_from_slice(&number.to_be_bytes());
            sent.push(((Media::Audio, number), self.bench.now.0));
            self.publish(voice_fields(VOICE, number, u32::from(number) * 960), payload);
        }
    }
}
