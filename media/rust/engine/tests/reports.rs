//! RTCP: it ends at this hop. What publishers and receivers are told, and when.

mod common;

use common::*;
use luokkasilta_engine::time::{Micros, NtpEpoch, ntp_to_us};
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::rtcp::{self, Packet};

const EPOCH: NtpEpoch = NtpEpoch(3_900_000_000_000_000);

fn pli(ssrc: u32) -> Vec<u8> {
    let mut compound = Vec::new();
    rtcp::write_receiver_report(&mut compound, 1, &[]);
    rtcp::write_pli(&mut compound, 1, ssrc);
    compound
}

fn count_requests(compounds: &[Vec<u8>]) -> usize {
    packets(compounds).iter().filter(|packet| matches!(packet, Packet::PictureLossIndication { .. })).count()
}

#[test]
fn the_first_packet_is_reported_on_and_remb_says_what_may_be_sent() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_voice(&mut bench, 11, Some(81));
    teacher.send_rtp(&mut bench, &voice_fields(81, 500, 0), 500, b"a", None, None);
    bench.advance(50 * MS);
    let got = teacher.receive(&bench.sent());
    let told = packets(&got.rtcp);
    let block = told
        .iter()
        .find_map(|packet| match packet {
            Packet::ReceiverReport { blocks, .. } => blocks.clone().next(),
            _ => None,
        })
        .expect("a receiver report within a tick");
    assert_eq!((block.ssrc, block.highest_sequence, block.cumulative_lost), (81, 500, 0));
    let bitrate = told.iter().find_map(|packet| match packet {
        Packet::Remb { bitrate, .. } => Some(*bitrate),
        _ => None,
    });
    assert_eq!(bitrate, Some(2_500_000));
    // And from then on each second.
    let mut reports = 0;
    for _ in 0..60 {
        bench.advance(50 * MS);
        reports += teacher.receive(&bench.sent()).rtcp.len();
    }
    assert_eq!(reports, 3);
}

#[test]
fn sender_reports_put_picture_and_voice_on_one_clock() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_picture(&mut bench, 10, Some(71));
    teacher.publish_voice(&mut bench, 11, Some(81));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    school.route(&mut bench, 0, Media::Audio, Some(11));
    // The publisher's clock is elsewhere; what it captures together it reports together.
    let mut compound = Vec::new();
    for (ssrc, rtp_timestamp) in [(71, 1_000_000), (81, 5_000)] {
        let ntp = Micros(77_000_000).to_ntp(NtpEpoch(0));
        let info = rtcp::SenderInfo { ssrc, ntp, rtp_timestamp, packets: 0, octets: 0 };
        rtcp::write_sender_report(&mut compound, &info, &[]);
    }
    let captured = bench.now;
    bench.advance(20 * MS);
    teacher.send_rtp(&mut bench, &voice_fields(81, 1, 5_000), 1, b"a", None, None);
    teacher.send_rtcp(&mut bench, &compound);
    teacher.send_rtp(&mut bench, &voice_fields(81, 2, 5_000), 2, b"a", None, None);
    bench.advance(60 * MS);
    teacher.send_rtp(
        &mut bench,
        &picture_fields(71, 1, 1_000_000, true),
        1,
        &vp8(1, 1, true, true, b""),
        None,
        None,
    );
    bench.advance(1_000 * MS);
    let got = school.receive(&bench.sent());
    let heard = |ssrc: u32| {
        let header = &got.rtp.iter().rev().find(|(header, _)| header.ssrc == ssrc).expect("media").0;
        let report = packets(&got.rtcp)
            .iter()
            .rev()
            .find_map(|packet| match packet {
                Packet::SenderReport { ssrc: of, ntp, rtp_timestamp, .. } if *of == ssrc => {
                    Some((*ntp, *rtp_timestamp))
                }
                _ => None,
            })
            .expect("a report");
        (header.timestamp, report.0, report.1)
    };
    let at = |ssrc, rate: i64| {
        let (timestamp, ntp, reported) = heard(ssrc);
        let ticks = i64::from(timestamp.wrapping_sub(reported) as i32);
        ntp_to_us(ntp) - EPOCH.0 + ticks * 1_000_000 / rate
    };
    let picture = at(slot_ssrc(0, Media::Video), 90_000);
    let voice = at(slot_ssrc(0, Media::Audio), 48_000);
    assert!((picture - voice).abs() < 1_000, "apart by {} us", picture - voice);
    assert!(
        (voice - captured.0 - 20_000).abs() < 1_000,
        "the quickest packet took 20 ms, which we can't know better"
    );
}

