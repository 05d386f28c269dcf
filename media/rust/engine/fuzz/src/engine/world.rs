//! A small lesson: three far ends, one that publishes in layers, one with H.264, and the shard between them.

mod settle;

use super::super::stun::seal;
use super::far::{Far, Sending, address};
use super::published;
use super::steps::{Step, flag};
use luokkasilta_engine::command::{Command, RecordTo, RestartIce};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::output::{Origin, Output, Path};
use luokkasilta_engine::record::RecordingId;
use luokkasilta_engine::shard::Shard;
use luokkasilta_engine::time::{Micros, NtpEpoch};
use luokkasilta_engine::types::{Feed, Media};
use luokkasilta_engine::wire::rtp::{HeaderFields, write_header};
use luokkasilta_engine::wire::stun::short_term_key;
use luokkasilta_engine::wire::{rtcp, rtx};
use std::collections::{HashMap, HashSet, VecDeque};

/// Earlier datagrams that may come again.
const KEPT: usize = 16;
/// Halves of one far end; a lesson has a few, and more would only be slow.
const MAX_SLOTS: usize = 12;

/// A datagram that came.
#[derive(Clone)]
struct Came {
    octets: Vec<u8>,
    path: Path,
    /// Who made it with its keys; None for what nobody vouches for.
    far: Option<usize>,
}

pub struct World {
    shard: Shard,
    out: Output,
    now: Micros,
    fars: Vec<Far>,
    streams: Vec<Sending>,
    /// Whose an address is: the last who proved it.
    owners: HashMap<Origin, usize>,
    recent: VecDeque<Came>,
    /// Recordings that were begun and not ended.
    recordings: HashSet<RecordingId>,
    recorded: u64,
    fed: u64,
    jumps: bool,
}

impl World {
    /// The lesson has begun, nothing was sent yet.
    pub fn new(jumps: bool) -> Self {
        let fars: Vec<Far> = (1..=3).map(|id| Far::new(id, 0)).collect();
        let mut world = Self {
            shard: Shard::new(0, NtpEpoch(3_900_000_000_000_000)),
            out: Output::default(),
            now: Micros(1_000_000),
            fars,
            streams: published::streams(),
            owners: HashMap::new(),
            recent: VecDeque::new(),
            recordings: HashSet::new(),
            recorded: 0,
            fed: 0,
            jumps,
        };
        for far in 0..world.fars.len() {
            world.connect(far);
            for spec in published::sources(far) {
                world.command(Command::Publish(spec));
            }
            for spec in published::slots(far) {
                world.fars[far].slots += 1;
                world.command(Command::AddSlot(spec));
            }
        }
        for (far, slot, media, source) in published::ROUTES {
            let feed = Some(Feed { source, layer: 0 });
            world.command(Command::Route { peer: published::id(far), slot, media, feed });
        }
        world
    }

    fn connect(&mut self, far: usize) {
        let (add, keys) = (self.fars[far].add_peer(), self.fars[far].set_keys());
        self.command(Command::AddPeer(add));
        let octets = self.fars[far].check(0, true);
        self.deliver(octets, self.fars[far].path, Some(far));
        self.command(Command::SetKeys(keys));
    }

