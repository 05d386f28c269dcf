//! Chromium's own packets of every codec through a shard: all decode targets, changes of level, switches between
//! publishers, loss, reordering, repetition, and every number over its wrap.

mod common;

use common::streams::{self, Borne, CODECS, Plain, numbers, received, recorded};
use common::*;
use luokkasilta_engine::command::Command;
use luokkasilta_engine::types::{Codec, Media};
use luokkasilta_engine::wire::dependency::{Dependency, Structure, renumber};
use luokkasilta_engine::wire::{rtcp, vp8, vp9};

/// A packet that the school got, and the source's packet that it came of.
#[derive(Debug)]
struct Got {
    of: usize,
    codec: Codec,
    sequence: u16,
    plain: Plain,
    /// Numbers here and at the source.
    here: Borne,
    there: Borne,
}

/// A publisher of a recording, or of what was made of it.
struct Teacher {
    remote: Remote,
    ssrc: u32,
    first: u64,
    packets: Vec<Plain>,
    numbers: Vec<Option<Borne>>,
}

struct Lesson {
    bench: Bench,
    teachers: Vec<Teacher>,
    school: Remote,
    structure: Option<Structure>,
    /// The last packet that came, to come again.
    last: Option<(Vec<u8>, usize)>,
}

impl Lesson {
    fn new(streams: Vec<(Codec, Vec<Plain>)>) -> Self {
        let mut bench = Bench::default();
        let teachers: Vec<Teacher> = (0_u32..)
            .zip(streams)
            .map(|(n, (codec, packets))| {
                let remote = Remote::join(&mut bench, u64::from(n) + 1);
                streams::publish(&mut bench, &remote, 10 + u64::from(n), 70 + n, codec);
                let mut structure = None;
                let numbers = packets
                    .iter()
                    .map(|it| (!it.payload.is_empty()).then(|| numbers(codec, it, &mut structure)))
                    .collect();
                // The sequence numbers wrap on the way.
                let first = 65_510 + u64::from(n) * 7;
                Teacher { remote, ssrc: 70 + n, first, packets, numbers }
            })
            .collect();
        let school = Remote::join(&mut bench, 9);
        streams::add_slot(&mut bench, &school, slot_ssrc(0, Media::Video));
        school.route(&mut bench, 0, Media::Video, Some(10));
        Self { bench, teachers, school, structure: None, last: None }
    }

    fn want(&mut self, level: Option<u8>) {
        self.bench.command(Command::SetTemporal { peer: 9, slot: 0, level });
    }

    /// A teacher's packet `of` comes; gives what the school gets.
    fn come(&mut self, teacher: usize, of: usize) -> Vec<Got> {
        let from = &mut self.teachers[teacher];
        let packet = from.packets[of].clone().protect(&mut from.remote, from.ssrc, from.first + of as u64);
        self.bench.datagram(&packet, from.remote.path);
        self.last = Some((packet, teacher));
        let sent = self.bench.sent();
        let got = self.school.receive(&sent).rtp;
        got.into_iter()
            .map(|(header, packet)| {
                let (codec, plain) = received(&header, &packet);
                let here = numbers(codec, &plain, &mut self.structure);
                let there = self.teachers[teacher].numbers[of].expect("padding alone is not forwarded");
                Got { of, codec, sequence: header.sequence, plain, here, there }
            })
            .collect()
    }

    /// A teacher's packets in order and in their own time; `before` is asked to change things before each.
    fn play(&mut self, teacher: usize, mut before: impl FnMut(&mut Self, usize)) -> Vec<Got> {
        let mut all = Vec::new();
        for of in 0..self.teachers[teacher].packets.len() {
            let packets = &self.teachers[teacher].packets;
            if of > 0 {
                let ticks = packets[of].timestamp.wrapping_sub(packets[of - 1].timestamp);
                self.bench.advance(i64::from(ticks) * 100 / 9);
            }
            before(self, of);
            all.extend(self.come(teacher, of));
        }
        all
    }
}

/// The levels of the frames, one for each timestamp.
fn levels(got: &[Got]) -> Vec<u8> {
    let mut frames: Vec<(u32, u8)> =
        got.iter().map(|it| (it.plain.timestamp, it.there.level.unwrap_or(0))).collect();
    frames.dedup();
    frames.into_iter().map(|(_, level)| level).collect()
}

