//! VP8, VP9, H.264, the dependency descriptor of AV1, and redundant audio.

use super::{Seed, hex, seed, table};

/// Three octets of new numbers, then the payload (RFC 7741 section 4.2).
const VP8: [(&str, &str); 18] = [
    ("no-descriptor-fields", "000000 10 00"),
    ("rfc7741-key-frame", "000000 90 80 8011 00"),
    ("chromium-key-frame", "7fffff 90 e0 8234 07 20 50af02 9d012a 8002 6801 00"),
    ("chromium-interframe", "0001fe b0 e0 9234 07 a0 01"),
    ("every-field", "123456 90 f0 9234 07 ab 00"),
    ("narrow-picture-id", "00ff01 90 80 12 00"),
    ("base-layer-index-alone", "00ff01 90 40 07 00"),
    ("level-alone", "00ff01 90 20 40 00"),
    ("key-index-alone", "00ff01 90 10 01 00"),
    ("no-fields-after-all", "00ff01 90 00 00"),
    ("continuation", "00ff01 80 c0 8011 07 ff"),
    ("second-partition", "00ff01 11 00"),
    ("scaled-size", "00ff01 10 50af02 9d012a 8042 6881"),
    ("no-start-code", "00ff01 10 50af02 9d012b 8002 6801"),
    ("size-cut-short", "00ff01 10 50af02 9d012a 8002 68"),
    ("descriptor-cut-short", "00ff01 90 f0 9234 07"),
    ("wide-picture-id-cut-short", "00ff01 90 80 80"),
    ("descriptor-alone", "00ff01 10"),
];

/// As `VP8`, of RFC 9628 section 4.2.
const VP9: [(&str, &str); 17] = [
    ("chromium-key-frame", "7fffff bb ad38 10 10 0140 00b4 8349 8342"),
    ("chromium-interframe", "7fffff fd ad39 50 02 87 00"),
    ("not-flexible", "0001fe a8 8011 53 07 87"),
    ("narrow-picture-id", "00ff01 88 11 83"),
    ("profile-3", "00ff01 88 11 b1"),
    ("intra-only", "00ff01 88 11 87"),
    ("no-frame-marker", "00ff01 88 11 43"),
    ("three-references", "00ff01 50 03 05 02"),
    ("four-references", "00ff01 50 03 05 03 02"),
    ("references-cut-short", "00ff01 50 03"),
    ("structure-with-two-sizes", "00ff01 02 30 0140 00b4 0280 0168"),
    ("structure-with-a-group", "00ff01 02 08 02 14 01 00"),
    ("group-cut-short", "00ff01 02 08 02 14 01"),
    ("structure-of-everything", "00ff01 0a 18 0140 00b4 01 08 01 02 83"),
    ("levels-cut-short", "00ff01 a0 8011"),
    ("av1-key-frame", "000000 18 0a"),
    ("descriptor-alone", "00ff01 08"),
];

