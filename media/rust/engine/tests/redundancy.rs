//! Redundant audio (RFC 2198) on both hops: receivers that lose much get earlier frames along, and what publishers send
//! along fills gaps.

mod common;

use common::*;
use luokkasilta_engine::command::{AddSlot, Command, LayerSpec, Payload, Publish};
use luokkasilta_engine::types::{Codec, Media};
use luokkasilta_engine::wire::red::{self, Blocks, Earlier};
use luokkasilta_engine::wire::rtcp::{self, Packet};
use luokkasilta_engine::wire::rtp::HeaderFields;
use std::collections::HashMap;

const VOICE: u32 = 800;
const RED_IN: u8 = 63;
const RED_OUT: u8 = 64;
/// Hybrid, 20 ms, one frame.
const TOC: u8 = 0x78;

fn lesson(nack: bool) -> (Bench, Remote, Remote) {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    let school = Remote::join(&mut bench, 2);
    publish(&mut bench, &teacher, 11, nack);
    bench.command(Command::AddSlot(AddSlot {
        peer: 2,
        slot: 0,
        media: Media::Audio,
        payloads: vec![Payload { codec: Codec::Opus, payload_type: 109, rtx_payload_type: None }],
        mid: "a".to_owned(),
        clock_rate: 48_000,
        ssrc: slot_ssrc(0, Media::Audio),
        rtx_ssrc: None,
        nack: true,
        mid_extension: None,
        level_extension: Some(LEVEL_EXTENSION),
        send_time_extension: None,
        dependency_extension: None,
        red_payload_type: Some(RED_OUT),
    }));
    school.route(&mut bench, 0, Media::Audio, Some(11));
    (bench, teacher, school)
}

fn publish(bench: &mut Bench, teacher: &Remote, source: u64, nack: bool) {
    bench.command(Command::Publish(Publish {
        peer: teacher.peer,
        source,
        media: Media::Audio,
        codec: Codec::Opus,
        mid: "1".to_owned(),
        payload_type: 111,
        rtx_payload_type: None,
        nack,
        clock_rate: 48_000,
        layers: vec![LayerSpec { rid: None, ssrc: Some(VOICE), rtx_ssrc: None }],
        mid_extension: None,
        rid_extension: None,
        repaired_rid_extension: None,
        level_extension: Some(LEVEL_EXTENSION),
        dependency_extension: None,
        red_payload_type: Some(RED_IN),
    }));
}

/// Frame `n`: 20 ms of Opus.
fn frame(n: u16) -> Vec<u8> {
    let mut payload = vec![TOC];
    payload.extend_from_slice(&n.to_be_bytes());
    payload.extend_from_slice(&[7; 60]);
    payload
}

fn number(payload: &[u8]) -> u16 {
    u16::from_be_bytes([payload[1], payload[2]])
}

/// Frame `n` in a packet with its own number, the frames so far back along with it; plain where there are none.
fn spoken(teacher: &mut Remote, n: u16, backs: &[u16]) -> Vec<u8> {
    let earlier: Vec<(u32, Vec<u8>)> =
        backs.iter().map(|back| (u32::from(*back) * 960, frame(n - back))).collect();
    let earlier: Vec<Earlier<'_>> =
        earlier.iter().map(|(offset, payload)| Earlier { offset: *offset, payload }).collect();
    let mut payload = frame(n);
    let mut fields = HeaderFields { ..voice_fields(VOICE, n, u32::from(n) * 960) };
    if !backs.is_empty() {
        fields.payload_type = RED_IN;
        payload.clear();
        red::write(&mut payload, 111, &earlier, &frame(n));
    }
    teacher.protect(&fields, u64::from(n), &payload, Some(0x85), None)
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
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 1, &[block]);
    school.send_rtcp(bench, &compound);
}

/// What the school got: (sequence number, timestamp, payload type, frames as (ticks back, number)).
type Heard = (u16, u32, u8, Vec<(u32, u16)>);

fn heard(school: &mut Remote, bench: &mut Bench) -> Vec<Heard> {
    let sent = bench.sent();
    let packets = school.receive(&sent).rtp;
    packets
        .iter()
        .map(|(header, packet)| {
            let payload = &packet[header.payload(packet).expect("a payload")];
            let frames = if header.payload_type == RED_OUT {
                let blocks: Vec<_> = Blocks::parse(payload).expect("RED").collect();
                assert!(
                    blocks.iter().all(|block| block.payload_type == 109),
                    "the receiver's own name of it"
                );
                blocks.iter().map(|block| (block.offset, number(block.payload))).collect()
            } else {
                assert_eq!(header.payload_type, 109);
                vec![(0, number(payload))]
            };
            (header.sequence, header.timestamp, header.payload_type, frames)
        })
        .collect()
}