fn source_levels(codec: Codec) -> Vec<u8> {
    let lesson = Lesson::new(vec![(codec, recorded(codec))]);
    let mut frames: Vec<(u32, u8)> = Vec::new();
    for (plain, numbers) in lesson.teachers[0].packets.iter().zip(&lesson.teachers[0].numbers) {
        if let Some(numbers) = numbers {
            frames.push((plain.timestamp, numbers.level.unwrap_or(0)));
        }
    }
    frames.dedup();
    frames.into_iter().map(|(_, level)| level).collect()
}

fn distance(from: Borne, to: Borne) -> Option<u16> {
    Some(to.id?.wrapping_sub(from.id?) & ((1_u32 << to.bits) - 1) as u16)
}

/// In order of coming: sequence numbers without a gap, the source's own time between frames, and picture numbers: of VP8
/// without a gap, of VP9 and AV1 as far apart as at the source.
fn assert_continuous(got: &[Got]) {
    assert_eq!(got[0].of, 0, "from the key frame on");
    for pair in got.windows(2) {
        let (one, two) = (&pair[0], &pair[1]);
        assert_eq!(two.sequence, one.sequence.wrapping_add(1));
        let is_one_frame = two.there.id == one.there.id;
        match two.codec {
            Codec::Vp8 => {
                assert_eq!(distance(one.here, two.here), Some(u16::from(!is_one_frame)));
                let base = u8::from(!is_one_frame && two.here.level == Some(0));
                assert_eq!(two.here.tl0, one.here.tl0.map(|tl0| tl0.wrapping_add(base)));
            }
            _ => assert_eq!(distance(one.here, two.here), distance(one.there, two.there)),
        }
        assert_eq!(two.here.level, two.there.level);
    }
}

fn assert_time(got: &[Got], packets: &[Plain]) {
    for it in got {
        let here = it.plain.timestamp.wrapping_sub(got[0].plain.timestamp);
        assert_eq!(here, packets[it.of].timestamp.wrapping_sub(packets[got[0].of].timestamp));
        assert_eq!(it.plain.marker, packets[it.of].marker);
    }
}

#[test]
fn all_of_chromium_is_one_stream() {
    for codec in CODECS {
        let mut lesson = Lesson::new(vec![(codec, recorded(codec))]);
        let got = lesson.play(0, |_, _| {});
        let media = lesson.teachers[0].packets.iter().filter(|packet| !packet.payload.is_empty()).count();
        assert_eq!(got.len(), media, "{codec:?}: padding alone is left out");
        assert!(media > 25 && media < lesson.teachers[0].packets.len());
        assert_continuous(&got);
        assert_time(&got, &lesson.teachers[0].packets);
        for it in &got {
            let source = &lesson.teachers[0].packets[it.of];
            assert_eq!(it.plain.payload.len(), source.payload.len());
            assert_eq!(it.plain.payload.last(), source.payload.last(), "what is behind the numbers");
        }
    }
}

#[test]
fn each_decode_target_is_one_stream_of_its_levels() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let all = source_levels(codec);
        for target in [0_u8, 1, 2] {
            let mut lesson = Lesson::new(vec![(codec, recorded(codec))]);
            lesson.want(Some(target));
            let got = lesson.play(0, |_, _| {});
            let expected: Vec<u8> = all.iter().copied().filter(|level| *level <= target).collect();
            assert_eq!(levels(&got), expected, "{codec:?} up to level {target}");
            assert_continuous(&got);
            assert_time(&got, &lesson.teachers[0].packets);
            let left_out = bench_count(&mut lesson, "left_out");
            let media = lesson.teachers[0].packets.iter().filter(|packet| !packet.payload.is_empty()).count();
            assert_eq!(got.len() + left_out, media);
        }
    }
}

fn bench_count(lesson: &mut Lesson, name: &str) -> usize {
    let stats = lesson.bench.stats();
    let peers = stats["peers"].as_array().expect("peers");
    let school = peers.iter().find(|peer| peer["peer"] == 9).expect("the school");
    school["slots"][0][name].as_u64().expect("a count") as usize
}

#[test]
fn h264_says_no_levels_and_is_played_whole() {
    let mut lesson = Lesson::new(vec![(Codec::H264, recorded(Codec::H264))]);
    lesson.want(Some(0));
    let got = lesson.play(0, |_, _| {});
    assert_continuous(&got);
    assert_eq!(bench_count(&mut lesson, "left_out"), 0);
}

