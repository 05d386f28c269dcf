//! What a receiver gets of what publishers send: one continuous stream per half, whatever plays in it.

mod common;

use common::*;
use luokkasilta_engine::command::Command;
use luokkasilta_engine::event::Event;
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::rtp::Header;
use luokkasilta_engine::wire::vp8::Descriptor;

fn ids(packet: &(Header, Vec<u8>)) -> (u16, u8) {
    let payload = packet.0.payload(&packet.1).expect("a payload");
    let descriptor = Descriptor::parse(&packet.1[payload]).expect("VP8");
    (descriptor.picture_id.expect("a picture id").value, descriptor.tl0_picture_index.expect("TL0PICIDX"))
}

fn extension(packet: &(Header, Vec<u8>), id: u8) -> Option<Vec<u8>> {
    packet.0.extensions(&packet.1).find(|(found, _)| *found == id).map(|(_, value)| value.to_vec())
}

#[test]
fn a_picture_begins_with_a_key_frame_under_the_slots_own_names() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_picture(&mut bench, 10, Some(777));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));

    teacher.send_rtp(
        &mut bench,
        &picture_fields(777, 5, 0, true),
        5,
        &vp8(40, 9, false, true, b"delta"),
        None,
        None,
    );
    assert!(school.receive(&bench.sent()).rtp.is_empty(), "a picture can't begin with a delta frame");

    teacher.send_rtp(
        &mut bench,
        &picture_fields(777, 6, 3000, true),
        6,
        &vp8(41, 10, true, true, b"key"),
        None,
        None,
    );
    let got = school.receive(&bench.sent());
    assert_eq!(got.rtp.len(), 1);
    let (header, packet) = &got.rtp[0];
    assert_eq!((header.payload_type, header.ssrc, header.marker), (120, slot_ssrc(0, Media::Video), true));
    assert_eq!(extension(&got.rtp[0], MID_EXTENSION).as_deref(), Some(&b"0video"[..]));
    assert_eq!(extension(&got.rtp[0], SEND_TIME_EXTENSION).map(|value| value.len()), Some(3));
    assert!(packet.ends_with(b"key"));
    assert!(bench.events().contains(&Event::SlotSwitched {
        peer: 2,
        slot: 0,
        media: Media::Video,
        source: 10,
        layer: 0
    }));
}

#[test]
fn a_switch_continues_numbers_and_waits_for_the_key_frame() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut two = Remote::join(&mut bench, 2);
    let mut school = Remote::join(&mut bench, 3);
    one.publish_picture(&mut bench, 10, Some(71));
    two.publish_picture(&mut bench, 20, Some(72));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    one.send_rtp(
        &mut bench,
        &picture_fields(71, 100, 0, true),
        100,
        &vp8(500, 3, true, true, b"a"),
        None,
        None,
    );
    one.send_rtp(
        &mut bench,
        &picture_fields(71, 101, 3000, true),
        101,
        &vp8(501, 4, false, true, b"b"),
        None,
        None,
    );
    school.route(&mut bench, 0, Media::Video, Some(20));
    bench.advance(10 * MS);
    two.send_rtp(&mut bench, &picture_fields(72, 7, 0, true), 7, &vp8(9, 200, false, true, b"x"), None, None);
    one.send_rtp(
        &mut bench,
        &picture_fields(71, 102, 6000, true),
        102,
        &vp8(502, 5, false, true, b"c"),
        None,
        None,
    );
    two.send_rtp(
        &mut bench,
        &picture_fields(72, 8, 3000, true),
        8,
        &vp8(10, 201, true, true, b"y"),
        None,
        None,
    );
    one.send_rtp(
        &mut bench,
        &picture_fields(71, 103, 9000, true),
        103,
        &vp8(503, 6, false, true, b"d"),
        None,
        None,
    );

    let got = school.receive(&bench.sent()).rtp;
    let bodies: Vec<u8> = got.iter().map(|(_, packet)| *packet.last().expect("a body")).collect();
    assert_eq!(bodies, b"abcy", "the old picture goes on until the new key frame, and not after it");
    let first = got[0].0.sequence;
    let (first_id, first_tl0) = ids(&got[0]);
    for (n, packet) in (0_u16..).zip(&got) {
        assert_eq!(packet.0.sequence, first.wrapping_add(n));
        let (id, tl0) = ids(packet);
        assert_eq!(id, first_id.wrapping_add(n) & 0x7fff);
        assert_eq!(tl0, first_tl0.wrapping_add(n as u8));
    }
    for pair in got.windows(2) {
        assert!(pair[1].0.timestamp.wrapping_sub(pair[0].0.timestamp) < 1 << 31, "timestamps go forward");
    }
}