    /// Take one step and check what came of it.
    pub fn take(&mut self, step: &Step) {
        let far_of = |far: u8| usize::from(far) % self.fars.len();
        match step {
            Step::Wait { time } => self.wait(*time),
            Step::Media { stream, advance, ticks, flags, payload } => {
                self.media(usize::from(*stream) % self.streams.len(), *advance, *ticks, *flags, payload);
            }
            Step::Plain { stream, advance, octets } => {
                let stream = usize::from(*stream) % self.streams.len();
                let (ssrc, index) = self.advance(stream, *advance);
                let mut packet = octets.clone();
                packet.resize(packet.len().max(12), 0);
                packet[0] = packet[0] & 0x3f | 0x80;
                packet[2..4].copy_from_slice(&(index as u16).to_be_bytes());
                packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
                self.send_rtp(self.streams[stream].far, packet, ssrc, index);
            }
            Step::Compound { far, octets } => self.send_rtcp(far_of(*far), octets.clone()),
            Step::Nack { far, stream, back, bits } => {
                let far = far_of(*far);
                let Some(count) = self.fars[far].newest.len().checked_sub(1) else { return };
                let (ssrc, newest) = self.fars[far].newest[usize::from(*stream) % (count + 1)];
                let first = newest.wrapping_sub(u16::from(*back));
                let lost: Vec<u16> = std::iter::once(first)
                    .chain((0..16).filter(|bit| bits >> bit & 1 != 0).map(|bit| first.wrapping_add(bit + 1)))
                    .collect();
                let mut compound = Vec::new();
                rtcp::write_nack(&mut compound, 1, ssrc, &lost);
                self.send_rtcp(far, compound);
            }
            Step::Again { back, how, at } => self.again(usize::from(*back), *how, usize::from(*at)),
            Step::Check { far, from, flags } => {
                let far = far_of(*far);
                let end = &mut self.fars[far];
                end.path = address(end.id, *from, flags & 4 != 0);
                let restarts = end.restarts.saturating_sub(flags >> 1 & 1);
                let (octets, path) = (end.check(restarts, flags & 1 != 0), end.path);
                self.deliver(octets, path, Some(far));
            }
            Step::Stun { far, octets } => {
                let far = far_of(*far);
                let end = &self.fars[far];
                let sealed = seal(octets, &short_term_key(&end.password(end.restarts)));
                self.deliver(sealed, end.path, Some(far));
            }
            Step::Datagram { from, octets } => {
                let path = match from {
                    255 => address(9, 1, false),
                    from => self.fars[far_of(*from)].path,
                };
                self.deliver(octets.clone(), path, None);
            }
            Step::Route { far, slot, source, layer } => {
                let media = if slot & 0x80 == 0 { Media::Video } else { Media::Audio };
                let source = published::SOURCES[usize::from(*source) % published::SOURCES.len()];
                self.command(Command::Route {
                    peer: published::id(far_of(*far)),
                    slot: u16::from(slot & 7),
                    media,
                    feed: source.map(|source| Feed { source, layer: layer % 4 }),
                });
            }
            Step::Command { far, which, with, more } => {
                self.other_command(far_of(*far), which % 11, *with, *more);
            }
            Step::Closed { far } => {
                let path = self.fars[far_of(*far)].path;
                if let Some(connection) = path.connection {
                    self.shard.connection_closed(connection, self.now, &mut self.out);
                    self.owners.remove(&path.origin());
                    assert!(!self.shard.knows_connection(connection));
                }
                self.settle(None);
            }
        }
    }

    /// Statistics of it all, at the end.
    pub fn end(&mut self) -> serde_json::Value {
        self.shard.handle_command(Command::RequestStats(7), self.now, &mut self.out);
        let stats: Vec<_> = self.out.events.drain(..).collect();
        let [Event::Stats { ticket: 7, json, .. }] = &stats[..] else { panic!("{stats:?}") };
        let mut stats: serde_json::Value = serde_json::from_str(json).expect("JSON");
        assert_eq!(stats["counters"]["datagrams"].as_u64(), Some(self.fed));
        assert_eq!(
            stats["counters"]["refused"].as_u64(),
            Some(0),
            "the guard of SRTP indices had to step in"
        );
        let there = self.fars.iter().filter(|far| far.is_there).count();
        assert_eq!(stats["peers"].as_array().map(Vec::len), Some(there));
        stats["recorded"] = self.recorded.into();
        stats
    }

    fn wait(&mut self, time: u8) {
        if time >= 200 {
            self.now = self.now.plus(i64::from(time - 199) * 700_000);
            self.tick();
            return;
        }
        let until = self.now.plus(i64::from(time) * 1_000);
        while self.shard.next_time() <= until {
            self.now = self.now.max(self.shard.next_time());
            self.tick();
        }
        self.now = until;
    }

    fn tick(&mut self) {
        self.shard.handle_time(self.now, &mut self.out);
        assert!(self.shard.next_time() > self.now, "the shard would not let its thread sleep");
        self.settle(None);
    }

    /// Moves a stream on and gives its SSRC and the extended sequence number of its next packet.
    fn advance(&mut self, stream: usize, advance: i8) -> (u32, u64) {
        let sending = &mut self.streams[stream];
        let step = i64::from(advance) * if self.jumps { 300 } else { 1 };
        let index = sending.index.saturating_add_signed(step);
        sending.index = sending.index.max(index);
        (sending.ssrc, index)
    }