#[test]
fn a_level_falls_at_once_and_rises_where_the_stream_says_so() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let all = source_levels(codec);
        let mut risen = 0;
        // Ask for the base before frame 6, and for everything before each of the eight frames after.
        for rises in 8..16_usize {
            let mut lesson = Lesson::new(vec![(codec, recorded(codec))]);
            let mut frames = 0;
            let mut last = None;
            let starts: Vec<usize> = (0..lesson.teachers[0].packets.len())
                .filter(|&of| {
                    let is_media = lesson.teachers[0].numbers[of].is_some();
                    let timestamp = Some(lesson.teachers[0].packets[of].timestamp);
                    is_media && std::mem::replace(&mut last, timestamp) != timestamp
                })
                .collect();
            let got = lesson.play(0, |lesson, of| {
                if starts.get(frames) == Some(&of) {
                    match frames {
                        6 => lesson.want(Some(0)),
                        n if n == rises => lesson.want(None),
                        _ => {}
                    }
                    frames += 1;
                }
            });
            assert_continuous(&got);
            let passed: Vec<usize> =
                (0..all.len()).filter(|&frame| got.iter().any(|it| it.of == starts[frame])).collect();
            assert_eq!(passed[..6], [0, 1, 2, 3, 4, 5], "{codec:?}");
            let between: Vec<usize> =
                passed.iter().copied().filter(|&frame| (6..rises).contains(&frame)).collect();
            assert!(
                between.iter().all(|&frame| all[frame] == 0),
                "{codec:?}: the base alone from frame 6 on"
            );
            // The first frame of a higher level refers to the base alone or follows a base that opens the levels.
            let opened = (rises..all.len()).find(|&frame| all[frame] == 0).expect("a base");
            let first = passed.iter().copied().find(|&frame| frame >= rises && all[frame] > 0);
            let Some(first) = first.filter(|_| opened + 3 < all.len()) else { continue };
            match codec {
                // Y on level 1 first, then on level 2 (the recording's groups of frames that refer to the base alone).
                Codec::Vp8 => assert_eq!(all[first], 1, "from {rises}"),
                _ => assert_eq!(first, opened + 1, "{codec:?}: all levels after the next base, from {rises}"),
            }
            risen += 1;
        }
        assert_eq!(risen, 8, "{codec:?}");
    }
}

#[test]
fn a_switch_between_any_two_codecs_goes_on_with_every_number() {
    for one in CODECS {
        for two in CODECS {
            let mut lesson = Lesson::new(vec![(one, recorded(one)), (two, recorded(two))]);
            let mut got = lesson.play(0, |_, _| {});
            let before = got.last().map(|it| (it.sequence, it.here, it.plain.timestamp)).expect("a packet");
            lesson.school.route(&mut lesson.bench, 0, Media::Video, Some(11));
            lesson.bench.advance(10 * MS);
            got = lesson.play(1, |_, _| {});
            assert_continuous(&got);
            assert_eq!(got[0].sequence, before.0.wrapping_add(1), "{one:?} to {two:?}");
            assert!((got[0].plain.timestamp.wrapping_sub(before.2) as i32) > 0);
            if let (Some(before_id), Some(id)) = (before.1.id, got[0].here.id) {
                let mask = ((1_u32 << before.1.bits.min(got[0].here.bits)) - 1) as u16;
                assert_eq!(id & mask, before_id.wrapping_add(1) & mask, "{one:?} to {two:?}");
            }
            if let (Some(before_tl0), Some(tl0)) = (before.1.tl0, got[0].here.tl0) {
                assert_eq!(tl0, before_tl0.wrapping_add(1));
            }
            if two == Codec::Av1 {
                let value = got[0].plain.dependency.as_ref().expect("a descriptor");
                let read = Dependency::parse(value, None).expect("readable by itself");
                assert!(read.structure.is_some(), "the structure comes with the first packet");
            }
        }
    }
}

#[test]
fn a_stream_that_is_joined_late_begins_at_its_next_key_frame() {
    for codec in CODECS {
        let mut twice = recorded(codec);
        let shift = twice.last().expect("packets").timestamp.wrapping_sub(twice[0].timestamp) + 6_000;
        let again: Vec<Plain> = twice
            .iter()
            .map(|it| Plain { timestamp: it.timestamp.wrapping_add(shift), ..it.clone() })
            .collect();
        let half = twice.len();
        twice.extend(again);
        let mut lesson = Lesson::new(vec![(codec, twice)]);
        lesson.school.route(&mut lesson.bench, 0, Media::Video, None);
        let got = lesson.play(0, |lesson, of| {
            if of == 5 {
                lesson.school.route(&mut lesson.bench, 0, Media::Video, Some(10));
            }
        });
        assert_eq!(got[0].of, half, "{codec:?}");
    }
}

