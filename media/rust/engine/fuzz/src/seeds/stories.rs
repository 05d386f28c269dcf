//! Small lessons for the engine: each a list of steps, in which something of interest happens.

use super::super::engine::steps::{Step, flag};
use super::{Seed, hex, seed};
use luokkasilta_engine::wire::rtcp::{self, SenderInfo};
use luokkasilta_engine::wire::stun::{BINDING, Builder, Class, short_term_key};

/// Places of streams in the lesson: who sends what.
const HIGH: u8 = 0;
const LOW: u8 = 1;
const HIGH_AGAIN: u8 = 2;
const TEACHER: u8 = 3;
const SCHOOL: u8 = 4;
const SCHOOL_AGAIN: u8 = 5;
const SCHOOL_VOICE: u8 = 6;
const HOME: u8 = 7;
const HOME_AGAIN: u8 = 8;

fn media(stream: u8, advance: i8, flags: u8, payload: &str) -> Step {
    Step::Media { stream, advance, ticks: 33, flags, payload: hex(payload) }
}

/// A VP8 key frame in one packet: wide picture id, TL0PICIDX, 640x360.
fn key_frame(stream: u8) -> Step {
    media(stream, 1, flag::MARKER | flag::MID | flag::RID, "90c0 8001 07 10af02 9d012a 8002 6801 6162")
}

fn interframe(stream: u8, advance: i8) -> Step {
    media(stream, advance, flag::MARKER, "90c0 8002 08 11af02 6162")
}

fn voice(stream: u8, advance: i8) -> Step {
    media(stream, advance, flag::LEVEL, "fc ffee")
}

/// A retransmission of the packet that lies so far behind the newest one.
fn repair(stream: u8, back: u8) -> Step {
    media(stream, 1, flag::MARKER | flag::MID | flag::RID, &format!("{back:02x} 90c0 8002 08 11af02 7273"))
}

fn sender_report(far: u8, ssrc: u32) -> Step {
    let info = SenderInfo { ssrc, ntp: 0xe300_0000_0000_0000, rtp_timestamp: 3_000, packets: 1, octets: 9 };
    let mut octets = Vec::new();
    rtcp::write_sender_report(&mut octets, &info, &[]);
    Step::Compound { far, octets }
}

/// A check for the first far end by somebody who does not know the password.
fn forged_check() -> Vec<u8> {
    let mut out = Vec::new();
    Builder::new(&mut out, Class::Request, BINDING, [9; 12])
        .username(b"near1.0.0:far")
        .expect("not too long")
        .use_candidate()
        .finish(Some(&short_term_key("a guess")));
    out
}

fn command(far: u8, which: u8, with: u8, more: u8) -> Step {
    Step::Command { far, which, with, more }
}

fn compound(far: u8, octets: &str) -> Step {
    Step::Compound { far, octets: hex(octets) }
}

fn route(far: u8, slot: u8, source: u8, layer: u8) -> Step {
    Step::Route { far, slot, source, layer }
}

