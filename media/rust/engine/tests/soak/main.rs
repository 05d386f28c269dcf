//! A whole lesson of one hour, in fast-forward: a teacher, two schools and two homes on bad lines, who come and go,
//! reload, change their address and their speakers; the teacher shares a screen now and then and is recorded. Every
//! packet that every receiver gets is looked at, and what the server keeps does not grow.

#[path = "../common/mod.rs"]
mod common;
mod endpoint;
mod line;
mod memory;
mod publisher;
mod receiver;

use common::*;
use endpoint::{Endpoint, SLOTS};
use line::Random;
use luokkasilta_engine::command::{Command, RecordTo, RestartIce};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::output::{Output, Path};
use luokkasilta_engine::record::Record;
use luokkasilta_engine::time::Micros;
use luokkasilta_engine::types::Media;
use publisher::{OwnClock, Rhythm, Stream};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::net::SocketAddr;

const MINUTES: i64 = 60;
const STEP_US: i64 = 5 * MS;
const TEACHER: u64 = 1;
/// How far a half's time may move against the server's in a lesson: a voice is put right only in a pause, when it is
/// 40 ms off or more, and what is least late in a second may be late by the line's jitter and a repair.
const OFF_CLOCK_US: i64 = 120_000;
/// How much more or less memory may be in use than after ten minutes: what is under way, and buffers' spare room.
const MEMORY_VARIES: i64 = 512 << 10;
/// What an empty shard may keep of a lesson of five with a hundred comings and goings: the room of its tables.
const MEMORY_LEFT: i64 = 40 << 10;

/// When it arrives, in which order it left, the peer that it is for or else the way to the server, the octets.
type Flight = (i64, u64, Option<u64>, Vec<u8>);

#[derive(Clone, Debug, Default)]
struct Counts {
    flights: u64,
    switched: u64,
    levels: u64,
    restarts: u64,
    returns: u64,
    addresses: u64,
    recorded: u64,
    recordings: i64,
    /// Of receivers that are gone.
    heard: u64,
    missed: u64,
    repaired: u64,
    reports: u64,
    replayed_voices: u64,
    /// Packets that publishers were asked for again.
    asked: u64,
    most_in_a_turn: usize,
    most_off_us: i64,
}

struct World {
    bench: Bench,
    endpoints: BTreeMap<u64, Endpoint>,
    by_address: HashMap<SocketAddr, u64>,
    flights: BinaryHeap<Reverse<Flight>>,
    /// Where a flight to the server came from, by its order.
    ways: HashMap<u64, Path>,
    next_peer: u64,
    next_port: u16,
    next_ssrc: u32,
    screen: Option<u64>,
    rotation: u64,
    random: Random,
    recorded: HashSet<(u64, u64, u64)>,
    counts: Counts,
}

fn rhythm(media: Media, frame_us: i64, packets: u16, clock: OwnClock) -> Rhythm {
    Rhythm { media, frame_us, packets, clock }
}

impl World {
    fn new() -> Self {
        Self {
            bench: Bench::default(),
            endpoints: BTreeMap::new(),
            by_address: HashMap::new(),
            flights: BinaryHeap::new(),
            ways: HashMap::new(),
            next_peer: TEACHER,
            next_port: 20_000,
            next_ssrc: 700,
            screen: None,
            rotation: 0,
            random: Random(20_261_124),
            recorded: HashSet::new(),
            counts: Counts::default(),
        }
    }

    fn address(&mut self) -> SocketAddr {
        self.next_port = 20_000 + (self.next_port + 1) % 40_000;
        SocketAddr::from(([192, 0, 2, 7], self.next_port))
    }

    /// A new endpoint at this address, or a new one; what it publishes begins at once.
    fn join(&mut self, at: Option<SocketAddr>) -> u64 {
        let peer = self.next_peer;
        self.next_peer += 1;
        let mut remote = Remote::add(&mut self.bench, peer);
        remote.path.remote = at.unwrap_or_else(|| self.address());
        self.by_address.insert(remote.path.remote, peer);
        remote.set_keys(&mut self.bench);
        for slot in 0..SLOTS {
            remote.add_repairable_pair(&mut self.bench, slot);
        }
        let now = self.bench.now;
        let mut endpoint = Endpoint::new(remote, now);
        let clock = endpoint.clock();
        let (camera, mic) = (peer * 10, peer * 10 + 1);
        endpoint.remote.publish_repairable_picture(&mut self.bench, camera, 100);
        endpoint.remote.publish_audio(&mut self.bench, mic, Some(200), true);
        let (frame_us, packets, voice_us) =
            if peer == TEACHER { (100_000, 3, 20_000) } else { (200_000, 2, 60_000) };
        endpoint.streams = vec![
            Stream::new(camera, 100, rhythm(Media::Video, frame_us, packets, clock), now),
            Stream::new(mic, 200, rhythm(Media::Audio, voice_us, 1, clock), now),
        ];
        self.endpoints.insert(peer, endpoint);
        peer
    }