/// Every third packet comes twice, every fifth late by three, every seventh not at all.
#[test]
fn loss_reordering_and_repetition_move_no_number() {
    for codec in CODECS {
        for target in [None, Some(0), Some(1)] {
            let mut lesson = Lesson::new(vec![(codec, recorded(codec))]);
            lesson.want(target);
            let mut straight = Lesson::new(vec![(codec, recorded(codec))]);
            straight.want(target);
            let expected = straight.play(0, |_, _| {});
            let mut order: Vec<usize> = (0..lesson.teachers[0].packets.len()).collect();
            for at in (5..order.len() - 4).step_by(5) {
                order[at..at + 4].rotate_left(1);
            }
            order.retain(|of| *of == 0 || of % 7 != 0);
            let mut got = Vec::new();
            for of in order {
                got.extend(lesson.come(0, of));
                if let Some((octets, teacher)) = lesson.last.clone().filter(|_| of % 3 == 0) {
                    let path = lesson.teachers[teacher].remote.path;
                    lesson.bench.datagram(&octets, path);
                    let sent = lesson.bench.sent();
                    assert!(lesson.school.receive(&sent).rtp.is_empty(), "a repeated packet");
                }
            }
            let mut sequences: Vec<u16> =
                got.iter().map(|it| it.sequence.wrapping_sub(got[0].sequence)).collect();
            sequences.sort_unstable();
            let all = sequences.len();
            sequences.dedup();
            assert_eq!(sequences.len(), all, "{codec:?}: a number for two packets");
            let frames_of = |got: &[Got]| {
                let mut frames: Vec<usize> = got.iter().map(|it| it.of).collect();
                frames.sort_unstable();
                frames
            };
            let lost: Vec<usize> =
                frames_of(&expected).into_iter().filter(|of| *of == 0 || of % 7 != 0).collect();
            assert_eq!(frames_of(&got), lost, "{codec:?} {target:?}: what came and is of the level");
            // The same picture has the same number, and of VP9 and AV1 the same as without loss.
            for it in &got {
                let same = got.iter().filter(|other| other.there.id == it.there.id);
                assert!(same.clone().all(|other| other.here.id == it.here.id));
                let time = lesson.teachers[0].packets[it.of].timestamp;
                for other in got.iter().filter(|other| lesson.teachers[0].packets[other.of].timestamp == time)
                {
                    assert_eq!(
                        other.plain.timestamp, it.plain.timestamp,
                        "one frame, one timestamp: {codec:?} {target:?} {} {}",
                        it.of, other.of
                    );
                }
                if codec != Codec::Vp8 {
                    assert_eq!(distance(got[0].here, it.here), distance(got[0].there, it.there));
                }
            }
        }
    }
}

/// The recording as it would be with other numbers.
fn renumbered(codec: Codec, id: u16, tl0: u8, timestamp: u32) -> Vec<Plain> {
    let packets = recorded(codec);
    let mut structure = None;
    let first = numbers(codec, &packets[0], &mut structure);
    packets
        .iter()
        .map(|it| {
            let mut plain = it.clone();
            plain.timestamp = timestamp.wrapping_add(it.timestamp.wrapping_sub(packets[0].timestamp));
            if plain.payload.is_empty() {
                return plain;
            }
            let own = numbers(codec, it, &mut structure);
            let new_id = own.id.zip(first.id).map(|(own, first)| id.wrapping_add(own.wrapping_sub(first)));
            let new_tl0 =
                own.tl0.zip(first.tl0).map(|(own, first)| tl0.wrapping_add(own.wrapping_sub(first)));
            let (new_id, new_tl0) = (new_id.unwrap_or(0), new_tl0.unwrap_or(0));
            match codec {
                Codec::Vp8 => {
                    let read = vp8::Descriptor::parse(&plain.payload).expect("VP8");
                    read.rewrite(&mut plain.payload, new_id, new_tl0);
                }
                Codec::Vp9 => {
                    let read = vp9::Descriptor::parse(&plain.payload).expect("VP9");
                    read.rewrite(&mut plain.payload, new_id, new_tl0);
                }
                Codec::Av1 => renumber(plain.dependency.as_mut().expect("a descriptor"), new_id),
                _ => {}
            }
            plain
        })
        .collect()
}