#[test]
fn an_old_picture_does_not_outlive_its_time() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let two = Remote::join(&mut bench, 2);
    let mut school = Remote::join(&mut bench, 3);
    one.publish_picture(&mut bench, 10, Some(71));
    two.publish_picture(&mut bench, 20, Some(72));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    one.send_rtp(&mut bench, &picture_fields(71, 1, 0, true), 1, &vp8(1, 1, true, true, b""), None, None);
    school.route(&mut bench, 0, Media::Video, Some(20));
    bench.advance(1_900 * MS);
    one.send_rtp(&mut bench, &picture_fields(71, 2, 3000, true), 2, &vp8(2, 2, false, true, b""), None, None);
    assert_eq!(school.receive(&bench.sent()).rtp.len(), 2);
    bench.advance(200 * MS);
    one.send_rtp(&mut bench, &picture_fields(71, 3, 6000, true), 3, &vp8(3, 3, false, true, b""), None, None);
    assert!(school.receive(&bench.sent()).rtp.is_empty());
}

#[test]
fn an_emptied_half_is_silent_at_once() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 3);
    one.publish_picture(&mut bench, 10, Some(71));
    one.publish_voice(&mut bench, 11, Some(81));
    school.add_pair(&mut bench, 0);
    for (media, source) in [(Media::Video, 10), (Media::Audio, 11)] {
        school.route(&mut bench, 0, media, Some(source));
    }
    one.send_rtp(&mut bench, &picture_fields(71, 1, 0, true), 1, &vp8(1, 1, true, true, b""), None, None);
    one.send_rtp(&mut bench, &voice_fields(81, 1, 0), 1, b"opus", Some(0x85), None);
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.len(), 2);
    assert_eq!(extension(&got[1], LEVEL_EXTENSION), Some(vec![0x85]), "the level is handed on");
    for media in [Media::Video, Media::Audio] {
        school.route(&mut bench, 0, media, None);
    }
    one.send_rtp(&mut bench, &picture_fields(71, 2, 3000, true), 2, &vp8(2, 2, false, true, b""), None, None);
    one.send_rtp(&mut bench, &voice_fields(81, 2, 960), 2, b"opus", Some(5), None);
    assert!(school.receive(&bench.sent()).rtp.is_empty());
}

#[test]
fn a_voice_switches_at_once_and_its_old_source_is_not_heard_again() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut two = Remote::join(&mut bench, 2);
    let mut school = Remote::join(&mut bench, 3);
    one.publish_voice(&mut bench, 11, Some(81));
    two.publish_voice(&mut bench, 21, Some(82));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Audio, Some(11));
    one.send_rtp(&mut bench, &voice_fields(81, 65_535, 0), 65_535, b"1", None, None);
    school.route(&mut bench, 0, Media::Audio, Some(21));
    one.send_rtp(&mut bench, &voice_fields(81, 0, 960), 65_536, b"1", None, None);
    two.send_rtp(&mut bench, &voice_fields(82, 9, 0), 9, b"2", None, None);
    let got = school.receive(&bench.sent()).rtp;
    let bodies: Vec<u8> = got.iter().map(|(_, packet)| *packet.last().expect("a body")).collect();
    assert_eq!(bodies, b"12");
    assert_eq!(got[1].0.sequence, got[0].0.sequence.wrapping_add(1));
    assert!(
        got[1].0.timestamp.wrapping_sub(got[0].0.timestamp) >= 960,
        "the last packet still plays for 20 ms"
    );
}

#[test]
fn an_unannounced_stream_is_known_by_its_mid_and_no_other_way() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    one.publish_voice(&mut bench, 11, None);
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Audio, Some(11));
    one.send_rtp(&mut bench, &voice_fields(5, 1, 0), 1, b"a", None, None);
    one.send_rtp(&mut bench, &voice_fields(6, 1, 0), 1, b"b", None, Some("9"));
    one.send_rtp(&mut bench, &voice_fields(7, 1, 0), 1, b"c", None, Some("1"));
    one.send_rtp(&mut bench, &voice_fields(7, 2, 960), 2, b"d", None, None);
    let mut wrong_type = voice_fields(7, 3, 1920);
    wrong_type.payload_type = 0;
    one.send_rtp(&mut bench, &wrong_type, 3, b"e", None, None);
    let bodies: Vec<u8> =
        school.receive(&bench.sent()).rtp.iter().map(|(_, packet)| *packet.last().expect("a body")).collect();
    assert_eq!(bodies, b"cd");
    assert_eq!(bench.stats()["peers"][0]["unexpected"], 3);
}