    fn leave(&mut self, peer: u64) {
        let gone = self.endpoints.remove(&peer).expect("an endpoint");
        self.by_address.retain(|_, owner| *owner != peer);
        self.bench.command(Command::RemovePeer(peer));
        self.settle(&gone);
    }

    /// What a receiver that is gone, or at the end, has heard.
    fn settle(&mut self, gone: &Endpoint) {
        assert!(gone.answered > 0, "its checks were answered");
        self.counts.replayed_voices += gone.replayed_voices;
        self.counts.asked += gone.repeated;
        for half in gone.halves.values() {
            let span = half.first.map_or(0, |first| half.highest - first + 1);
            self.counts.heard += half.packets;
            self.counts.missed += span.saturating_sub(half.packets);
            self.counts.repaired += half.repaired;
            self.counts.reports += half.reports;
            let off_us = half.off_the_clock();
            self.counts.most_off_us = self.counts.most_off_us.max(off_us);
            assert!(off_us < OFF_CLOCK_US, "a {:?} moved by {off_us} us against the clock", half.media);
        }
    }

    /// Who plays in whose slots: the teacher first, then the others in turn; the screen instead of the last picture.
    fn route(&mut self) {
        let peers: Vec<u64> = self.endpoints.keys().copied().collect();
        for &peer in &peers {
            let others: Vec<u64> = peers.iter().copied().filter(|&it| it != peer && it != TEACHER).collect();
            let remote = &self.endpoints[&peer].remote;
            for slot in 0..SLOTS {
                let turn = (self.rotation + peer) as usize + usize::from(slot);
                let of = if slot == 0 && peer != TEACHER { TEACHER } else { others[turn % others.len()] };
                let screen = self.screen.filter(|_| slot + 1 == SLOTS && peer != TEACHER);
                remote.route(&mut self.bench, slot, Media::Video, Some(screen.unwrap_or(of * 10)));
                remote.route(&mut self.bench, slot, Media::Audio, Some(of * 10 + 1));
            }
        }
    }

    /// A page that was loaded anew: a new peer, where its browser likes behind the very address of the old one.
    fn reload(&mut self, peer: u64, keeps_its_port: bool) {
        let address = self.endpoints[&peer].remote.path.remote;
        let fresh = self.join(keeps_its_port.then_some(address));
        let endpoint = self.endpoints.get_mut(&fresh).expect("joined");
        let check = endpoint.remote.check_octets(true);
        let path = endpoint.remote.path;
        self.bench.datagram(&check, path);
        self.leave(peer);
        if keeps_its_port {
            self.by_address.insert(address, fresh);
        }
        self.counts.returns += 1;
        self.collect();
    }

    /// Something between the endpoint and us gives it another address; its browser does not know, and checks on.
    fn change_address(&mut self, peer: u64) {
        let to = self.address();
        let soon = self.bench.now.plus(self.random.below(800) as i64 * MS);
        let endpoint = self.endpoints.get_mut(&peer).expect("an endpoint");
        self.by_address.remove(&endpoint.remote.path.remote);
        endpoint.remote.path.remote = to;
        endpoint.check_at = endpoint.check_at.min(soon);
        self.by_address.insert(to, peer);
        self.counts.addresses += 1;
    }

    fn restart_ice(&mut self, peer: u64) {
        self.counts.restarts += 1;
        let endpoint = self.endpoints.get_mut(&peer).expect("an endpoint");
        let local_ufrag = format!("restart{}of{peer}", self.counts.restarts);
        let local_pwd = format!("another-password-of-{peer}-0123");
        endpoint.remote.ufrag.clone_from(&local_ufrag);
        endpoint.remote.key = luokkasilta_engine::wire::stun::short_term_key(&local_pwd);
        let spec = RestartIce { peer, local_ufrag, local_pwd, remote_ufrag: "far".to_owned() };
        self.bench.command(Command::RestartIce(spec));
    }

