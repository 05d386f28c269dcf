//! Property: whatever is switched, lost, reordered, repeated, left out or wrapped around, a picture's half is one
//! continuous RTP stream of any codec, no SRTP index is used twice, and no frame comes whose reference was left out.

mod common;

use common::streams::{self, Body, Borne, CODECS, Encoder, back, body, numbers, received};
use common::*;
use luokkasilta_engine::command::Command;
use luokkasilta_engine::event::Event;
use luokkasilta_engine::types::{Codec, Media};
use luokkasilta_engine::wire::dependency::Structure;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::{BTreeMap, BTreeSet, HashSet};

const PUBLISHERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A publisher's next picture, in so many packets; a key frame or not.
    Picture {
        publisher: usize,
        parts: u16,
        key_frame: bool,
    },
    /// The next packet gets lost on its way to us.
    Lose {
        publisher: usize,
    },
    /// The last packet again.
    Repeat {
        publisher: usize,
    },
    /// The next packet is held back until so many others came.
    Hold {
        publisher: usize,
        others: u8,
    },
    Switch {
        to: Option<usize>,
    },
    Level {
        level: Option<u8>,
    },
    Wait {
        ms: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let publisher = 0..PUBLISHERS;
    prop_oneof![
        14 => (publisher.clone(), 1..4_u16, prop::bool::weighted(0.15))
            .prop_map(|(publisher, parts, key_frame)| Step::Picture { publisher, parts, key_frame }),
        1 => publisher.clone().prop_map(|publisher| Step::Lose { publisher }),
        1 => publisher.clone().prop_map(|publisher| Step::Repeat { publisher }),
        1 => (publisher.clone(), 1..7_u8).prop_map(|(publisher, others)| Step::Hold { publisher, others }),
        1 => prop::option::weighted(0.9, publisher).prop_map(|to| Step::Switch { to }),
        2 => prop::option::weighted(0.7, 0..3_u8).prop_map(|level| Step::Level { level }),
        1 => (1..400_i64).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// What a publisher's frame is, by its number.
#[derive(Clone, Copy, Debug)]
struct Frame {
    is_key: bool,
    level: u8,
    /// The frame that it refers to.
    reference: Option<u32>,
}

struct Publisher {
    remote: Remote,
    encoder: Encoder,
    index: u64,
    timestamp: u32,
    frames: Vec<Frame>,
    lose_next: bool,
    hold_next: u8,
    held: Vec<(u8, Vec<u8>, Body)>,
    last: Option<Vec<u8>>,
    /// Frames of which a packet came, lost one, or held one back.
    came: BTreeSet<u32>,
    harmed: BTreeSet<u32>,
}

impl Publisher {
    fn frame(&self, number: u32) -> Frame {
        let since_key = number - self.encoder.key;
        let level = self.encoder.level(number);
        let is_key = since_key == 0;
        let far = match (self.encoder.codec, since_key / 4 % 2, since_key % 4) {
            (Codec::Vp8, 0, at @ 1..) => at,
            (Codec::Vp8, _, 1) => 2,
            (Codec::Vp8, _, 2) => 4,
            _ => u32::from(back(since_key)),
        };
        Frame { is_key, level, reference: (!is_key).then(|| number - far) }
    }

    /// The next picture's packets that come now, in order.
    fn picture(&mut self, ssrc: u32, parts: u16, key_frame: bool) -> Vec<(Vec<u8>, Body)> {
        let packets = self.encoder.next(self.timestamp, parts, key_frame);
        let number = self.encoder.frame - 1;
        self.frames.push(self.frame(number));
        self.timestamp = self.timestamp.wrapping_add(3_000);
        let mut coming = Vec::new();
        for plain in packets {
            let packet = plain.protect(&mut self.remote, ssrc, self.index);
            let body = body(&plain.payload);
            self.index += 1;
            // The first is neither lost nor late: SRTP's roll-over counter begins with it, and it may be near a wrap.
            let is_first = self.last.is_none();
            if std::mem::take(&mut self.lose_next) && !is_first {
                self.harmed.insert(number);
                continue;
            }
            let others = std::mem::take(&mut self.hold_next);
            if others > 0 && !is_first {
                self.harmed.insert(number);
                self.held.push((others, packet, body));
                continue;
            }
            self.last = Some(packet.clone());
            coming.push((packet, body));
            for held in &mut self.held {
                held.0 -= 1;
            }
            let (due, still) = self.held.drain(..).partition(|held| held.0 == 0);
            self.held = still;
            let due: Vec<(u8, Vec<u8>, Body)> = due;
            coming.extend(due.into_iter().map(|(_, packet, body)| (packet, body)));
        }
        coming
    }
}

/// What was seen of a frame in the slot.
#[derive(Clone, Copy, Debug)]
struct Seen {
    timestamp: u32,
    borne: Borne,
}

/// What the receiver got, and what must be true of it.
#[derive(Default)]
struct Receiver {
    structure: Option<Structure>,
    sequences: HashSet<u16>,
    first: Option<u16>,
    span: u16,
    /// Of the run that plays.
    publisher: usize,
    frames: BTreeMap<u32, Seen>,
    /// The last frames of the runs before: of the newest, and of the newest that bore a number.
    newest: Option<u32>,
    newest_id: Option<(u16, u32)>,
    newest_tl0: Option<u8>,
    runs: usize,
}

impl Receiver {
    /// A run is over.
    fn begin(&mut self, publishers: &[Publisher]) {
        if let Some((_, last)) = self.frames.last_key_value() {
            self.newest = Some(last.timestamp);
            if let Some(id) = last.borne.id {
                self.newest_id = Some((id, last.borne.bits));
            }
        }
        if let Some(tl0) = self.newest_base().and_then(|seen| seen.borne.tl0) {
            self.newest_tl0 = Some(tl0);
        }
        self.assert_gaps(publishers);
        self.frames.clear();
        self.runs += 1;
    }

    fn newest_base(&self) -> Option<&Seen> {
        self.frames.values().rev().find(|seen| seen.borne.level == Some(0))
    }

    /// Between two frames that were seen, VP8's picture ids leave out none but what was lost or late.
    fn assert_gaps(&self, publishers: &[Publisher]) {
        for ((one, a), (two, b)) in self.frames.iter().zip(self.frames.iter().skip(1)) {
            let (Some(from), Some(to)) = (a.borne.id, b.borne.id) else { continue };
            if b.borne.tl0.is_none() {
                continue;
            }
            let harmed = publishers[self.publisher].harmed.range(one + 1..*two).count() as u16;
            let steps = to.wrapping_sub(from) & 0x7fff;
            assert!(
                (1..=1 + harmed).contains(&steps),
                "{steps} from frame {one} to {two}, {harmed} of them harmed"
            );
        }
    }

    fn packet(
        &mut self,
        codec: Codec,
        plain: &streams::Plain,
        sequence: u16,
        publishers: &[Publisher],
        begins: bool,
    ) {
        let body = body(&plain.payload);
        let publisher = &publishers[usize::from(body.publisher)];
        let frame = publisher.frames[body.frame as usize];
        assert_eq!(codec, publisher.encoder.codec);
        let borne = numbers(codec, plain, &mut self.structure);
        if begins {
            self.begin(publishers);
            self.publisher = usize::from(body.publisher);
            assert!(frame.is_key && body.part == 0, "a run begins with a key frame, not {body:?}");
        }
        assert_eq!(usize::from(body.publisher), self.publisher, "one source plays at a time");
        assert!(self.sequences.insert(sequence), "sequence number {sequence} twice");
        let first = *self.first.get_or_insert(sequence);
        self.span = self.span.max(sequence.wrapping_sub(first));

        let seen = Seen { timestamp: plain.timestamp, borne };
        if let Some(before) = self.frames.insert(body.frame, seen) {
            assert_eq!((before.timestamp, before.borne), (seen.timestamp, seen.borne), "one frame: {body:?}");
            return;
        }
        let after = |a: u32, b: u32| (b.wrapping_sub(a) as i32) > 0;
        let lower = self.frames.range(..body.frame).next_back();
        let higher = self.frames.range(body.frame + 1..).next();
        if let Some((_, lower)) = lower {
            assert!(after(lower.timestamp, seen.timestamp), "time goes back to {body:?}");
        } else if let Some(newest) = self.newest {
            assert!(after(newest, seen.timestamp), "a run begins after the one before");
        }
        if let Some((_, higher)) = higher {
            assert!(after(seen.timestamp, higher.timestamp), "time goes back after {body:?}");
        }
        if let (Some(id), Some((number, other))) = (borne.id, lower.or(higher)) {
            let mask = ((1_u32 << borne.bits) - 1) as u16;
            let other = other.borne.id.expect("a number");
            if codec != Codec::Vp8 {
                assert_eq!(id.wrapping_sub(other) & mask, (body.frame.wrapping_sub(*number)) as u16 & mask);
            }
        } else if let (Some(id), Some((newest, bits))) = (borne.id, self.newest_id) {
            let mask = ((1_u32 << borne.bits.min(bits)) - 1) as u16;
            assert_eq!(id & mask, newest.wrapping_add(1) & mask, "numbers go on at a switch");
            if let (Some(tl0), Some(newest)) = (borne.tl0, self.newest_tl0) {
                // A base that was lost leaves its number.
                assert!((1..8).contains(&tl0.wrapping_sub(newest)), "TL0PICIDX {tl0} after {newest}");
            }
        }
        let run_begins = *self.frames.first_key_value().expect("this one").0;
        if let Some(reference) = frame.reference.filter(|it| *it >= run_begins && publisher.came.contains(it))
        {
            assert!(
                self.frames.contains_key(&reference),
                "{body:?} refers to {reference}, which came and was left out"
            );
        }
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
    fn one_continuous_stream(
        steps in prop::collection::vec(step(), 1..250),
        codecs in prop::array::uniform3(0..CODECS.len()),
        start in 65_400_u64..65_536,
        gathers in any::<bool>(),
    ) {
        let mut bench = Bench { gathers, ..Bench::default() };
        let mut publishers: Vec<Publisher> = (0..PUBLISHERS)
            .map(|n| {
                let remote = Remote::join(&mut bench, n as u64 + 1);
                let codec = CODECS[codecs[n]];
                streams::publish(&mut bench, &remote, 10 + n as u64, 70 + n as u32, codec);
                let first_id = if codec == Codec::Av1 { 0xfff0 } else { 0x7ff0 } + n as u16;
                Publisher {
                    remote,
                    encoder: Encoder::new(codec, n as u8, first_id, 250),
                    index: start + n as u64 * 1_000,
                    timestamp: u32::MAX - 20_000,
                    frames: Vec::new(),
                    lose_next: false,
                    hold_next: 0,
                    held: Vec::new(),
                    last: None,
                    came: BTreeSet::new(),
                    harmed: BTreeSet::new(),
                }
            })
            .collect();
        let mut school = Remote::join(&mut bench, 9);
        streams::add_slot(&mut bench, &school, slot_ssrc(0, Media::Video));
        school.route(&mut bench, 0, Media::Video, Some(10));
        let mut receiver = Receiver::default();
        let mut level = u8::MAX;
        // Frames that begin after this one have the level that is asked for.
        let mut asked_at = [0; PUBLISHERS];
        for step in steps {
            let coming = match step {
                Step::Picture { publisher, parts, key_frame } => {
                    bench.advance(33 * MS);
                    publishers[publisher].picture(70 + publisher as u32, parts, key_frame)
                }
                Step::Repeat { publisher } => {
                    if let Some(packet) = publishers[publisher].last.clone() {
                        bench.datagram(&packet, publishers[publisher].remote.path);
                        let sent = bench.sent();
                        prop_assert!(school.receive(&sent).rtp.is_empty());
                    }
                    continue;
                }
                Step::Lose { publisher } => { publishers[publisher].lose_next = true; continue }
                Step::Hold { publisher, others } => { publishers[publisher].hold_next = others; continue }
                Step::Switch { to } => {
                    school.route(&mut bench, 0, Media::Video, to.map(|n| 10 + n as u64));
                    continue;
                }
                Step::Level { level: wanted } => {
                    bench.command(Command::SetTemporal { peer: 9, slot: 0, level: wanted });
                    level = wanted.unwrap_or(u8::MAX);
                    for (at, publisher) in asked_at.iter_mut().zip(&publishers) {
                        *at = publisher.encoder.frame;
                    }
                    continue;
                }
                Step::Wait { ms } => { bench.advance(ms * MS); continue }
            };
            for (packet, about) in coming {
                let from = usize::from(about.publisher);
                bench.datagram(&packet, publishers[from].remote.path);
                let sent = bench.sent();
                let mut begins =
                    bench.events().iter().any(|event| matches!(event, Event::SlotSwitched { .. }));
                // receive() panics on a packet that the replay window has seen: an index used twice.
                for (header, packet) in school.receive(&sent).rtp {
                    let (codec, plain) = received(&header, &packet);
                    let number = body(&plain.payload).frame;
                    receiver.packet(codec, &plain, header.sequence, &publishers, begins);
                    begins = false;
                    let has_levels = codec != Codec::H264;
                    // A late one goes by the level of its time.
                    let is_late = publishers[from].came.last().is_some_and(|newest| *newest > number);
                    prop_assert!(
                        number < asked_at[from] || is_late || !has_levels || publishers[from].frames[number as usize].level <= level,
                        "frame {} above level {}", number, level
                    );
                }
                publishers[from].came.insert(about.frame);
            }
        }
        receiver.begin(&publishers);
        let missing = usize::from(receiver.span) + usize::from(receiver.first.is_some()) - receiver.sequences.len();
        let harmed: usize = publishers.iter().map(|it| it.harmed.len() * 3).sum();
        prop_assert!(missing <= harmed, "{} missing, {} harmed", missing, harmed);
        prop_assert_eq!(bench.stats()["counters"]["refused"].as_u64(), Some(0));
    }
}
