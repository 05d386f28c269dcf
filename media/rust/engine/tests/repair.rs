//! Loss repair on both hops: what a publisher's packets leave missing is asked for, what a receiver misses is sent
//! again, and no packet is played twice.

mod common;

use common::*;
use luokkasilta_engine::repair::cache::PACKETS;
use luokkasilta_engine::types::{Codec, Media};
use luokkasilta_engine::wire::rtcp::Packet;
use luokkasilta_engine::wire::rtp::{Header, HeaderFields};
use luokkasilta_engine::wire::vp8::Descriptor;

const SSRC: u32 = 700;

/// A teacher whose picture (source 10) and voice (source 11) can be repaired, and a school that plays both.
fn lesson() -> (Bench, Remote, Remote) {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    let school = Remote::join(&mut bench, 2);
    teacher.publish_repairable_picture(&mut bench, 10, SSRC);
    teacher.publish_audio(&mut bench, 11, Some(800), true);
    school.add_repairable_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    school.route(&mut bench, 0, Media::Audio, Some(11));
    (bench, teacher, school)
}

/// A tablet whose picture is H.264, and a school that plays it.
fn lesson_of_h264() -> (Bench, Remote, Remote) {
    let mut bench = Bench::default();
    let tablet = Remote::join(&mut bench, 1);
    let school = Remote::join(&mut bench, 2);
    tablet.publish_video(&mut bench, 10, Some(SSRC), Codec::H264, Some(SSRC + 1));
    school.add_repairable_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    (bench, tablet, school)
}

/// The server gets these picture packets.
fn send(bench: &mut Bench, teacher: &mut Remote, which: impl IntoIterator<Item = u16>) {
    for n in which {
        let packet = picture(teacher, n);
        bench.datagram(&packet, teacher.path);
    }
}

/// Picture packet `n`: each is a frame of its own, the first a key frame.
fn picture(teacher: &mut Remote, n: u16) -> Vec<u8> {
    let payload = vp8(100 + n, n as u8, n == 0, true, &[n as u8; 20]);
    let fields = picture_fields(SSRC, 1_000 + n, u32::from(n) * 3_000, true);
    teacher.protect(&fields, u64::from(1_000 + n), &payload, None, None)
}

/// The same packet as a retransmission with the number `rtx`.
fn again(teacher: &mut Remote, n: u16, rtx: u16) -> Vec<u8> {
    let mut payload = (1_000 + n).to_be_bytes().to_vec();
    payload.extend_from_slice(&vp8(100 + n, n as u8, n == 0, true, &[n as u8; 20]));
    let fields = HeaderFields {
        marker: true,
        payload_type: 97,
        sequence: rtx,
        timestamp: u32::from(n) * 3_000,
        ssrc: SSRC + 1,
    };
    teacher.protect(&fields, u64::from(rtx), &payload, None, None)
}

fn nacks(compounds: &[Vec<u8>]) -> Vec<(u32, Vec<u16>)> {
    packets(compounds)
        .into_iter()
        .filter_map(|packet| match packet {
            Packet::Nack { media, lost, .. } => Some((media, lost.collect())),
            _ => None,
        })
        .collect()
}

fn body(packet: &(Header, Vec<u8>)) -> u8 {
    *packet.1.last().expect("a payload")
}

#[test]
fn what_a_publisher_lost_is_asked_for_at_once_and_played_when_it_comes() {
    let (mut bench, mut teacher, mut school) = lesson();
    send(&mut bench, &mut teacher, [0, 1, 4]);
    let sent = bench.sent();
    assert_eq!(nacks(&teacher.receive(&sent).rtcp), [(SSRC, vec![1_002, 1_003])]);
    let before: Vec<u16> = school.receive(&sent).rtp.iter().map(|(header, _)| header.sequence).collect();
    assert_eq!(before[2], before[0] + 4, "their places are kept free");

    bench.advance(20 * MS);
    let late = again(&mut teacher, 3, 50);
    bench.datagram(&late, teacher.path);
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.len(), 1);
    assert_eq!(
        (got[0].0.sequence, got[0].0.ssrc, body(&got[0])),
        (before[0] + 3, slot_ssrc(0, Media::Video), 3)
    );
    assert_eq!(got[0].0.payload_type, 120, "for the receiver it is a packet like any other");

    // The packet itself, late after all, and the retransmission once more: neither is played again.
    let original = picture(&mut teacher, 3);
    bench.datagram(&original, teacher.path);
    let twice = again(&mut teacher, 3, 51);
    bench.datagram(&twice, teacher.path);
    assert!(school.receive(&bench.sent()).rtp.is_empty());

    bench.advance(100 * MS);
    let asked = nacks(&teacher.receive(&bench.sent()).rtcp);
    assert!(!asked.is_empty() && asked.iter().all(|(_, lost)| lost == &[1_002]), "{asked:?}");
    let stats = bench.stats();
    assert_eq!(stats["peers"][0]["sources"][0]["repaired"], 1);
    assert_eq!(stats["counters"]["refused"], 0);
}