#[test]
fn sender_reports_count_what_was_sent_and_come_each_second() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_voice(&mut bench, 11, Some(81));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Audio, Some(11));
    let mut reports = Vec::new();
    for n in 0..250_u16 {
        teacher.send_rtp(
            &mut bench,
            &voice_fields(81, n, u32::from(n) * 960),
            u64::from(n),
            &[7; 100],
            None,
            None,
        );
        bench.advance(20 * MS);
        let got = school.receive(&bench.sent());
        for packet in packets(&got.rtcp) {
            if let Packet::SenderReport { packets, octets, .. } = packet {
                reports.push((packets, octets));
            }
        }
    }
    assert_eq!(reports[0], (1, 100), "one at the switch");
    assert!((5..=7).contains(&reports.len()), "then each second: {reports:?}");
    assert!(reports.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[1].1 == pair[1].0 * 100));
}

#[test]
fn key_frame_requests_are_collected_per_publisher() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    let mut schools: Vec<Remote> = (2..12).map(|peer| Remote::join(&mut bench, peer)).collect();
    teacher.publish_picture(&mut bench, 10, Some(71));
    for school in &schools {
        school.add_pair(&mut bench, 0);
        school.route(&mut bench, 0, Media::Video, Some(10));
    }
    let mut asked = 0;
    for _ in 0..20 {
        bench.advance(50 * MS);
        asked += count_requests(&teacher.receive(&bench.sent()).rtcp);
    }
    assert_eq!(asked, 2, "ten joins and a second without an answer: one request each 500 ms");
    teacher.send_rtp(&mut bench, &picture_fields(71, 1, 0, true), 1, &vp8(1, 1, true, true, b""), None, None);
    bench.advance(1_000 * MS);
    bench.sent();
    for school in &mut schools {
        for _ in 0..5 {
            school.send_rtcp(&mut bench, &pli(slot_ssrc(0, Media::Video)));
        }
    }
    let got = teacher.receive(&bench.sent());
    assert_eq!(count_requests(&got.rtcp), 1);
    let asked_for = packets(&got.rtcp).iter().find_map(|packet| match packet {
        Packet::PictureLossIndication { media, .. } => Some(*media),
        _ => None,
    });
    assert_eq!(asked_for, Some(71), "the publisher knows its own SSRC, not the slot's");
}

#[test]
fn a_full_intra_request_that_is_sent_again_is_one_request() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_picture(&mut bench, 10, Some(71));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Video, Some(10));
    let asked = |bench: &mut Bench, school: &mut Remote, teacher: &mut Remote, number: u8, frame: u16| {
        bench.advance(600 * MS);
        bench.sent();
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 1, &[]);
        rtcp::write_fir(&mut compound, 1, &[(slot_ssrc(0, Media::Video), number)]);
        school.send_rtcp(bench, &compound);
        let asked = count_requests(&teacher.receive(&bench.sent()).rtcp);
        let key_frame = vp8(frame, 1, true, true, b"");
        let fields = picture_fields(71, frame, u32::from(frame) * 9_000, true);
        teacher.send_rtp(bench, &fields, u64::from(frame), &key_frame, None, None);
        asked
    };
    let key_frame = vp8(1, 1, true, true, b"");
    teacher.send_rtp(&mut bench, &picture_fields(71, 1, 0, true), 1, &key_frame, None, None);
    let numbers = [7, 7, 7, 8, 8, 7];
    let answers: Vec<usize> = (2..)
        .zip(numbers)
        .map(|(frame, number)| asked(&mut bench, &mut school, &mut teacher, number, frame))
        .collect();
    assert_eq!(answers, [1, 0, 0, 1, 0, 1]);
}