pub(super) fn seeds() -> Vec<Seed> {
    let wait = |time| Step::Wait { time };
    let nack = |far, stream, back, bits| Step::Nack { far, stream, back, bits };
    let check = |far, from, flags| Step::Check { far, from, flags };
    let stories: Vec<(&str, Vec<Step>)> = vec![
        ("nothing-happens", vec![wait(100), wait(255)]),
        (
            "a-picture-and-a-voice",
            vec![
                key_frame(SCHOOL),
                voice(SCHOOL_VOICE, 1),
                wait(20),
                interframe(SCHOOL, 1),
                voice(SCHOOL_VOICE, 1),
            ],
        ),
        (
            "two-layers",
            vec![
                key_frame(HIGH),
                key_frame(LOW),
                route(1, 0, 1, 1),
                interframe(HIGH, 1),
                key_frame(LOW),
                interframe(LOW, 1),
            ],
        ),
        (
            "h264",
            vec![
                media(HOME, 1, 0, "78 0013 6742c01f8c8d405017fcb3506060607844 2350 0004 68ce3c80"),
                media(HOME, 1, 0, "7c85 b80004000005388c50"),
                media(HOME, 1, flag::MARKER, "7c45 7df7d75d75d75d75"),
                media(HOME, 1, flag::MARKER, "61 e0004000be405380"),
            ],
        ),
        (
            "over-the-wrap",
            (0..60).map(|n| if n % 20 == 0 { key_frame(HIGH) } else { interframe(HIGH, 1) }).collect(),
        ),
        (
            "a-gap-is-repaired",
            vec![
                key_frame(SCHOOL),
                interframe(SCHOOL, 1),
                interframe(SCHOOL, 3),
                repair(SCHOOL_AGAIN, 1),
                repair(SCHOOL_AGAIN, 2),
                wait(50),
            ],
        ),
        (
            "a-gap-is-given-up",
            vec![key_frame(SCHOOL), interframe(SCHOOL, 9), wait(199), wait(199), wait(201)],
        ),
        (
            "a-gap-of-the-teacher",
            vec![
                key_frame(HIGH),
                interframe(HIGH, 2),
                repair(HIGH_AGAIN, 1),
                repair(HIGH_AGAIN, 1),
                repair(HIGH_AGAIN, 200),
            ],
        ),
        (
            "a-gap-of-h264",
            vec![
                media(HOME, 1, 0, "6742c01f"),
                media(HOME, 3, flag::MARKER, "6588"),
                repair(HOME_AGAIN, 1),
                repair(HOME_AGAIN, 2),
            ],
        ),
        (
            "a-receiver-asks-again",
            vec![
                key_frame(SCHOOL),
                interframe(SCHOOL, 1),
                interframe(SCHOOL, 1),
                nack(0, 0, 1, 1),
                wait(20),
                nack(0, 0, 2, 0xffff),
                nack(0, 0, 2, 0xffff),
            ],
        ),
        (
            "a-voice-is-asked-for-again",
            vec![
                voice(SCHOOL_VOICE, 1),
                voice(SCHOOL_VOICE, 1),
                nack(0, 0, 1, 1),
                nack(0, 0, 1, 1),
                wait(20),
                nack(0, 0, 1, 1),
            ],
        ),
        (
            "all-at-once-asked-for-for-ever",
            [
                vec![key_frame(SCHOOL)],
                (0..30).flat_map(|_| [interframe(SCHOOL, 1), nack(0, 0, 30, 0xffff), wait(11)]).collect(),
            ]
            .concat(),
        ),
        (
            "late-and-early",
            vec![
                key_frame(SCHOOL),
                interframe(SCHOOL, 5),
                interframe(SCHOOL, -2),
                interframe(SCHOOL, -1),
                interframe(SCHOOL, 100),
                interframe(SCHOOL, -100),
            ],
        ),
        (
            "a-late-key-frame",
            vec![
                interframe(SCHOOL, 1),
                interframe(SCHOOL, 2),
                media(SCHOOL, -1, flag::MARKER, "90c0 8001 07 10af02 9d012a 8002 6801"),
                interframe(SCHOOL, 1),
            ],
        ),
        (
            "switching",
            vec![
                key_frame(SCHOOL),
                key_frame(HIGH),
                route(0, 0, 1, 0),
                interframe(SCHOOL, 1),
                key_frame(HIGH),
                route(0, 0, 0, 0),
                route(0, 0, 3, 0),
                wait(202),
                interframe(SCHOOL, 1),
                key_frame(SCHOOL),
            ],
        ),
        (
            "routes-that-can-not-be",
            vec![
                route(0, 0, 2, 0),
                route(0, 0x80, 1, 0),
                route(0, 7, 1, 0),
                route(0, 0, 7, 0),
                route(0, 0, 1, 3),
                route(2, 0, 5, 0),
            ],
        ),
        (
            "padding-probes",
            vec![
                key_frame(SCHOOL),
                media(SCHOOL, 1, flag::PADDING, ""),
                media(SCHOOL, 1, flag::PADDING, ""),
                interframe(SCHOOL, 1),
                media(SCHOOL_AGAIN, 1, flag::MID | flag::PADDING, ""),
            ],
        ),
        (
            "another-ssrc",
            vec![
                key_frame(HIGH),
                media(
                    HIGH,
                    1,
                    flag::MARKER | flag::MID | flag::RID | flag::OTHER_SSRC,
                    "90c0 8001 07 10af02 9d012a 8002 6801",
                ),
                interframe(HIGH, 1),
                media(HIGH_AGAIN, 1, flag::MID | flag::RID | flag::OTHER_SSRC, "01 9000"),
            ],
        ),
        (
            "an-ssrc-that-says-nothing",
            vec![media(HIGH, 1, 0, "90c0 8001 07 10"), media(SCHOOL, 1, flag::OTHER_SSRC, "10 00")],
        ),
        (
            "reports",
            vec![
                key_frame(SCHOOL),
                voice(SCHOOL_VOICE, 1),
                sender_report(1, 201),
                sender_report(1, 203),
                wait(20),
                interframe(SCHOOL, 1),
                compound(0, "81c90007 00000001 000003e8 40fffffe 0001fffe 0000005a e3000000 00010000"),
                wait(201),
            ],
        ),
        (
            "a-clock-that-jumps",
            vec![
                sender_report(1, 201),
                key_frame(SCHOOL),
                compound(1, "80c80006 000000c9 ffffffffffffffff 80000000 00000000 00000000"),
                interframe(SCHOOL, 1),
                compound(1, "80c80006 000000c9 0000000000000000 00000000 00000000 00000000"),
                interframe(SCHOOL, 1),
            ],
        ),
        (
            "key-frames-asked-for",
            vec![
                key_frame(SCHOOL),
                compound(0, "81ce0002 00000001 000003e8"),
                compound(0, "84ce0004 00000001 00000000 000003e8 09000000"),
                wait(199),
                wait(199),
                wait(199),
                key_frame(SCHOOL),
            ],
        ),
        (
            "estimates",
            vec![
                compound(0, "8fce0005 00000001 00000000 52454d42 0107ffff 000003e8"),
                compound(0, "8fcd0004 00000001 000003e8 00010002 00000300"),
            ],
        ),
        (
            "compounds-that-lie",
            vec![
                compound(0, "81cd0002 00000001 000003e8"),
                compound(0, "80c9ffff 00000001"),
                compound(0, "a0c90001 00000001"),
                compound(0, "ffffffffffffffff"),
            ],
        ),
        (
            "headers-that-lie",
            vec![
                Step::Plain { stream: SCHOOL, advance: 1, octets: hex("9f60000000000000 00000000 bede0001") },
                Step::Plain {
                    stream: SCHOOL,
                    advance: 1,
                    octets: hex("b060000000000000 00000000 bede0001 3130a068 000000ff"),
                },
                Step::Plain { stream: SCHOOL, advance: 1, octets: hex("80e0000000000000 00000000 90ffffff") },
                Step::Plain { stream: HOME, advance: 1, octets: hex("80e6000000000000 00000000 78ffff65") },
                Step::Plain {
                    stream: TEACHER,
                    advance: 1,
                    octets: hex("90ef000000000000 00000000 bede0001 1f000000"),
                },
            ],
        ),
        (
            "again-and-spoilt",
            vec![
                key_frame(SCHOOL),
                Step::Again { back: 0, how: 0, at: 0 },
                Step::Again { back: 0, how: 1, at: 200 },
                Step::Again { back: 2, how: 2, at: 20 },
                Step::Again { back: 9, how: 3, at: 1 },
            ],
        ),
        (
            "another-address",
            vec![
                key_frame(SCHOOL),
                check(0, 1, 0),
                check(0, 2, 1),
                interframe(SCHOOL, 1),
                check(0, 4, 5),
                interframe(SCHOOL, 1),
                Step::Closed { far: 0 },
                interframe(SCHOOL, 1),
            ],
        ),
        (
            "an-address-changes-hands",
            vec![
                check(0, 3, 1),
                check(1, 3, 1),
                key_frame(SCHOOL),
                key_frame(HIGH),
                check(0, 3, 0),
                check(2, 3, 1),
            ],
        ),
        ("many-addresses", (0..40).map(|from| check(0, from, u8::from(from % 7 == 0))).collect()),
        (
            "an-ice-restart",
            vec![
                command(0, 6, 0, 0),
                check(0, 0, 2),
                key_frame(SCHOOL),
                check(0, 1, 1),
                check(0, 0, 2),
                command(0, 6, 0, 0),
                command(0, 6, 0, 0),
                check(0, 5, 3),
            ],
        ),
        (
            "checks-that-lie",
            vec![
                Step::Stun {
                    far: 0,
                    octets: hex("0001 070707070707070707070707 0006 000b 6e656172312e302e303a6600"),
                },
                Step::Stun {
                    far: 0,
                    octets: hex(
                        "0001 070707070707070707070707 0006 000d 6e656172312e302e303a666172000000 8029 0008 0000000000000001",
                    ),
                },
                Step::Stun {
                    far: 0,
                    octets: hex(
                        "0001 070707070707070707070707 0006 000d 6e656172312e302e303a666172000000 7777 0000",
                    ),
                },
                Step::Stun {
                    far: 0,
                    octets: hex(
                        "0001 070707070707070707070707 0006 000d 6e656172312e302e303a666172000000 0025 0000",
                    ),
                },
            ],
        ),
        (
            "strangers",
            vec![
                Step::Datagram { from: 255, octets: hex("8060000100000000000003e8") },
                Step::Datagram {
                    from: 255,
                    octets: hex("000100082112a442070707070707070707070707 0006 0003 613a6200"),
                },
                Step::Datagram { from: 255, octets: forged_check() },
                Step::Datagram { from: 0, octets: hex("80c9000100000001") },
                Step::Datagram { from: 0, octets: hex("16fefd0000") },
                Step::Datagram { from: 0, octets: hex("ff") },
                Step::Datagram { from: 1, octets: Vec::new() },
            ],
        ),
        (
            "leaving-and-coming-back",
            vec![
                key_frame(SCHOOL),
                key_frame(HIGH),
                command(1, 3, 0, 0),
                key_frame(HIGH),
                interframe(SCHOOL, 1),
                command(1, 4, 0, 0),
                command(1, 0, 0x0c, 0x04),
                command(1, 2, 0, 0xff),
                route(1, 0, 1, 0),
                key_frame(HIGH),
            ],
        ),
        (
            "sources-come-and-go",
            vec![
                command(0, 0, 0x00, 0x84),
                command(0, 0, 0x04, 0x88),
                command(0, 0, 0xff, 0xff),
                command(0, 0, 0x0d, 0x45),
                route(1, 0, 8, 0),
                command(0, 1, 8, 0),
                command(0, 1, 1, 0),
                key_frame(HIGH),
                command(1, 1, 1, 0),
            ],
        ),
        (
            "slots-come",
            vec![
                command(2, 2, 1, 0x01),
                command(2, 2, 0x82, 0x09),
                command(2, 2, 1, 0x21),
                command(2, 2, 3, 0x47),
                command(2, 2, 4, 0x17),
                route(2, 1, 3, 0),
                route(2, 4, 3, 0),
                key_frame(SCHOOL),
            ],
        ),
        (
            "keys-twice",
            vec![
                command(0, 5, 0, 0),
                command(0, 7, 1, 2),
                command(0, 8, 1, 0),
                command(0, 3, 0, 0),
                command(0, 5, 0, 0),
                command(0, 7, 1, 2),
            ],
        ),
        (
            "a-recording",
            vec![
                command(1, 9, 3, 0),
                key_frame(SCHOOL),
                interframe(SCHOOL, 3),
                repair(SCHOOL_AGAIN, 1),
                media(SCHOOL, 1, flag::PADDING, ""),
                wait(199),
                wait(199),
                wait(199),
                interframe(SCHOOL, 1),
                command(1, 9, 3, 2),
                key_frame(SCHOOL),
                command(1, 10, 7, 0),
                command(1, 9, 3, 1),
                interframe(SCHOOL, 1),
            ],
        ),
        (
            "a-recording-of-layers",
            vec![
                command(0, 9, 1, 0),
                command(1, 9, 1, 0),
                key_frame(LOW),
                key_frame(HIGH),
                interframe(LOW, 1),
                wait(202),
                key_frame(LOW),
                media(LOW, 1, flag::MID | flag::RID | flag::OTHER_SSRC, "10 00"),
                command(0, 1, 1, 0),
                command(0, 3, 0, 0),
            ],
        ),
        ("silence", vec![key_frame(SCHOOL), wait(203), wait(210), wait(245), key_frame(SCHOOL), wait(255)]),
    ];
    let mut seeds: Vec<Seed> = stories.iter().map(|(name, steps)| story(name, 0, steps)).collect();
    let jumping = [
        key_frame(SCHOOL),
        interframe(SCHOOL, 100),
        interframe(SCHOOL, 127),
        interframe(SCHOOL, -50),
        interframe(SCHOOL, 127),
    ];
    seeds.push(story("numbers-that-jump", 1, &jumping));
    seeds
}

fn story(name: &str, beginning: u8, steps: &[Step]) -> Seed {
    let mut octets = vec![beginning];
    for step in steps {
        step.encode(&mut octets);
    }
    seed("engine", name, octets)
}