#[test]
fn what_is_not_repaired_in_a_second_is_given_up_and_a_key_frame_asked_for() {
    let (mut bench, mut teacher, _school) = lesson();
    send(&mut bench, &mut teacher, [0, 2]);
    let mut asked = 0;
    let mut key_frames = 0;
    for _ in 0..300 {
        bench.advance(10 * MS);
        let compounds = teacher.receive(&bench.sent()).rtcp;
        asked += nacks(&compounds).len();
        key_frames += packets(&compounds)
            .iter()
            .filter(|packet| matches!(packet, Packet::PictureLossIndication { media: SSRC, .. }))
            .count();
    }
    assert!((10..=20).contains(&asked), "{asked}: twice each round trip");
    assert!(key_frames >= 1);
    assert_eq!(bench.stats()["peers"][0]["sources"][0]["given_up"], 1);
}

#[test]
fn a_receiver_gets_a_picture_again_as_a_retransmission_with_the_slots_own_numbers() {
    let (mut bench, mut teacher, mut school) = lesson();
    send(&mut bench, &mut teacher, 0..20);
    let first = school.receive(&bench.sent()).rtp;
    let missed = &first[7];
    school.ask(&mut bench, slot_ssrc(0, Media::Video), &[missed.0.sequence]);
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.len(), 1);
    let (header, packet) = &got[0];
    assert_eq!((header.payload_type, header.ssrc), (121, rtx_ssrc(0)));
    assert_eq!((header.timestamp, header.marker), (missed.0.timestamp, missed.0.marker));
    let payload = &packet[header.payload(packet).expect("a payload")];
    assert_eq!(payload[..2], missed.0.sequence.to_be_bytes());
    let original = &missed.1[missed.0.payload(&missed.1).expect("a payload")];
    assert_eq!(&payload[2..], original, "with the picture numbers that the slot gave it");
    Descriptor::parse(&payload[2..]).expect("VP8");

    school.ask(&mut bench, slot_ssrc(0, Media::Video), &[missed.0.sequence]);
    assert!(school.receive(&bench.sent()).rtp.is_empty(), "not twice in a moment");
    bench.advance(20 * MS);
    school.ask(&mut bench, slot_ssrc(0, Media::Video), &[missed.0.sequence]);
    let second = school.receive(&bench.sent()).rtp;
    assert_eq!(second[0].0.sequence, header.sequence.wrapping_add(1), "each has a number of its own");
    bench.advance(2_000 * MS);
    school.ask(&mut bench, slot_ssrc(0, Media::Video), &[missed.0.sequence]);
    assert!(school.receive(&bench.sent()).rtp.is_empty(), "too old to be played");
}

#[test]
fn a_voice_is_repaired_on_both_hops_by_the_very_same_octets() {
    let (mut bench, mut teacher, mut school) = lesson();
    let mut spoken: Vec<Vec<u8>> = (0..10_u16)
        .map(|n| {
            let fields = voice_fields(800, n, u32::from(n) * 960);
            teacher.protect(&fields, u64::from(n), &[n as u8; 30], Some(20), None)
        })
        .collect();
    let lost = spoken.remove(4);
    for packet in &spoken {
        bench.datagram(packet, teacher.path);
    }
    let sent = bench.sent();
    assert_eq!(nacks(&teacher.receive(&sent).rtcp), [(800, vec![4])]);
    let raw: Vec<Vec<u8>> = sent
        .iter()
        .filter(|(to, data)| *to == school.path.remote && data[0] >> 6 == 2)
        .map(|(_, data)| data.clone())
        .collect();
    let heard = school.receive(&sent).rtp;
    bench.datagram(&lost, teacher.path);
    let repaired = school.receive(&bench.sent()).rtp;
    assert_eq!((repaired.len(), body(&repaired[0])), (1, 4));
    bench.datagram(&lost, teacher.path);
    assert!(bench.sent().is_empty(), "a replay is no repair");

    bench.advance(20 * MS);
    bench.sent();
    school.ask(&mut bench, slot_ssrc(0, Media::Audio), &[heard[2].0.sequence]);
    let again = bench.sent();
    assert_eq!(again.len(), 1);
    assert!(raw.contains(&again[0].1), "an SRTP index never protects two texts");
}

#[test]
fn a_key_frame_whose_first_packet_comes_last_is_played_whole() {
    let (mut bench, mut teacher, mut school) = lesson();
    let mut key_frame: Vec<Vec<u8>> = (0..4_u16)
        .map(|n| {
            let payload = vp8(40, 1, true, n == 0, &[n as u8; 50]);
            let fields = picture_fields(SSRC, n, 0, n == 3);
            teacher.protect(&fields, u64::from(n), &payload, None, None)
        })
        .collect();
    let first = key_frame.remove(0);
    for packet in &key_frame {
        bench.datagram(packet, teacher.path);
    }
    assert!(school.receive(&bench.sent()).rtp.is_empty());
    bench.datagram(&first, teacher.path);
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.iter().map(body).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(got.windows(2).all(|pair| pair[1].0.sequence == pair[0].0.sequence.wrapping_add(1)));
    assert!(got[3].0.marker && got.iter().all(|(header, _)| header.timestamp == got[0].0.timestamp));
}

