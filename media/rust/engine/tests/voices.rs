//! Property: whatever is switched, lost, late, repeated or paused, a voice's half is one continuous RTP stream with and
//! without redundant audio (RFC 2198) on either hop, and each frame has one place and one time in it.

mod common;

use common::*;
use luokkasilta_engine::command::{AddSlot, Command, LayerSpec, Payload, Publish};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::types::{Codec, Media};
use luokkasilta_engine::wire::red::{self, Blocks, Earlier};
use luokkasilta_engine::wire::rtcp;
use luokkasilta_engine::wire::rtp::HeaderFields;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

const RED_IN: u8 = 63;
const RED_OUT: u8 = 64;

#[derive(Clone, Debug)]
enum Step {
    /// 20 ms pass, in which one, both or none speak, each with so many earlier frames along.
    Tick {
        speak: [bool; 2],
        along: [usize; 2],
    },
    Lose {
        publisher: usize,
    },
    /// The next packet is held back until so many others came.
    Hold {
        publisher: usize,
        others: u8,
    },
    Repeat {
        publisher: usize,
    },
    Switch {
        to: Option<usize>,
    },
    /// The receiver says how much it loses, often enough to be believed.
    Report {
        fraction: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let publisher = 0..2_usize;
    let tick = ([prop::bool::weighted(0.9), prop::bool::weighted(0.8)], [0..3_usize, 0..2_usize]);
    prop_oneof![
        14 => tick.prop_map(|(speak, along)| Step::Tick { speak, along }),
        2 => publisher.clone().prop_map(|publisher| Step::Lose { publisher }),
        2 => (publisher.clone(), 1..6_u8).prop_map(|(publisher, others)| Step::Hold { publisher, others }),
        1 => publisher.clone().prop_map(|publisher| Step::Repeat { publisher }),
        1 => prop::option::weighted(0.9, publisher).prop_map(|to| Step::Switch { to }),
        1 => prop_oneof![Just(0_u8), Just(20), Just(90)].prop_map(|fraction| Step::Report { fraction }),
    ]
}

/// A frame by its publisher and the tick in which it was spoken.
type Name = (u8, u32);

fn frame((publisher, tick): Name) -> Vec<u8> {
    // Hybrid, 20 ms, one frame.
    let mut payload = vec![0x78, publisher];
    payload.extend_from_slice(&tick.to_be_bytes());
    payload
}

fn name(payload: &[u8]) -> Name {
    assert_eq!((payload.len(), payload[0]), (6, 0x78));
    (payload[1], u32::from_be_bytes(payload[2..].try_into().expect("four octets")))
}

struct Publisher {
    remote: Remote,
    number: u8,
    first: u64,
    first_timestamp: u32,
    /// Ticks of the frames; the place is the packet's number after `first`.
    spoken: Vec<u32>,
    lose_next: bool,
    hold_next: u8,
    held: Vec<(u8, Vec<u8>)>,
    last: Option<Vec<u8>>,
}

impl Publisher {
    fn speak(&mut self, tick: u32, along: usize) -> Vec<Vec<u8>> {
        let index = self.first + self.spoken.len() as u64;
        let back = |earlier: &u32| (tick - earlier) * 960;
        let earlier: Vec<(u32, Vec<u8>)> = self.spoken[self.spoken.len().saturating_sub(along)..]
            .iter()
            .filter(|earlier| back(earlier) <= red::MAX_OFFSET)
            .map(|earlier| (back(earlier), frame((self.number, *earlier))))
            .collect();
        let earlier: Vec<Earlier<'_>> =
            earlier.iter().map(|(offset, payload)| Earlier { offset: *offset, payload }).collect();
        let timestamp = self.first_timestamp.wrapping_add(tick * 960);
        let mut fields =
            HeaderFields { ..voice_fields(80 + u32::from(self.number), index as u16, timestamp) };
        let mut payload = frame((self.number, tick));
        if along > 0 {
            fields.payload_type = RED_IN;
            payload.clear();
            red::write(&mut payload, 111, &earlier, &frame((self.number, tick)));
        }
        self.spoken.push(tick);
        let packet = self.remote.protect(&fields, index, &payload, None, None);
        let is_first = self.last.is_none();
        if std::mem::take(&mut self.lose_next) && !is_first {
            return Vec::new();
        }
        let others = std::mem::take(&mut self.hold_next);
        if others > 0 && !is_first {
            self.held.push((others, packet));
            return Vec::new();
        }
        self.last = Some(packet.clone());
        self.held.iter_mut().for_each(|held| held.0 -= 1);
        let (due, still): (Vec<_>, Vec<_>) = self.held.drain(..).partition(|held| held.0 == 0);
        self.held = still;
        std::iter::once(packet).chain(due.into_iter().map(|(_, packet)| packet)).collect()
    }
}

/// What the receiver got.
#[derive(Default)]
struct Receiver {
    /// Sequence numbers are one line; the highest, without its wraps.
    highest: Option<i64>,
    /// By number, once.
    own: HashMap<i64, Name>,
    /// Of the run that plays: the place in the slot less that at the source, and the slot's time of each frame.
    shift: Option<i64>,
    times: HashMap<Name, u32>,
    /// Which frame a time of the slot belongs to.
    of_time: HashMap<u32, Name>,
}

impl Receiver {
    fn packet(&mut self, sequence: u16, timestamp: u32, frames: &[(u32, Name)], publishers: &[Publisher]) {
        let highest = self.highest.unwrap_or_else(|| i64::from(sequence));
        let line = highest + i64::from(sequence.wrapping_sub(highest as u16) as i16);
        let Some(((_, own), earlier)) = frames.split_last() else { panic!("no frame") };
        assert_eq!(self.own.insert(line, *own), None, "sequence number twice");
        let publisher = &publishers[usize::from(own.0)];
        let index = publisher.spoken.iter().position(|tick| *tick == own.1).expect("it was spoken");
        let shift = line - index as i64;
        if self.shift.is_none() {
            assert!(self.highest.is_none_or(|highest| line == highest + 1), "a run goes on by one");
        }
        assert_eq!(*self.shift.get_or_insert(shift), shift, "a frame has its own place: {own:?}");
        self.highest = Some(highest.max(line));
        assert_eq!(self.times.insert(*own, timestamp), None, "{own:?} twice");
        for (offset, name) in earlier {
            assert!(
                *offset > 0 && self.times.contains_key(name),
                "{name:?} along, which was not said before"
            );
        }
        for (offset, name) in frames {
            let at = timestamp.wrapping_sub(*offset);
            assert_eq!(self.times.get(name), Some(&at), "one time for {name:?}");
            assert_eq!(*self.of_time.entry(at).or_insert(*name), *name, "one frame for a time");
        }
        for (other, at) in &self.times {
            let truth = i64::from(own.1) - i64::from(other.1);
            assert_eq!(
                i64::from(timestamp.wrapping_sub(*at) as i32).signum(),
                truth.signum(),
                "the order of time"
            );
        }
    }