    fn share_screen(&mut self, second: i64) {
        let source = 1_000_000 + second as u64;
        let ssrc = self.next_ssrc;
        self.next_ssrc += 2;
        let now = self.bench.now;
        let teacher = self.endpoints.get_mut(&TEACHER).expect("the teacher");
        teacher.remote.publish_repairable_picture(&mut self.bench, source, ssrc);
        let how = rhythm(Media::Video, 200_000, 4, teacher.clock());
        teacher.streams.push(Stream::new(source, ssrc, how, now));
        self.screen = Some(source);
    }

    fn end_screen(&mut self) {
        let Some(source) = self.screen.take() else { return };
        self.bench.command(Command::Unpublish(TEACHER, source));
        let teacher = self.endpoints.get_mut(&TEACHER).expect("the teacher");
        teacher.streams.retain(|stream| stream.source != source);
    }

    fn record(&mut self, on: bool) {
        for (source, kind) in [(TEACHER * 10, "camera"), (TEACHER * 10 + 1, "mic")] {
            let to =
                on.then(|| RecordTo { path: format!("/of/no/disk/{kind}").into(), kind: kind.to_owned() });
            self.bench.command(Command::Record { peer: TEACHER, source, to });
        }
    }

    /// What the server wants done: datagrams on their way, events and records looked at.
    fn collect(&mut self) {
        let out = &mut self.bench.out;
        self.counts.most_in_a_turn = self.counts.most_in_a_turn.max(out.datagrams.len());
        for datagram in &out.datagrams {
            // Nobody is at an address that a NAT gave up.
            let Some(&peer) = self.by_address.get(&datagram.path.remote) else { continue };
            let Some(endpoint) = self.endpoints.get_mut(&peer) else { continue };
            if let Some(at) = endpoint.down.carry(self.bench.now) {
                let flight = (at.0, self.counts.flights, Some(peer), out.octets(datagram).to_vec());
                self.flights.push(Reverse(flight));
                self.counts.flights += 1;
            }
        }
        out.clear_datagrams();
        out.addresses.clear();
        for record in out.records.drain(..) {
            match record {
                Record::Open(_) => self.counts.recordings += 1,
                Record::Close(_) => self.counts.recordings -= 1,
                Record::Packet(packet) => {
                    let name = (packet.recording, u64::from(packet.run), packet.index);
                    self.counts.recorded += 1;
                    assert!(self.recorded.insert(name), "recorded twice: {name:?}");
                }
                Record::Hole { .. } | Record::Sync(_) => panic!("nobody asked for it"),
            }
        }
        for event in out.events.drain(..) {
            match event {
                Event::SlotSwitched { .. } => self.counts.switched += 1,
                Event::SourceLevel { level, .. } => {
                    assert!(
                        level == 127 || (25..=35).contains(&level),
                        "everybody speaks at 30, or not: {level}"
                    );
                    self.counts.levels += 1;
                }
                Event::PeerConnected { .. } | Event::SourceLive { .. } | Event::SourceIdle { .. } => {}
                other => panic!("the server says {other:?}"),
            }
        }
    }

    fn send(&mut self, peer: u64, datagrams: &mut Vec<Vec<u8>>) {
        let now = self.bench.now.0;
        let endpoint = self.endpoints.get_mut(&peer).expect("an endpoint");
        for data in datagrams.drain(..) {
            if let Some(at) = endpoint.up.carry(Micros(now)) {
                self.ways.insert(self.counts.flights, endpoint.remote.path);
                self.flights.push(Reverse((at.0, self.counts.flights, None, data)));
                self.counts.flights += 1;
            }
        }
    }

    fn step(&mut self, now: Micros) {
        let mut out = Vec::new();
        while self.flights.peek().is_some_and(|Reverse(flight)| flight.0 <= now.0) {
            let Some(Reverse((at, order, to, mut data))) = self.flights.pop() else { break };
            self.bench.now = Micros(at.max(self.bench.now.0));
            if let Some(peer) = to {
                if let Some(endpoint) = self.endpoints.get_mut(&peer) {
                    endpoint.receive(data, self.bench.now, &mut out);
                    self.send(peer, &mut out);
                }
            } else if let Some(path) = self.ways.remove(&order) {
                self.bench.shard.handle_datagram(&mut data, path, self.bench.now, &mut self.bench.out);
                self.collect();
            }
        }
        self.bench.now = now;
        for peer in self.endpoints.keys().copied().collect::<Vec<_>>() {
            self.endpoints.get_mut(&peer).expect("there").turn(now, &mut out);
            self.send(peer, &mut out);
        }
        if self.bench.shard.next_time() <= now {
            self.bench.advance(0);
            self.collect();
        }
    }

