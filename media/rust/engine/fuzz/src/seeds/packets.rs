//! RTP, header extensions and RTCP.

use super::{Seed, seed, table};
use luokkasilta_engine::wire::rtcp::{self, ReportBlock, SenderInfo};

const RTP: [(&str, &str); 17] = [
    ("plain", "8060fffe 01020304 cafebabe 90e0800107a0"),
    ("header-alone", "8060fffe 01020304 cafebabe"),
    ("marker", "80e0fffe 01020304 cafebabe 00"),
    ("one-byte-form", "9060fffe 01020304 cafebabe bede0001 10aa0000 00"),
    // As Chromium begins a layer: abs-send-time, transport sequence, mid, rid.
    (
        "mid-and-rid",
        "90e00001 00000001 00000065 bede0004 22123456 31000130 a0684000 b0680000 00000000 90e08001",
    ),
    ("two-byte-form", "9060fffe 01020304 cafebabe 10000002 0100 0f0161 00 000000 00"),
    ("unknown-form", "9060fffe 01020304 cafebabe abcd0001 10aa0000 00"),
    ("empty-block", "9060fffe 01020304 cafebabe bede0000 00"),
    ("contributors", "8260fffe 01020304 cafebabe 00000001 00000002 00"),
    (
        "all-contributors",
        "8f60fffe 01020304 cafebabe 000000010000000200000003000000040000000500000006000000070000000800000009
      0000000a0000000b0000000c0000000d0000000e0000000f 00",
    ),
    ("padding", "a060fffe 01020304 cafebabe 0000000000000004"),
    ("padding-alone", "a060fffe 01020304 cafebabe 00000004"),
    ("padding-too-long", "a060fffe 01020304 cafebabe 000000ff"),
    ("padding-of-none", "a060fffe 01020304 cafebabe 00000000"),
    ("everything", "b1e0fffe 01020304 cafebabe 00000001 bede0001 10aa0000 0102 0003"),
    ("version-1", "4060fffe 01020304 cafebabe"),
    ("block-past-the-end", "9060fffe 01020304 cafebabe bede0002 10aa0000"),
];

/// The first octet chooses the form: below 100 the one-byte form, below 200 the two-byte form.
const EXTENSIONS: [(&str, &str); 20] = [
    ("level", "00 10aa0000"),
    ("sixteen-octets", "00 2f000102030405060708090a0b0c0d0e0f"),
    ("all-short-ids", "00 1001 2002 3003 4004 5005 6006 7007 8008 9009 a00a b00b c00c d00d e00e"),
    ("reserved-id-ends", "00 10aa f000 2001"),
    ("id-zero-with-length", "00 10aa 0311"),
    ("padding-between", "00 10aa 000000 2001 0000"),
    ("past-the-end", "00 10aa 2f00"),
    ("only-padding", "00 00000000"),
    ("twice", "00 10aa 10bb"),
    ("mid", "00 3130 3130 3130"),
    ("two-byte-level", "64 0101aa00"),
    ("two-byte-empty", "64 0500 0600 0700"),
    ("two-byte-high-id", "64 ff0161"),
    ("two-byte-padding", "64 0000 0101aa 00"),
    ("two-byte-past-the-end", "64 0101aa 02ff00"),
    ("two-byte-long", "64 012061616161616161616161616161616161616161616161616161616161616161"),
    ("two-byte-application-bits", "6f 0101aa00"),
    ("unknown-form", "ff 10aa0000"),
    ("almost-two-byte", "c8 0101aa00"),
    ("nothing", "00"),
];

/// Malformed twins; what is well-formed is written by the writers.
const RTCP: [(&str, &str); 19] = [
    ("version-1", "40c90001 00000001"),
    ("length-past-the-end", "80c90002 00000001"),
    ("block-that-is-not-there", "81c90001 00000001"),
    ("short-sender-report", "80c80001 00000001"),
    ("goodbye-of-more-than-there-is", "82cb0001 00000001"),
    ("goodbye-with-reason", "81cb0003 00000007 05627965 21210000"),
    ("feedback-without-media", "81ce0001 00000001"),
    ("nack-of-nothing", "81cd0002 00000001 00000002"),
    ("nack-of-many", "81cd0005 00000001 00000002 fffe8007 0005ffff 00050001"),
    ("half-a-fir", "84ce0003 00000001 00000000 00000002"),
    ("remb-of-an-ssrc-that-is-not-there", "8fce0004 00000001 00000000 52454d42 01000001"),
    ("remb-beyond-64-bits", "8fce0004 00000001 00000000 52454d42 00ffffff"),
    ("application-feedback", "8fce0003 00000001 00000000 41424344"),
    ("transport-feedback", "8fcd0004 00000001 00000002 00010002 00000300"),
    ("padding", "a0c90002 00000001 00000004"),
    ("padding-longer-than-the-packet", "a0c90002 00000001 0000000c"),
    ("padding-in-the-middle", "a0c90002 00000001 00000004 80c90001 00000001"),
    (
        "descriptions",
        "83ca0009 00000001 0201 58 0102 6162 00 00000002 00000000 00000003 0103 616263 0401 59 00000000",
    ),
    ("extended-report", "80cf0001 00000001 80c90001 00000001"),
];

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = [table("rtp", &RTP), table("extensions", &EXTENSIONS), table("rtcp", &RTCP)].concat();
    let mut write = |name: &str, make: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        make(&mut out);
        seeds.push(seed("rtcp", name, out));
    };
    let block = ReportBlock { ssrc: 2, fraction_lost: 64, cumulative_lost: -2, ..ReportBlock::default() };
    let info =
        SenderInfo { ssrc: 1, ntp: 0x83aa_7e80_0000_0000, rtp_timestamp: 90_000, packets: 9, octets: 999 };
    write("sender-report", &|out| rtcp::write_sender_report(out, &info, &[block]));
    write("compound", &|out| {
        rtcp::write_sender_report(out, &info, &[]);
        rtcp::write_cname(out, 1, b"luokkasilta");
        rtcp::write_pli(out, 1, 2);
    });
    write("receiver-reports", &|out| rtcp::write_receiver_report(out, 1, &[block; 33]));
    write("goodbye", &|out| rtcp::write_goodbye(out, &[1, 2, 3]));
    write("pli", &|out| rtcp::write_pli(out, 1, 2));
    write("fir", &|out| rtcp::write_fir(out, 1, &[(2, 9), (3, 10)]));
    write("nack", &|out| rtcp::write_nack(out, 1, 2, &[65_535, 0, 15, 16, 40, 57]));
    write("remb", &|out| rtcp::write_remb(out, 1, 2_500_000, &[2, 3]));
    write("nothing", &|_| {});
    seeds
}