/// Descriptors one behind the other, each behind its length.
const DEPENDENCY: [(&str, &str); 15] = [
    (
        "chromium-l1t3",
        "14 800001800214eaa860414d1410208427013f00b3 03 400001 03 c30002 03 c20003 03 c40004 03 c10005",
    ),
    ("without-a-structure", "03 400001 03 c30002 03 c20003 03 c40004 03 c10005"),
    (
        "structure-cut-short",
        "12 800001800214eaa860414d1410208427013f 03 400001 03 c30002 03 c20003 03 c40004 03 c10005",
    ),
    ("unknown-template", "14 800001800214eaa860414d1410208427013f00b3 03 c50102"),
    ("active-targets", "14 800001800214eaa860414d1410208427013f00b3 05 c1010263a0"),
    ("active-targets-cut-short", "14 800001800214eaa860414d1410208427013f00b3 04 c1010263"),
    ("too-short", "02 c001"),
    ("mandatory-alone", "03 c40102"),
    ("custom-everything", "14 800001800214eaa860414d1410208427013f00b3 06 c101027ca000"),
    (
        "templates-without-end",
        "2d c00001800000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    ),
    (
        "temporal-levels-without-end",
        "2d c00001800055555555555555555555555555555555555555555555555555555555555555555555555555555555",
    ),
    (
        "spatial-levels-without-end",
        "2d c000018000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
    (
        "two-structures",
        "14 800001800214eaa860414d1410208427013f00b3 14 800001800214eaa860414d1410208427013f00b3 03 400001 03 c30002 03 c20003 03 c40004 03 c10005",
    ),
    ("length-past-the-end", "ff c40102"),
    ("two-spatial-levels", "12 800001800041c0c0c0c0c0c0c0c0c0c0c0c0"),
];

const H264: [(&str, &str); 20] = [
    ("chromium-parameters", "78 0013 6742c01f8c8d405017fcb3506060607844 2350 0004 68ce3c80"),
    ("chromium-first-fragment", "7c85 b80004000005388c500010458e000203f1c0"),
    ("chromium-last-fragment", "7c45 7df7d75d75d75d75d75d75d75d75d7fc9838"),
    ("chromium-picture", "61 e0004000be40538072c2780024da49b6d24daf"),
    ("aggregate-with-idr-last", "78 0002 09f0 0002 0680 0003 674200 0003 68ce00 0002 6588"),
    ("second-slice", "65 48"),
    ("slice-header-alone", "65"),
    ("fragment-of-parameters", "7c87 42"),
    ("middle-fragment", "7c05 88"),
    ("empty-fragment", "7c85"),
    ("fragment-that-begins-and-ends", "7cc5 88"),
    ("fragment-of-an-aggregate", "7c98 0002 6588"),
    ("reserved-bit", "7ca5 88"),
    ("forbidden-bit", "e5 88"),
    ("type-0", "60 88"),
    ("interleaved-aggregate", "79 0001 0002 6588"),
    ("empty-unit", "78 0000"),
    ("unit-past-the-end", "78 0003 6588"),
    ("size-cut-short", "78 0002 6588 00"),
    ("aggregate-in-an-aggregate", "78 0004 78000165"),
];

/// RFC 2198 section 3, with frames of Opus.
const RED: [(&str, &str); 14] = [
    ("own-alone", "6f 78 0102"),
    ("one-earlier", "ef 0f00 03 6f 78 0102 78 0304"),
    ("two-earlier", "ef 1e00 02 ef 0f00 03 6f 78 01 78 0203 78 0405"),
    ("another-payload-type", "ee 0f00 01 6f 78 78"),
    ("no-offset", "ef 0000 01 6f 78 78"),
    ("empty-block", "ef 0f00 00 6f 78"),
    ("largest-offset", "ef fffc 01 6f 78 78"),
    ("block-past-the-end", "ef 0f00 04 6f 78 0102"),
    ("length-of-1023", "ef 0fff ff 6f 78"),
    ("headers-without-end", "ffffffffffffffffffffffffffffffff"),
    ("header-cut-short", "ef 0f00"),
    ("no-own-block", "ef 0f00 00"),
    ("header-alone", "6f"),
    ("several-opus-frames", "ef 3c00 02 6f 7b02 7b83"),
];

/// Constrained baseline by libx264, as the wire tests have it.
const ENCODED: &[u8] = include_bytes!("../../../src/wire/h264/baseline.264");

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = [
        table("vp8", &VP8),
        table("vp9", &VP9),
        table("dependency", &DEPENDENCY),
        table("h264", &H264),
        table("red", &RED),
    ]
    .concat();
    let starts: Vec<usize> =
        (0..ENCODED.len()).filter(|&at| ENCODED[at..].starts_with(&[0, 0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([ENCODED.len()]);
    for (at, (start, end)) in starts.iter().zip(ends).enumerate().take(8) {
        seeds.push(seed("h264", &format!("x264-unit-{at}"), ENCODED[start + 4..end].to_vec()));
    }
    // RFC 4588 section 4: the original sequence number before the payload.
    seeds.push(seed("h264", "retransmission", hex("ffff 6588")));
    seeds
}