#[test]
fn a_receiver_that_loses_much_gets_earlier_frames_along_until_it_does_not() {
    let (mut bench, mut teacher, mut school) = lesson(false);
    let mut n = 100;
    let mut say = |bench: &mut Bench, school: &mut Remote, count: u16| {
        let mut all = Vec::new();
        for _ in 0..count {
            n += 1;
            bench.advance(20 * MS);
            let packet = spoken(&mut teacher, n, &[]);
            bench.datagram(&packet, teacher.path);
            all.extend(heard(school, bench).into_iter().map(|heard| (heard, n)));
        }
        all
    };
    assert!(say(&mut bench, &mut school, 5).iter().all(|(heard, _)| heard.2 == 109));
    for (fraction, backs) in [(20_u8, &[2_u16][..]), (80, &[2, 1]), (0, &[])] {
        (0..20).for_each(|_| report(&mut school, &mut bench, fraction));
        for ((_, _, payload_type, frames), n) in say(&mut bench, &mut school, 5) {
            let mut expected: Vec<(u32, u16)> =
                backs.iter().map(|back| (u32::from(*back) * 960, n - back)).collect();
            expected.push((0, n));
            assert_eq!(frames, expected, "at a loss of {fraction}/256");
            assert_eq!(payload_type, if backs.is_empty() { 109 } else { RED_OUT });
        }
    }
    assert_eq!(bench.stats()["peers"][1]["slots"][0]["redundant"], 10);
}

#[test]
fn another_voice_does_not_repeat_what_the_one_before_said() {
    let (mut bench, mut teacher, mut school) = lesson(false);
    let mut other = Remote::join(&mut bench, 3);
    publish(&mut bench, &other, 21, false);
    (0..20).for_each(|_| report(&mut school, &mut bench, 80));
    for n in 100..103 {
        let packet = spoken(&mut teacher, n, &[]);
        bench.datagram(&packet, teacher.path);
    }
    school.route(&mut bench, 0, Media::Audio, Some(21));
    let packet = spoken(&mut other, 500, &[]);
    bench.datagram(&packet, other.path);
    let all = heard(&mut school, &mut bench);
    assert_eq!(all.last().expect("heard").3, [(0, 500)]);
    assert_eq!(all[2].3, [(1_920, 100), (960, 101), (0, 102)]);
}

#[test]
fn a_repeated_packet_is_the_same_octets_with_and_without_redundancy() {
    let (mut bench, mut teacher, mut school) = lesson(false);
    (0..20).for_each(|_| report(&mut school, &mut bench, 80));
    let mut left = Vec::new();
    for n in 100..104 {
        let packet = spoken(&mut teacher, n, &[]);
        bench.datagram(&packet, teacher.path);
        left.extend(bench.sent());
    }
    let media: Vec<_> = left.iter().filter(|(_, data)| data[1] & 0x7f == RED_OUT).collect();
    let sequence = u16::from_be_bytes([media[3].1[2], media[3].1[3]]);
    (0..20).for_each(|_| report(&mut school, &mut bench, 0));
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 1, &[]);
    rtcp::write_nack(&mut compound, 1, slot_ssrc(0, Media::Audio), &[sequence]);
    school.send_rtcp(&mut bench, &compound);
    let again = bench.sent();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].1, media[3].1, "what left, whatever would leave now");
}

#[test]
fn what_a_publisher_sends_along_fills_the_gap_and_only_that() {
    let (mut bench, mut teacher, mut school) = lesson(true);
    let mut late = Vec::new();
    for n in 100..110_u16 {
        let packet = spoken(&mut teacher, n, if n > 101 { &[2, 1] } else { &[] });
        bench.advance(20 * MS);
        match n {
            103 | 104 | 107 => late.push(packet),
            _ => bench.datagram(&packet, teacher.path),
        }
    }
    for packet in &late {
        bench.datagram(packet, teacher.path);
    }
    let sent = bench.sent();
    let asked = packets(&teacher.receive(&sent).rtcp).into_iter().any(|it| matches!(it, Packet::Nack { .. }));
    assert!(!asked, "what came along need not be asked for");
    let packets = school.receive(&sent).rtp;
    let got: Vec<(u16, u32, u16)> = packets
        .iter()
        .map(|(header, packet)| {
            let payload = &packet[header.payload(packet).expect("a payload")];
            (header.sequence, header.timestamp, number(payload))
        })
        .collect();
    assert_eq!(got.iter().map(|it| it.2).collect::<Vec<_>>(), (100..110).collect::<Vec<_>>());
    for pair in got.windows(2) {
        assert_eq!(pair[1].0, pair[0].0.wrapping_add(1));
        assert_eq!(pair[1].1, pair[0].1.wrapping_add(960));
    }
    let levels: Vec<bool> = packets
        .iter()
        .map(|(header, packet)| header.extensions(packet).any(|(id, _)| id == LEVEL_EXTENSION))
        .collect();
    assert_eq!(levels.iter().filter(|has| !**has).count(), 3, "the level is of the packet's own frame");
    let stats = bench.stats();
    assert_eq!(stats["peers"][0]["sources"][0]["recovered"], 3);
    assert_eq!(stats["peers"][0]["sources"][0]["lost"], 3, "reports are about the line, which was late");
    assert_eq!(stats["peers"][0]["unexpected"], 0);
}