    /// The server alone; all else is dropped.
    fn end(self) -> Bench {
        self.bench
    }

    /// What happens at the full seconds of a lesson.
    fn happen(&mut self, second: i64) {
        let others: Vec<u64> = self.endpoints.keys().copied().filter(|&peer| peer != TEACHER).collect();
        let some = others[self.random.below(others.len() as u64) as usize];
        if second % 600 == 180 {
            self.share_screen(second);
        }
        if second % 600 == 420 {
            self.end_screen();
        }
        if second == 1_805 {
            self.record(false);
            self.record(true);
        }
        match second % 60 {
            13 | 33 | 53 => self.rotation += 1,
            17 => self.change_address(some),
            27 => self.reload(some, second % 120 < 60),
            37 => {
                self.leave(some);
                self.join(None);
            }
            47 if second % 300 < 60 => self.restart_ice(some),
            57 if second % 600 < 60 => self.change_address(TEACHER),
            _ => return,
        }
        self.route();
        self.collect();
    }
}

/// Numbers of a shard that must not grow with time, as its statistics tell them.
fn sizes(stats: &serde_json::Value) -> [usize; 4] {
    let peers = stats["peers"].as_array().expect("peers");
    let count = |of: &str| peers.iter().map(|peer| peer[of].as_array().expect("a list").len()).sum::<usize>();
    let subscribers = peers
        .iter()
        .flat_map(|peer| peer["sources"].as_array().expect("sources"))
        .map(|source| source["subscribers"].as_u64().expect("a number") as usize)
        .sum();
    [peers.len(), count("sources"), count("slots"), subscribers]
}

#[test]
fn an_hour() {
    let mut world = World::new();
    let empty = memory::allocated();
    for _ in 0..5 {
        world.join(None);
    }
    world.route();
    world.record(true);
    let start = world.bench.now;
    let mut kept: Vec<([usize; 4], i64)> = Vec::new();
    for second in 0..MINUTES * 60 {
        world.happen(second);
        for step in 0..Micros::SECOND / STEP_US {
            world.step(start.plus(second * Micros::SECOND + step * STEP_US));
        }
        if second % 600 == 599 {
            let stats = world.bench.stats();
            assert_eq!(stats["counters"]["refused"], 0, "the nonce guard");
            world.recorded = HashSet::new();
            kept.push((sizes(&stats), memory::allocated() - empty));
        }
    }
    // Five peers, each with a camera and a microphone and three slots of two halves; every half plays something.
    for (sizes, octets) in &kept {
        assert_eq!(*sizes, [5, 10, 30, 30]);
        assert!((octets - kept[0].1).abs() < MEMORY_VARIES, "memory grows: {kept:?}");
    }
    let published = world.endpoints[&TEACHER].streams.iter().map(|stream| stream.sent).sum::<u64>();
    world.end_screen();
    world.record(false);
    world.collect();
    for peer in world.endpoints.keys().copied().collect::<Vec<_>>() {
        world.leave(peer);
    }
    world.collect();
    let counts = world.counts.clone();
    println!("{counts:?}; {published} to be recorded; {kept:?}");
    assert!(counts.heard > 1_500_000, "{counts:?}");
    assert!(counts.missed * 1_000 < counts.heard * 5, "99.5 % there in the end: {counts:?}");
    assert!(counts.repaired > 5_000 && counts.asked > 5_000 && counts.replayed_voices > 0, "{counts:?}");
    assert_eq!((counts.returns, counts.restarts, counts.addresses), (60, 12, 66));
    assert!(counts.switched > 3_000 && counts.levels > 5_000, "{counts:?}");
    // A report a second for each of thirty halves; 1 % of them lost.
    assert!(counts.reports > MINUTES as u64 * 60 * 30 * 95 / 100, "{counts:?}");
    assert_eq!(counts.recordings, 0, "each that began has ended");
    assert!(counts.recorded * 1_000 > published * 995, "{counts:?} of {published}");
    assert!(counts.most_in_a_turn < 200, "{counts:?}");

    assert_eq!(sizes(&world.bench.stats()), [0; 4]);
    let mut bench = world.end();
    bench.out = Output::default();
    bench.events = Vec::new();
    let left = memory::allocated() - empty;
    println!("{left} octets left");
    assert!(left < MEMORY_LEFT, "{left} octets are left of a lesson that is over");
}