    fn media(&mut self, stream: usize, advance: i8, ticks: u8, flags: u8, payload: &[u8]) {
        if flags & flag::OTHER_SSRC != 0 {
            let sending = &mut self.streams[stream];
            sending.ssrc += 1_000;
            sending.index &= 0xffff;
        }
        let (ssrc, index) = self.advance(stream, advance);
        self.streams[stream].timestamp = self.streams[stream].timestamp.wrapping_add(u32::from(ticks) * 90);
        let sending = &self.streams[stream];
        let mut body = payload.to_vec();
        if let Some(original) = sending.repairs {
            let back = u64::from(payload.first().copied().unwrap_or(0));
            let sequence = self.streams[original].index.saturating_sub(back) as u16;
            body.clear();
            rtx::write(&mut body, sequence, payload.get(1..).unwrap_or_default());
        }
        let mut extensions: Vec<(u8, &[u8])> = Vec::new();
        if flags & flag::MID != 0 {
            extensions.push((published::MID, sending.mid.as_bytes()));
        }
        if let (true, Some(rid)) = (flags & flag::RID != 0, sending.rid) {
            let id = if sending.repairs.is_some() { published::REPAIRED_RID } else { published::RID };
            extensions.push((id, rid.as_bytes()));
        }
        if flags & flag::LEVEL != 0 {
            extensions.push((published::LEVEL, &[30]));
        }
        let fields = HeaderFields {
            marker: flags & flag::MARKER != 0,
            payload_type: sending.payload_type,
            sequence: index as u16,
            timestamp: sending.timestamp,
            ssrc,
        };
        let mut packet = Vec::new();
        write_header(&mut packet, &fields, &extensions).expect("extensions that fit");
        packet.extend_from_slice(&body);
        if flags & flag::PADDING != 0 {
            packet[0] |= 0x20;
            packet.extend([0, 0, 0, 4]);
        }
        self.send_rtp(self.streams[stream].far, packet, ssrc, index);
    }

    fn send_rtp(&mut self, far: usize, packet: Vec<u8>, ssrc: u32, index: u64) {
        if let Some(sealed) = self.fars[far].protect_rtp(packet, ssrc, index) {
            self.deliver(sealed, self.fars[far].path, Some(far));
        }
    }

    fn send_rtcp(&mut self, far: usize, compound: Vec<u8>) {
        if let Some(sealed) = self.fars[far].protect_rtcp(compound) {
            self.deliver(sealed, self.fars[far].path, Some(far));
        }
    }

    fn again(&mut self, back: usize, how: u8, at: usize) {
        let Some(count) = self.recent.len().checked_sub(1) else { return };
        let mut came = self.recent[back % (count + 1)].clone();
        match how % 4 {
            1 if !came.octets.is_empty() => {
                let bit = at % (came.octets.len() * 8);
                came.octets[bit / 8] ^= 1 << (bit % 8);
                came.far = None;
            }
            2 if !came.octets.is_empty() => {
                came.octets.truncate(at % came.octets.len());
                came.far = None;
            }
            3 => came.path = address(9, at as u8, false),
            _ => {}
        }
        self.deliver(came.octets, came.path, came.far);
    }

    fn other_command(&mut self, far: usize, which: u8, with: u8, more: u8) {
        let peer = published::id(far);
        match which {
            0 => self.command(Command::Publish(published::another_source(far, with, more))),
            1 => {
                let source = published::SOURCES[usize::from(with) % published::SOURCES.len()].unwrap_or(0);
                self.command(Command::Unpublish(peer, source));
            }
            2 if self.fars[far].slots < MAX_SLOTS => {
                self.fars[far].slots += 1;
                self.command(Command::AddSlot(published::another_slot(far, with, more)));
            }
            3 => {
                self.fars[far].is_there = false;
                self.command(Command::RemovePeer(peer));
            }
            4 if !self.fars[far].is_there => {
                let generation = self.fars[far].generation.wrapping_add(1);
                self.fars[far] = Far::new(peer, generation);
                published::begin_again(&mut self.streams, far);
                self.connect(far);
            }
            5 => {
                let keys = self.fars[far].set_keys();
                self.command(Command::SetKeys(keys));
            }
            6 => {
                let end = &mut self.fars[far];
                end.restarts = end.restarts.saturating_add(1);
                let spec = RestartIce {
                    peer,
                    local_ufrag: end.ufrag(end.restarts),
                    local_pwd: end.password(end.restarts),
                    remote_ufrag: "far".to_owned(),
                };
                self.command(Command::RestartIce(spec));
            }
            7 => self.command(Command::SendDtls(peer, vec![22, with, more])),
            8 => self.command(Command::RequestStats(u64::from(with))),
            9 => {
                let source = published::SOURCES[usize::from(with) % published::SOURCES.len()].unwrap_or(0);
                let to = RecordTo { path: format!("recording/{more}").into(), kind: "camera".to_owned() };
                self.command(Command::Record { peer, source, to: (more & 1 == 0).then_some(to) });
            }
            10 => self.command(Command::SyncRecordings(u64::from(with))),
            _ => {}
        }
    }

    fn command(&mut self, command: Command) {
        self.shard.handle_command(command, self.now, &mut self.out);
        self.settle(None);
    }

    fn deliver(&mut self, octets: Vec<u8>, path: Path, far: Option<usize>) {
        let mut lent = octets.clone();
        let came = Came { octets, path, far };
        self.fed += 1;
        self.shard.handle_datagram(&mut lent, path, self.now, &mut self.out);
        self.settle(Some(&came));
        // What nobody vouches for is not kept: spoilt twice in the same way it would be good again.
        if far.is_some() {
            self.recent.push_front(came);
            self.recent.truncate(KEPT);
        }
    }
}
