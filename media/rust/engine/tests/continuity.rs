//! Property: whatever is switched, lost, reordered, repeated or wrapped around, a half is one continuous RTP stream
//! and no SRTP index is used twice.

mod common;

use common::*;
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::vp8::Descriptor;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::{HashMap, HashSet};

#[derive(Clone, Debug)]
enum Step {
    /// A publisher's next picture, in so many packets; a key frame or not.
    Picture {
        publisher: usize,
        packets: u16,
        key_frame: bool,
    },
    /// The next one gets lost on its way to us.
    Lose {
        publisher: usize,
    },
    /// The last packet again.
    Repeat {
        publisher: usize,
    },
    /// The packet before last is held back until now.
    Reorder {
        publisher: usize,
    },
    Switch {
        to: Option<usize>,
    },
    Wait {
        ms: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let publisher = 0..3_usize;
    prop_oneof![
        10 => (publisher.clone(), 1..4_u16, prop::bool::weighted(0.2))
            .prop_map(|(publisher, packets, key_frame)| Step::Picture { publisher, packets, key_frame }),
        1 => publisher.clone().prop_map(|publisher| Step::Lose { publisher }),
        1 => publisher.clone().prop_map(|publisher| Step::Repeat { publisher }),
        1 => publisher.clone().prop_map(|publisher| Step::Reorder { publisher }),
        2 => prop::option::weighted(0.8, publisher).prop_map(|to| Step::Switch { to }),
        2 => (1..400_i64).prop_map(|ms| Step::Wait { ms }),
    ]
}

struct Publisher {
    remote: Remote,
    index: u64,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    last: Option<Vec<u8>>,
    held: Option<Vec<u8>>,
    hold_next: bool,
}

impl Publisher {
    fn picture(&mut self, bench: &mut Bench, source: u32, count: u16, key_frame: bool) {
        for n in 0..count {
            let fields = picture_fields(source, self.index as u16, self.timestamp, n + 1 == count);
            let body = [source as u8, (self.index >> 8) as u8, self.index as u8];
            let payload = vp8(self.picture, self.tl0, key_frame, n == 0, &body);
            let packet = self.remote.protect(&fields, self.index, &payload, None, None);
            self.index += 1;
            if std::mem::take(&mut self.hold_next) {
                self.held = Some(packet);
                continue;
            }
            bench.datagram(&packet, self.remote.path);
            if let Some(held) = self.held.take() {
                bench.datagram(&held, self.remote.path);
            }
            self.last = Some(packet);
        }
        self.timestamp = self.timestamp.wrapping_add(9_000);
        self.picture = (self.picture + 1) & 0x7fff;
        self.tl0 = self.tl0.wrapping_add(1);
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 128,
        rng_seed: RngSeed::Fixed(20_261_124),
        failure_persistence: None,
        ..Config::default()
    })]
    #[test]
    fn one_continuous_stream(
        steps in prop::collection::vec(step(), 1..150),
        start in 65_400_u64..65_536,
        gathers in any::<bool>(),
    ) {
        let mut bench = Bench { gathers, ..Bench::default() };
        let mut publishers: Vec<Publisher> = (0..3_u64)
            .map(|n| {
                let remote = Remote::join(&mut bench, n + 1);
                remote.publish_picture(&mut bench, 10 + n, Some(70 + n as u32));
                Publisher {
                    remote,
                    index: start + n * 1_000,
                    timestamp: u32::MAX - 20_000,
                    picture: 0x7ff0 + n as u16,
                    tl0: 250,
                    last: None,
                    held: None,
                    hold_next: false,
                }
            })
            .collect();
        let mut school = Remote::join(&mut bench, 9);
        school.add_pair(&mut bench, 0);

        let mut seen: HashMap<u16, Vec<u8>> = HashMap::new();
        let mut sequences: Vec<u16> = Vec::new();
        let mut frames: Vec<(u32, u16)> = Vec::new();
        for step in steps {
            match step {
                Step::Picture { publisher, packets, key_frame } => {
                    publishers[publisher].picture(&mut bench, 70 + publisher as u32, packets, key_frame);
                }
                Step::Lose { publisher } => publishers[publisher].index += 1,
                Step::Repeat { publisher } => {
                    if let Some(packet) = publishers[publisher].last.clone() {
                        bench.datagram(&packet, publishers[publisher].remote.path);
                    }
                }
                Step::Reorder { publisher } => publishers[publisher].hold_next = true,
                Step::Switch { to } => school.route(&mut bench, 0, Media::Video, to.map(|n| 10 + n as u64)),
                Step::Wait { ms } => bench.advance(ms * MS),
            }
            // receive() panics on a packet that the replay window has seen: an index used twice.
            for (header, packet) in school.receive(&bench.sent()).rtp {
                let payload = packet[header.payload(&packet).expect("a payload")].to_vec();
                prop_assert!(seen.insert(header.sequence, payload.clone()).is_none(), "sequence number used twice");
                sequences.push(header.sequence);
                let id = Descriptor::parse(&payload).expect("VP8").picture_id.expect("an id").value;
                frames.push((header.timestamp, id));
            }
        }
        // Numbers run on without a hole larger than what was lost or held back.
        let distinct: HashSet<u16> = sequences.iter().copied().collect();
        if let Some(&first) = sequences.first() {
            let span = sequences.iter().map(|sequence| sequence.wrapping_sub(first) as i16).max().unwrap_or(0);
            prop_assert!(i32::from(span) < 2 * distinct.len() as i32 + 40, "span {} of {}", span, distinct.len());
        }
        // One picture id is one timestamp, and a later picture has a later one.
        let mut times: HashMap<u16, u32> = HashMap::new();
        let mut newest: Option<(u32, u16)> = None;
        for (timestamp, id) in frames {
            if let Some(before) = times.insert(id, timestamp) {
                prop_assert_eq!(before, timestamp, "picture {} has two timestamps", id);
                continue;
            }
            if let Some((time, last)) = newest
                && (id.wrapping_sub(last) & 0x7fff) < 0x4000
            {
                prop_assert!((timestamp.wrapping_sub(time) as i32) > 0, "time went back from {} to {}", time, timestamp);
            }
            newest = Some((timestamp, id));
        }
        prop_assert_eq!(bench.stats()["counters"]["refused"].as_u64(), Some(0));
    }
}
