//! Byte streams (RFC 4571) and sequences of SRTP packets.

use super::{Seed, hex, seed, table};
use luokkasilta_engine::wire::framing::{MAX_FRAME, write_frame};

/// Eight octets of piece lengths, then the stream.
const FRAMING: [(&str, &str); 12] = [
    (
        "stun-dtls-and-one-octet",
        "0000000000000000 0014 000100002112a442000102030405060708090a0b 0005 16fefd0000 0001 80",
    ),
    ("pieces-of-many-lengths", "0001020305081220 0005 16fefd0000 0005 16fefd0000 0005 16fefd0000"),
    ("length-in-two-pieces", "0000000000000000 0002 8081 00"),
    ("incomplete", "ffffffffffffffff 0010 8081"),
    ("one-empty-frame", "0303030303030303 0000 0001 80"),
    (
        "sixteen-empty-frames",
        "0303030303030303 0000000000000000000000000000000000000000000000000000000000000000 0001 80",
    ),
    (
        "seventeen-empty-frames",
        "0303030303030303 00000000000000000000000000000000000000000000000000000000000000000000 0001 80",
    ),
    ("too-long", "0303030303030303 0001 80 0801 80"),
    ("an-http-request", "0505050505050505 474554202f20485454502f312e310d0a0d0a"),
    ("a-tls-hello", "0505050505050505 16030100f8010000f40303"),
    ("no-stream", "0102030405060708"),
    ("nothing", ""),
];

/// A name, and plain packets with whether they are RTCP.
type Story = (&'static str, Vec<(bool, Vec<u8>)>);

/// One packet of the target `srtp_open`: even for RTP, how to spoil it, the packet.
fn packet(out: &mut Vec<u8>, is_rtcp: bool, spoilt: u16, packet: &[u8]) {
    out.extend([u8::from(is_rtcp), packet.len() as u8]);
    out.extend(spoilt.to_be_bytes());
    out.extend_from_slice(packet);
}

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = table("framing", &FRAMING);
    for len in [MAX_FRAME, 1_200] {
        let mut stream = vec![0xff; 8];
        write_frame(&mut stream, &vec![0x80; len]).expect("not too long");
        write_frame(&mut stream, &[0x81]).expect("not too long");
        seeds.push(seed("framing", &format!("frame-of-{len}"), stream));
    }
    let rtp = |sequence: u16, ssrc: u32| {
        [
            hex("8060"),
            sequence.to_be_bytes().to_vec(),
            hex("01020304"),
            ssrc.to_be_bytes().to_vec(),
            hex("61626364"),
        ]
        .concat()
    };
    for (profile, name) in [(0, "gcm"), (1, "cm")] {
        let stories: [Story; 9] = [
            ("in-order", (0..5).map(|n| (false, rtp(n, 1))).collect()),
            ("out-of-order", [9, 3, 1_000, 4, 999].map(|n| (false, rtp(n, 1))).to_vec()),
            ("over-the-wrap", [65_534, 65_535, 0, 1].map(|n| (false, rtp(n, 1))).to_vec()),
            ("far-apart", [0, 32_768, 65_535, 0].map(|n| (false, rtp(n, 1))).to_vec()),
            ("many-streams", (1..9).map(|ssrc| (false, rtp(7, ssrc))).collect()),
            ("header-alone", vec![(false, hex("80600001 00000000 00000001"))]),
            ("extension", vec![(false, hex("9060fffe 01020304 cafebabe bede0001 10aa0000 6162"))]),
            (
                "reports",
                vec![
                    (true, hex("81c90007 00000001 000000000000000000000000000000000000000000000000")),
                    (true, hex("80c90001 00000001")),
                ],
            ),
            (
                "too-short",
                vec![(true, hex("80c90001")), (false, hex("8060")), (true, Vec::new()), (false, Vec::new())],
            ),
        ];
        for (story, packets) in stories {
            let mut octets = vec![profile];
            for (at, (is_rtcp, plain)) in packets.iter().enumerate() {
                packet(&mut octets, *is_rtcp, 977 * at as u16 + 8, plain);
            }
            seeds.push(seed("srtp_open", &format!("{name}-{story}"), octets));
        }
    }
    seeds
}