#[test]
fn a_publisher_that_begins_a_new_stream_begins_a_new_run() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    one.publish_picture(&mut bench, 10, None);
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    one.send_rtp(
        &mut bench,
        &picture_fields(5, 900, 0, true),
        900,
        &vp8(1, 1, true, true, b"a"),
        None,
        Some("0"),
    );
    one.send_rtp(
        &mut bench,
        &picture_fields(6, 3, 77, true),
        3,
        &vp8(7, 7, false, true, b"b"),
        None,
        Some("0"),
    );
    one.send_rtp(&mut bench, &picture_fields(6, 4, 3077, true), 4, &vp8(8, 8, true, true, b"c"), None, None);
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.len(), 2);
    assert_eq!(got[1].0.sequence, got[0].0.sequence.wrapping_add(1));
}

#[test]
fn padding_alone_is_not_forwarded_and_leaves_no_gap() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    one.publish_voice(&mut bench, 11, Some(81));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Audio, Some(11));
    one.send_rtp(&mut bench, &voice_fields(81, 1, 0), 1, b"a", None, None);
    one.send_rtp(&mut bench, &voice_fields(81, 2, 960), 2, b"", None, None);
    one.send_rtp(&mut bench, &voice_fields(81, 3, 1920), 3, b"c", None, None);
    let got = school.receive(&bench.sent()).rtp;
    assert_eq!(got.len(), 2);
    assert_eq!(got[1].0.sequence, got[0].0.sequence.wrapping_add(1));
}

#[test]
fn a_packet_that_comes_twice_is_forwarded_once() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    one.publish_voice(&mut bench, 11, Some(81));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Audio, Some(11));
    let packet = one.protect(&voice_fields(81, 1, 0), 1, b"a", None, None);
    for _ in 0..3 {
        bench.datagram(&packet, one.path);
    }
    assert_eq!(school.receive(&bench.sent()).rtp.len(), 1);
    assert_eq!(bench.stats()["peers"][0]["replayed"], 2);
}

#[test]
fn a_removed_peer_leaves_nothing_behind() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    one.publish_voice(&mut bench, 11, Some(81));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Audio, Some(11));
    bench.command(Command::RemovePeer(2));
    one.send_rtp(&mut bench, &voice_fields(81, 1, 0), 1, b"a", None, None);
    assert!(school.receive(&bench.sent()).rtp.is_empty());
    bench.command(Command::RemovePeer(1));
    let stats = bench.stats();
    assert_eq!(stats["peers"].as_array().map(Vec::len), Some(0));
    school.check(&mut bench, true);
    assert!(bench.sent().is_empty(), "a peer that is gone is not answered");
}

#[test]
fn a_receiver_that_leaves_between_two_pictures_is_forgotten_by_both() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let two = Remote::join(&mut bench, 2);
    let mut school = Remote::join(&mut bench, 3);
    one.publish_picture(&mut bench, 10, None);
    two.publish_picture(&mut bench, 20, Some(72));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    let mut send = |bench: &mut Bench, ssrc, n: u16, payload: &[u8]| {
        one.send_rtp(bench, &picture_fields(ssrc, n, 0, true), u64::from(n), payload, None, Some("0"));
    };
    send(&mut bench, 71, 1, &vp8(1, 1, true, true, b"key"));
    assert_eq!(school.receive(&bench.sent()).rtp.len(), 1);

    // It waits for the other's key frame when the first one's stream is replaced by one that only probes the line,
    // and then it leaves.
    school.route(&mut bench, 0, Media::Video, Some(20));
    send(&mut bench, 73, 2, b"");
    bench.command(Command::RemovePeer(3));
    send(&mut bench, 73, 3, &vp8(3, 3, true, true, b"key"));
    let stats = bench.stats();
    assert_eq!(stats["peers"][0]["sources"][0]["subscribers"], 0);
    assert_eq!(stats["peers"][1]["sources"][0]["subscribers"], 0);
}