#[test]
fn every_number_wraps() {
    for codec in CODECS {
        for target in [None, Some(1)] {
            // 15 bits of a picture id, 16 of a frame number, eight of TL0PICIDX, 32 of the timestamp.
            let id = if codec == Codec::Av1 { 0xfffa } else { 0x7ffa };
            let packets = renumbered(codec, id, 0xfd, u32::MAX - 20_000);
            let mut lesson = Lesson::new(vec![(codec, packets)]);
            lesson.want(target);
            let got = lesson.play(0, |_, _| {});
            assert_continuous(&got);
            assert_time(&got, &lesson.teachers[0].packets);
            let last = got.last().expect("packets");
            assert!(last.of > 40 && last.there.id.is_none_or(|id| id < 0x1000), "it did wrap");
            assert!(lesson.teachers[0].first + last.of as u64 > 65_536);
        }
    }
}

/// A receiver misses packets of each codec and asks again: what it gets is what left, number for number.
#[test]
fn a_retransmission_bears_the_numbers_that_the_packet_bore() {
    for codec in CODECS {
        let mut lesson = Lesson::new(vec![(codec, recorded(codec))]);
        lesson.want(Some(1));
        let got = lesson.play(0, |_, _| {});
        // Of the last second; older ones are not worth it.
        let mut missed: Vec<&Got> = got.iter().rev().step_by(2).take(4).collect();
        missed.reverse();
        let mut structure = lesson.structure.clone();
        let mut compound = Vec::new();
        rtcp::write_receiver_report(&mut compound, 1, &[]);
        let lost: Vec<u16> = missed.iter().map(|it| it.sequence).collect();
        rtcp::write_nack(&mut compound, 1, slot_ssrc(0, Media::Video), &lost);
        lesson.school.send_rtcp(&mut lesson.bench, &compound);
        let sent = lesson.bench.sent();
        let again = lesson.school.receive(&sent).rtp;
        assert!(again.len() == missed.len(), "{codec:?}");
        for (it, (header, packet)) in missed.iter().zip(&again) {
            assert_eq!(
                (header.ssrc, header.payload_type),
                (rtx_ssrc(0), streams::slot_payload_type(codec) - 20)
            );
            let payload = &packet[header.payload(packet).expect("a payload")];
            assert_eq!(payload[..2], it.sequence.to_be_bytes());
            assert_eq!(payload[2..], it.plain.payload, "{codec:?}");
            assert_eq!((header.timestamp, header.marker), (it.plain.timestamp, it.plain.marker));
            let dependency = header.extensions(packet).find(|(id, _)| *id == streams::DEPENDENCY_OUT);
            assert_eq!(dependency.map(|(_, value)| value.to_vec()), it.plain.dependency);
            let plain = Plain { payload: payload[2..].to_vec(), ..it.plain.clone() };
            assert_eq!(numbers(codec, &plain, &mut structure), it.here);
        }
    }
}

/// Chromium leaves picture ids and levels out of VP8 where it may send them as a dependency descriptor, which is not
/// read beside VP8: such a stream is played whole, and the numbers of the others go on around it.
#[test]
fn vp8_without_numbers_is_played_whole_between_two_that_have_them() {
    let bare: Vec<Plain> = recorded(Codec::Vp8)
        .into_iter()
        .map(|mut plain| {
            if let Ok(read) = vp8::Descriptor::parse(&plain.payload) {
                let rest = plain.payload.split_off(read.header_len);
                plain.payload = [&[if read.starts_frame() { 0x10 } else { 0 }], &rest[..]].concat();
            }
            plain
        })
        .collect();
    let media = bare.iter().filter(|plain| !plain.payload.is_empty()).count();
    let with = || (Codec::Vp8, recorded(Codec::Vp8));
    let mut lesson = Lesson::new(vec![with(), (Codec::Vp8, bare), with()]);
    lesson.want(Some(0));
    let mut runs = Vec::new();
    for teacher in 0..3 {
        lesson.school.route(&mut lesson.bench, 0, Media::Video, Some(10 + teacher as u64));
        lesson.bench.advance(10 * MS);
        runs.push(lesson.play(teacher, |_, _| {}));
    }
    assert_eq!(runs[1].len(), media, "no level is said, so none is left out");
    assert!(runs[1].iter().all(|it| it.here.id.is_none() && it.plain.payload.last().is_some()));
    assert_continuous(&runs[0]);
    assert_continuous(&runs[2]);
    let sequences: Vec<u16> = runs.iter().flatten().map(|it| it.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)));
}