#[test]
fn malformed_redundancy_is_counted_and_not_played() {
    let (mut bench, mut teacher, mut school) = lesson(false);
    let good = spoken(&mut teacher, 100, &[]);
    bench.datagram(&good, teacher.path);
    let mut own_of_another_type = Vec::new();
    red::write(&mut own_of_another_type, 110, &[], &frame(1));
    let bad: [&[u8]; 4] =
        [&[0xff; 30], &[0xef, 0x0f, 0x00, 0x04, 0x6f, 1, 2, 3], &[0xef], &own_of_another_type];
    for (n, payload) in (101_u16..).zip(bad) {
        let fields = HeaderFields { payload_type: RED_IN, ..voice_fields(VOICE, n, u32::from(n) * 960) };
        let packet = teacher.protect(&fields, u64::from(n), payload, None, None);
        bench.datagram(&packet, teacher.path);
    }
    // Its own frame is good, the one before it is no Opus.
    let mut payload = Vec::new();
    red::write(&mut payload, 111, &[Earlier { offset: 960, payload: &[0x7b, 0] }], &frame(106));
    let fields = HeaderFields { payload_type: RED_IN, ..voice_fields(VOICE, 106, 106 * 960) };
    let packet = teacher.protect(&fields, 106, &payload, None, None);
    bench.datagram(&packet, teacher.path);
    let numbers: Vec<u16> = heard(&mut school, &mut bench).iter().map(|it| it.3[0].1).collect();
    assert_eq!(numbers, [100, 106]);
    assert_eq!(bench.stats()["peers"][0]["unexpected"], 4);
}

/// Gilbert-Elliott: 5 % lost on average, in bursts of 3.3 packets, as in loss.rs; or 10 %.
struct Line {
    state: u64,
    is_bad: bool,
    begins: f64,
}

impl Line {
    fn loses(&mut self) -> bool {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let toss = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        self.is_bad = if self.is_bad { toss >= 0.3 } else { toss < self.begins };
        self.is_bad
    }
}

/// Frames in 10,000 that a receiver has which asks for nothing again (Firefox does not), with and without what packets
/// carry along, and how many packets carried something.
fn over_a_bad_line(seed: u64, begins: f64) -> (usize, usize, u64) {
    const FRAMES: u16 = 10_000;
    let (mut bench, mut teacher, mut school) = lesson(false);
    let mut line = Line { state: seed, is_bad: false, begins };
    let mut own: HashMap<u16, ()> = HashMap::new();
    let mut any: HashMap<u16, ()> = HashMap::new();
    let (mut sent_in_second, mut lost_in_second) = (0_u32, 0_u32);
    for n in 0..FRAMES {
        bench.advance(20 * MS);
        let packet = spoken(&mut teacher, n, &[]);
        bench.datagram(&packet, teacher.path);
        for (_, _, _, frames) in heard(&mut school, &mut bench) {
            sent_in_second += 1;
            if line.loses() {
                lost_in_second += 1;
                continue;
            }
            for (offset, number) in frames {
                if offset == 0 {
                    own.insert(number, ());
                }
                any.insert(number, ());
            }
        }
        if n % 50 == 49 {
            let fraction = (256 * lost_in_second / sent_in_second.max(1)).min(255) as u8;
            (sent_in_second, lost_in_second) = (0, 0);
            report(&mut school, &mut bench, fraction);
        }
    }
    let redundant = bench.stats()["peers"][1]["slots"][0]["redundant"].as_u64().expect("a count");
    (own.len(), any.len(), redundant)
}

#[test]
fn a_receiver_that_cannot_ask_again_misses_fewer_frames() {
    for (seed, begins, name) in [(1, 0.0158, "5 %"), (2, 0.0333, "10 %"), (3, 0.06, "17 %")] {
        let (own, any, redundant) = over_a_bad_line(seed, begins);
        println!(
            "{name}: {own} of 10,000 frames by themselves, {any} with those along, {redundant} packets with any"
        );
        assert!((10_000 - any) * 10 < (10_000 - own) * 8, "{name}: {own} and {any}");
        assert!(redundant > 2_000);
    }
}

#[test]
fn on_a_good_line_nothing_is_carried_along() {
    let (own, any, redundant) = over_a_bad_line(1, 0.001);
    assert_eq!((own, redundant), (any, 0));
}