/// A frame of `count` packets whose first has the sequence number `first`.
fn frame(teacher: &mut Remote, first: u16, count: u16, timestamp: u32, key_frame: bool) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| {
            let fields = picture_fields(777, first + n, timestamp, n + 1 == count);
            let payload = vp8(first, 1, key_frame, n == 0, &[n as u8; 400]);
            teacher.protect(&fields, u64::from(first + n), &payload, None, None)
        })
        .collect()
}

fn bodies(got: &Received) -> Vec<(u16, u8)> {
    got.rtp.iter().map(|(header, packet)| (header.sequence, packet[packet.len() - 1])).collect()
}

#[test]
fn what_came_together_lies_together_for_each_receiver() {
    let mut bench = Bench { gathers: true, ..Bench::default() };
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_picture(&mut bench, 10, Some(777));
    let mut schools: Vec<Remote> = (2..5).map(|peer| Remote::join(&mut bench, peer)).collect();
    for school in &mut schools {
        school.add_pair(&mut bench, 0);
        school.route(&mut bench, 0, Media::Video, Some(10));
    }
    for packet in frame(&mut teacher, 5, 6, 0, true) {
        bench.datagram(&packet, teacher.path);
    }
    assert!(bench.out.datagrams.is_empty(), "nothing leaves before the turn's end");
    let sent = bench.sent();
    let media: Vec<_> = sent.iter().filter(|(_, data)| data.len() > 400).collect();
    assert_eq!(media.len(), 18);
    for (school, of) in schools.iter_mut().zip(media.chunks(6)) {
        assert!(of.iter().all(|(to, _)| *to == school.path.remote), "one receiver's packets in a row");
        let got = school.receive(&sent);
        let first = got.rtp[0].0.sequence;
        assert_eq!(bodies(&got), (0..6).map(|n| (first + n, n as u8)).collect::<Vec<_>>());
    }
    assert_eq!(bench.stats()["counters"]["refused"].as_u64(), Some(0));
}

#[test]
fn a_picture_that_begins_with_a_late_packet_of_a_burst_is_whole_and_nothing_of_it_comes_twice() {
    let mut bench = Bench { gathers: true, ..Bench::default() };
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_picture(&mut bench, 10, Some(777));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    let key = frame(&mut teacher, 5, 4, 0, true);
    for at in [1, 0, 2, 3] {
        bench.datagram(&key[at], teacher.path);
    }
    let got = school.receive(&bench.sent());
    let first = got.rtp[0].0.sequence;
    assert_eq!(bodies(&got), [(first, 0), (first + 1, 1), (first + 2, 2), (first + 3, 3)]);
    assert_eq!(bench.stats()["counters"]["refused"].as_u64(), Some(0));
}

#[test]
fn padding_within_a_burst_leaves_no_gap() {
    let mut bench = Bench { gathers: true, ..Bench::default() };
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_picture(&mut bench, 10, Some(777));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    for packet in frame(&mut teacher, 5, 2, 0, true) {
        bench.datagram(&packet, teacher.path);
    }
    teacher.send_rtp(&mut bench, &picture_fields(777, 7, 0, false), 7, &[], None, None);
    for packet in frame(&mut teacher, 8, 2, 3_000, false) {
        bench.datagram(&packet, teacher.path);
    }
    let got = school.receive(&bench.sent());
    let first = got.rtp[0].0.sequence;
    assert_eq!(bodies(&got), [(first, 0), (first + 1, 1), (first + 2, 0), (first + 3, 1)]);
}

#[test]
fn a_voice_begins_with_its_newest_packet() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_voice(&mut bench, 11, Some(80));
    let mut school = Remote::join(&mut bench, 2);
    school.add_pair(&mut bench, 0);
    let mut say = |bench: &mut Bench, n: u16| {
        teacher.send_rtp(
            bench,
            &voice_fields(80, n, u32::from(n) * 960),
            u64::from(n),
            &[n as u8],
            None,
            None,
        );
    };
    [1, 2, 5].into_iter().for_each(|n| say(&mut bench, n));
    school.route(&mut bench, 0, Media::Audio, Some(11));
    // What comes late now is of before; put first, it would hold all back that follows.
    [3, 6, 4, 8, 7].into_iter().for_each(|n| say(&mut bench, n));
    let heard = school.receive(&bench.sent()).rtp;
    let said: Vec<u8> = heard.iter().map(|(header, packet)| packet[header.payload_offset]).collect();
    assert_eq!(said, [6, 8, 7]);
}