#[test]
fn who_asks_for_everything_gets_a_bounded_share_and_costs_nobody_else() {
    let (mut bench, mut teacher, mut school) = lesson();
    let mut sequences = Vec::new();
    for n in 0..400_u16 {
        let payload = vp8(n, n as u8, n == 0, true, &[1; 1_150]);
        let packet = teacher.protect(
            &picture_fields(SSRC, n, u32::from(n) * 300, true),
            u64::from(n),
            &payload,
            None,
            None,
        );
        bench.datagram(&packet, teacher.path);
        sequences.extend(school.receive(&bench.sent()).rtp.iter().map(|(header, _)| header.sequence));
    }
    let mut resent = 0;
    for _ in 0..20 {
        bench.advance(11 * MS);
        bench.sent();
        school.ask(&mut bench, slot_ssrc(0, Media::Video), &sequences);
        resent += bench.sent().iter().map(|(_, data)| data.len()).sum::<usize>();
    }
    assert!(resent < 160 * 1_024, "{resent} octets");
    let peer = bench.stats()["peers"][1].clone();
    assert_eq!(peer["nacked"], 8_000);
    assert!(peer["not_resent"].as_u64() > Some(1_000));
    assert!(sequences.len() <= PACKETS);
}

#[test]
fn questions_about_nothing_are_not_answered() {
    let (mut bench, mut teacher, mut school) = lesson();
    send(&mut bench, &mut teacher, [0]);
    bench.sent();
    school.ask(&mut bench, slot_ssrc(0, Media::Video), &(0..600).map(|n| n * 100).collect::<Vec<u16>>());
    school.ask(&mut bench, 424_242, &[1, 2, 3]);
    school.ask(&mut bench, rtx_ssrc(0), &[1, 2, 3]);
    assert!(school.receive(&bench.sent()).rtp.is_empty());
}

#[test]
fn retransmissions_that_probe_or_lie_are_harmless() {
    let (mut bench, mut teacher, mut school) = lesson();
    let early = again(&mut teacher, 9, 1);
    bench.datagram(&early, teacher.path);
    send(&mut bench, &mut teacher, [0]);
    bench.sent();
    for (rtx, payload) in [(2_u16, &b""[..]), (3, &[3]), (4, &[3, 0xe8]), (5, &[0x7f, 0xff, 0xff])] {
        let fields =
            HeaderFields { marker: false, payload_type: 97, sequence: rtx, timestamp: 0, ssrc: SSRC + 1 };
        let packet = teacher.protect(&fields, u64::from(rtx), payload, None, None);
        bench.datagram(&packet, teacher.path);
    }
    assert!(school.receive(&bench.sent()).rtp.is_empty());
    let stats = bench.stats();
    assert_eq!(stats["counters"]["refused"], 0);
}

#[test]
fn h264_waits_for_its_parameters_and_plays_what_came_before_them() {
    let (mut bench, mut tablet, mut school) = lesson_of_h264();
    let payloads: [&[u8]; 3] = [&[0x67, 0x42, 0xe0, 0x1f], &[0x65, 1, 2, 3], &[0x41, 4]];
    let packets: Vec<Vec<u8>> = (0_u16..)
        .zip(payloads)
        .map(|(n, payload)| {
            let fields = picture_fields(SSRC, n, 0, n > 0);
            tablet.protect(&fields, u64::from(n), payload, None, None)
        })
        .collect();
    bench.datagram(&packets[1], tablet.path);
    bench.datagram(&packets[2], tablet.path);
    assert!(school.receive(&bench.sent()).rtp.is_empty(), "it could not be decoded");
    bench.datagram(&packets[0], tablet.path);
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.iter().map(body).collect::<Vec<_>>(), [0x1f, 3, 4]);
}

#[test]
fn h264_begins_at_a_key_frame_and_is_repaired_under_its_own_payload_type() {
    let (mut bench, mut tablet, mut school) = lesson_of_h264();
    // A slice that is none of a key frame, then a parameter set, an instantaneous refresh, a slice.
    for (n, payload) in
        [&[0x41, 9, 9][..], &[0x67, 0x42, 0xe0, 0x1f], &[0x65, 1, 2, 3], &[0x41, 4]].iter().enumerate()
    {
        let fields = picture_fields(SSRC, n as u16, n as u32 * 3_000, true);
        tablet.send_rtp(&mut bench, &fields, n as u64, payload, None, None);
    }
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|(header, _)| header.payload_type == 122));
    assert!(got[1].1.ends_with(&[0x65, 1, 2, 3]), "nothing in it is rewritten");
    school.ask(&mut bench, slot_ssrc(0, Media::Video), &[got[1].0.sequence]);
    let again = school.receive(&bench.sent()).rtp;
    assert_eq!(again[0].0.payload_type, 123);
    assert!(again[0].1.ends_with(&[0x65, 1, 2, 3]));
}