    fn begin(&mut self) {
        self.shift = None;
        self.times.clear();
    }
}

/// Without what is octet by octet what came before: on a bad line a voice that was late leaves once more.
fn news(seen: &mut HashSet<Vec<u8>>, sent: Vec<(SocketAddr, Vec<u8>)>) -> Vec<(SocketAddr, Vec<u8>)> {
    sent.into_iter().filter(|(_, data)| seen.insert(data.clone())).collect()
}

fn lesson(bench: &mut Bench) -> (Vec<Publisher>, Remote) {
    let publishers = (0..2_u8)
        .map(|number| {
            let remote = Remote::join(bench, u64::from(number) + 1);
            bench.command(Command::Publish(Publish {
                peer: remote.peer,
                source: 10 + u64::from(number),
                media: Media::Audio,
                codec: Codec::Opus,
                mid: "1".to_owned(),
                payload_type: 111,
                rtx_payload_type: None,
                nack: true,
                clock_rate: 48_000,
                layers: vec![LayerSpec { rid: None, ssrc: Some(80 + u32::from(number)), rtx_ssrc: None }],
                mid_extension: None,
                rid_extension: None,
                repaired_rid_extension: None,
                level_extension: None,
                dependency_extension: None,
                red_payload_type: Some(RED_IN),
            }));
            Publisher {
                remote,
                number,
                first: 65_500 + u64::from(number),
                first_timestamp: u32::MAX - 30_000,
                spoken: Vec::new(),
                lose_next: false,
                hold_next: 0,
                held: Vec::new(),
                last: None,
            }
        })
        .collect();
    let school = Remote::join(bench, 9);
    bench.command(Command::AddSlot(AddSlot {
        peer: 9,
        slot: 0,
        media: Media::Audio,
        payloads: vec![Payload { codec: Codec::Opus, payload_type: 109, rtx_payload_type: None }],
        mid: "a".to_owned(),
        clock_rate: 48_000,
        ssrc: slot_ssrc(0, Media::Audio),
        rtx_ssrc: None,
        nack: true,
        mid_extension: None,
        level_extension: None,
        send_time_extension: None,
        dependency_extension: None,
        red_payload_type: Some(RED_OUT),
    }));
    school.route(bench, 0, Media::Audio, Some(10));
    (publishers, school)
}

fn report(school: &mut Remote, bench: &mut Bench, fraction_lost: u8) {
    let block = rtcp::ReportBlock {
        ssrc: slot_ssrc(0, Media::Audio),
        fraction_lost,
        cumulative_lost: 0,
        highest_sequence: 0,
        jitter: 0,
        last_sr: 0,
        delay_since_last_sr: 0,
    };
    for _ in 0..20 {
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 1, &[block]);
        school.send_rtcp(bench, &compound);
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 192,
        rng_seed: RngSeed::Fixed(20_261_124),
        failure_persistence: None,
        ..Config::default()
    })]
    #[test]
    fn one_continuous_voice(steps in prop::collection::vec(step(), 1..250)) {
        let mut bench = Bench::default();
        let (mut publishers, mut school) = lesson(&mut bench);
        let mut receiver = Receiver::default();
        let mut seen = HashSet::new();
        let mut tick = 0;
        for step in steps {
            match step {
                Step::Tick { speak, along } => {
                    tick += 1;
                    bench.advance(20 * MS);
                    for number in (0..2).filter(|number| speak[*number]) {
                        for packet in publishers[number].speak(tick, along[number]) {
                            bench.datagram(&packet, publishers[number].remote.path);
                            let sent = news(&mut seen, bench.sent());
                            if bench.events().iter().any(|event| matches!(event, Event::SlotSwitched { .. })) {
                                receiver.begin();
                            }
                            // receive() panics on an SRTP index that was used before, for other octets.
                            for (header, packet) in school.receive(&sent).rtp {
                                let payload = &packet[header.payload(&packet).expect("a payload")];
                                let frames: Vec<(u32, Name)> = if header.payload_type == RED_OUT {
                                    let blocks = Blocks::parse(payload).expect("RED");
                                    blocks.map(|block| (block.offset, name(block.payload))).collect()
                                } else {
                                    vec![(0, name(payload))]
                                };
                                receiver.packet(header.sequence, header.timestamp, &frames, &publishers);
                            }
                        }
                    }
                }
                Step::Lose { publisher } => publishers[publisher].lose_next = true,
                Step::Hold { publisher, others } => publishers[publisher].hold_next = others,
                Step::Repeat { publisher } => {
                    if let Some(packet) = publishers[publisher].last.clone() {
                        bench.datagram(&packet, publishers[publisher].remote.path);
                        let sent = news(&mut seen, bench.sent());
                        prop_assert!(school.receive(&sent).rtp.is_empty());
                    }
                }
                Step::Switch { to } => school.route(&mut bench, 0, Media::Audio, to.map(|n| 10 + n as u64)),
                Step::Report { fraction } => report(&mut school, &mut bench, fraction),
            }
        }
        prop_assert_eq!(bench.stats()["counters"]["refused"].as_u64(), Some(0));
    }
}