#[test]
fn requests_for_several_layers_of_one_publisher_leave_together() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_picture(&mut bench, 10, Some(71));
    teacher.publish_picture(&mut bench, 20, Some(72));
    let mut schools: Vec<Remote> = (2..6).map(|peer| Remote::join(&mut bench, peer)).collect();
    for (school, source) in schools.iter_mut().zip([10, 20, 10, 20]) {
        school.add_pair(&mut bench, 0);
        school.route(&mut bench, 0, Media::Video, Some(source));
    }
    let mut turns: Vec<Vec<u32>> = Vec::new();
    for _ in 0..40 {
        bench.advance(50 * MS);
        let asked = teacher.receive(&bench.sent()).rtcp;
        let media: Vec<u32> = packets(&asked)
            .iter()
            .filter_map(|packet| match packet {
                Packet::PictureLossIndication { media, .. } => Some(*media),
                _ => None,
            })
            .collect();
        if !media.is_empty() {
            turns.push(media);
        }
    }
    assert_eq!(turns, vec![vec![71, 72]; 4], "two seconds: four requests, each for both");
}

#[test]
fn an_idle_slot_that_asks_for_a_picture_is_not_listened_to() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_picture(&mut bench, 10, Some(71));
    school.add_pair(&mut bench, 0);
    school.send_rtcp(&mut bench, &pli(slot_ssrc(0, Media::Video)));
    school.send_rtcp(&mut bench, &pli(71));
    bench.advance(1_000 * MS);
    assert_eq!(count_requests(&teacher.receive(&bench.sent()).rtcp), 0);
}

#[test]
fn what_the_receiver_reports_is_kept_and_ends_the_mid() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    let mut school = Remote::join(&mut bench, 2);
    teacher.publish_voice(&mut bench, 11, Some(81));
    school.add_pair(&mut bench, 0);
    school.route(&mut bench, 0, Media::Audio, Some(11));
    let mut carries_mid = |bench: &mut Bench, school: &mut Remote, n: u16| {
        teacher.send_rtp(bench, &voice_fields(81, n, u32::from(n) * 960), u64::from(n), b"a", None, None);
        let got = school.receive(&bench.sent()).rtp;
        got[0].0.extensions(&got[0].1).any(|(id, _)| id == MID_EXTENSION)
    };
    assert!(carries_mid(&mut bench, &mut school, 1));
    let mut compound = Vec::new();
    let block = rtcp::ReportBlock {
        ssrc: slot_ssrc(0, Media::Audio),
        fraction_lost: 12,
        cumulative_lost: 3,
        highest_sequence: 0,
        jitter: 0,
        last_sr: 0,
        delay_since_last_sr: 0,
    };
    rtcp::write_receiver_report(&mut compound, 1, &[block]);
    school.send_rtcp(&mut bench, &compound);
    assert!(!carries_mid(&mut bench, &mut school, 2));
    assert_eq!(bench.stats()["peers"][1]["slots"][1]["fraction_lost"], 12);
}

#[test]
fn the_level_of_a_voice_is_told_while_it_is_heard() {
    use luokkasilta_engine::event::Event;
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_voice(&mut bench, 11, Some(81));
    let levels = |bench: &mut Bench| -> Vec<u8> {
        let of = |event: Event| match event {
            Event::SourceLevel { peer: 1, source: 11, level } => Some(level),
            _ => None,
        };
        bench.events().into_iter().filter_map(of).collect()
    };
    for at in 0..100_u16 {
        let level = if at < 50 { 0x80 | 25 } else { 127 };
        let fields = voice_fields(81, at, u32::from(at) * 960);
        teacher.send_rtp(&mut bench, &fields, u64::from(at), b"a", Some(level), None);
        bench.advance(20 * MS);
    }
    let told = levels(&mut bench);
    assert_eq!(told[..2], [25, 25], "{told:?}");
    assert_eq!(told.last(), Some(&127), "{told:?}");
    assert!(told.len() <= 5, "{told:?}");
    bench.advance(1_000 * MS);
    assert!(levels(&mut bench).is_empty());
}

#[test]
fn a_source_that_falls_silent_is_told_and_told_again_when_it_returns() {
    use luokkasilta_engine::event::Event;
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_voice(&mut bench, 11, Some(81));
    bench.events();
    teacher.send_rtp(&mut bench, &voice_fields(81, 1, 0), 1, b"a", None, None);
    bench.advance(1_900 * MS);
    assert_eq!(bench.events(), [Event::SourceLive { peer: 1, source: 11, layer: 0 }]);
    bench.advance(200 * MS);
    assert_eq!(bench.events(), [Event::SourceIdle { peer: 1, source: 11, layer: 0 }]);
    teacher.send_rtp(&mut bench, &voice_fields(81, 2, 96_000), 2, b"a", None, None);
    assert_eq!(bench.events(), [Event::SourceLive { peer: 1, source: 11, layer: 0 }]);
}
