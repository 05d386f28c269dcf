use proptest::prelude::*;

use super::{Contents, H264Error, begins_key_frame};
use crate::testing::proptest_config;
use crate::wire::testing::{hex, recorded};

const NOTHING: Contents =
    Contents { sequence_parameters: false, instantaneous_refresh: false, picture: false };
const PARAMETERS: Contents = Contents { sequence_parameters: true, ..NOTHING };
const PICTURE: Contents = Contents { picture: true, ..NOTHING };
const REFRESH: Contents = Contents { instantaneous_refresh: true, ..PICTURE };

fn read(text: &str) -> Result<Contents, H264Error> {
    Contents::parse(&hex(text))
}

/// Constrained baseline by libx264 (PyAV 18), 64x48 in three slices, an IDR picture every third of five, each with a
/// delimiter and parameter sets; without the SEI, in which x264 only tells its options.
const ENCODED: &[u8] = include_bytes!("baseline.264");

/// The NAL units of an octet stream (H.264 annex B); [`ENCODED`] has start codes of four octets throughout.
fn units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        (0..stream.len()).filter(|&at| stream[at..].starts_with(&[0, 0, 0, 1])).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    starts.iter().zip(ends).map(|(start, end)| &stream[start + 4..end]).collect()
}

fn aggregate(units: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![0x78];
    for unit in units {
        payload.extend_from_slice(&(unit.len() as u16).to_be_bytes());
        payload.extend_from_slice(unit);
    }
    payload
}

/// FU-A packets with at most `size` octets of the unit each; at least two.
fn fragments(unit: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (header, body) = (unit[0], &unit[1..]);
    let pieces: Vec<&[u8]> = body.chunks(size.min(body.len().div_ceil(2)).max(1)).collect();
    let last = pieces.len() - 1;
    let flags = |at| if at == 0 { 0x80 } else { 0 } | if at == last { 0x40 } else { 0 };
    pieces
        .iter()
        .enumerate()
        .map(|(at, piece)| [&[header & 0x60 | 28, flags(at) | header & 0x1f], *piece].concat())
        .collect()
}

/// What a unit of [`ENCODED`] is, from its type and its place alone.
fn expected(units: &[&[u8]], at: usize) -> Contents {
    let unit_type = units[at][0] & 0x1f;
    let first_slice = at == 0 || units[at - 1][0] & 0x1f != unit_type;
    match unit_type {
        5 if first_slice => REFRESH,
        1 | 5 => PICTURE,
        7 => PARAMETERS,
        8 | 9 => NOTHING,
        other => panic!("a unit of type {other}"),
    }
}

#[test]
fn reads_what_chromium_sends() {
    // Chromium 156 (OpenH264) at 640x360, payloads of one join, cut after some octets: parameter sets in an
    // aggregate, an IDR picture in two fragments, then pictures in one packet each.
    let parameters = "78 0013 6742c01f8c8d405017fcb3506060607844 2350 0004 68ce3c80";
    assert_eq!(read(parameters), Ok(PARAMETERS));
    assert_eq!(read("7c85 b80004000005388c500010458e000203f1c0"), Ok(REFRESH));
    assert_eq!(read("7c45 7df7d75d75d75d75d75d75d75d75d7fc9838"), Ok(PICTURE));
    assert_eq!(read("61 e0004000be40538072c2780024da49b6d24daf"), Ok(PICTURE));
}

#[test]
fn reads_what_x264_encodes_in_every_way_to_send_it() {
    let units = units(ENCODED);
    let count = |unit_type: u8| units.iter().filter(|unit| unit[0] & 0x1f == unit_type).count();
    assert_eq!(
        (count(9), count(7), count(8), count(5), count(1)),
        (5, 2, 2, 6, 9),
        "the file is what it was"
    );
    for (at, unit) in units.iter().enumerate() {
        let expected = expected(&units, at);
        assert_eq!(Contents::parse(unit), Ok(expected), "unit {at} alone");
        assert_eq!(Contents::parse(&aggregate(&[unit])), Ok(expected), "unit {at} in an aggregate");
        if unit.len() < 3 {
            continue; // nothing to divide
        }
        for size in [1, 20, usize::MAX] {
            for (piece, payload) in fragments(unit, size).iter().enumerate() {
                let expected =
                    if piece == 0 { expected } else { Contents { picture: expected.picture, ..NOTHING } };
                assert_eq!(Contents::parse(payload), Ok(expected), "piece {piece} of unit {at}");
            }
        }
    }
    // Whole pictures in one aggregate each: delimiter first, so that the key frame's units are not the first ones.
    let delimiters: Vec<usize> = (0..units.len()).filter(|&at| units[at][0] & 0x1f == 9).collect();
    let ends = delimiters.iter().skip(1).copied().chain([units.len()]);
    let pictures: Vec<bool> = delimiters
        .iter()
        .zip(ends)
        .map(|(&start, end)| begins_key_frame(&aggregate(&units[start..end])))
        .collect();
    assert_eq!(pictures, [true, false, false, true, false]);
}

#[test]
fn only_the_first_slice_begins_a_picture() {
    assert_eq!(read("65 88"), Ok(REFRESH));
    assert_eq!(read("65 48"), Ok(PICTURE), "first_mb_in_slice is not zero");
    assert_eq!(read("65"), Ok(PICTURE), "a slice of which nothing is there");
    assert_eq!(read("7c85 88"), Ok(REFRESH));
    assert_eq!(read("7c85 48"), Ok(PICTURE));
    assert_eq!(read("7c85"), Ok(PICTURE), "a fragment may be empty");
    assert_eq!(read("7c05 88"), Ok(PICTURE), "the middle of a slice");
    assert_eq!(read("7ca5 88"), Ok(REFRESH), "the reserved bit means nothing");
    assert_eq!(read("7c87 42"), Ok(PARAMETERS));
    assert_eq!(read("7c07 42"), Ok(NOTHING));
    assert_eq!(read("41 88"), Ok(PICTURE));
}

#[test]
fn other_units_are_no_picture() {
    for unit_type in 1..=23u8 {
        let contents = Contents::parse(&[0x60 | unit_type, 0x88]).expect("a single NAL unit");
        assert_eq!(contents.picture, (1..=5).contains(&unit_type), "type {unit_type}");
        assert_eq!(contents.begins_key_frame(), unit_type == 7, "type {unit_type}");
    }
}

#[test]
fn lies_are_refused() {
    for (lie, error) in [
        ("", H264Error::TooShort),
        ("e5 88", H264Error::Forbidden),
        ("f8 0002 6588", H264Error::Forbidden),
        ("78 0002 e588", H264Error::Forbidden),
        ("fc85 88", H264Error::Forbidden),
        ("60 88", H264Error::BadType),
        ("7e 88", H264Error::BadType),             // 30
        ("7f 88", H264Error::BadType),             // 31
        ("79 0001 0002 6588", H264Error::BadType), // STAP-B
        ("7a 0001 0002 6588", H264Error::BadType), // MTAP16
        ("7d85 0001 88", H264Error::BadType),      // FU-B
        ("78", H264Error::TooShort),
        ("78 00", H264Error::BadAggregate),
        ("78 0000", H264Error::BadAggregate), // an empty unit
        ("78 0003 6588", H264Error::BadAggregate),
        ("78 0002 6588 00", H264Error::BadAggregate),
        ("78 0002 6588 0000", H264Error::BadAggregate),
        ("78 0002 6588 0001", H264Error::BadAggregate),
        ("78 0004 78000165", H264Error::BadType), // an aggregate in an aggregate
        ("78 0003 7c8588", H264Error::BadType),   // a fragment in an aggregate
        ("78 0002 6088", H264Error::BadType),
        ("7c", H264Error::TooShort),
        ("7cc5 88", H264Error::BadFragment),
        ("7c80 88", H264Error::BadType),
        ("7c98 0002 6588", H264Error::BadType), // a fragment of an aggregate
        ("7c9c 85 88", H264Error::BadType),     // a fragment of a fragment
    ] {
        assert_eq!(read(lie), Err(error), "{lie}");
        assert!(!begins_key_frame(&hex(lie)), "{lie}");
    }
}

#[test]
fn an_aggregate_is_read_to_its_end() {
    // The unit that matters stands last, and one lie behind it spoils the whole.
    let good = "78 0002 09f0 0002 0680 0003 674200 0003 68ce00 0002 6588";
    assert_eq!(read(good), Ok(Contents { sequence_parameters: true, ..REFRESH }));
    let whole = hex(good);
    let whole_units = [1, 5, 9, 14, 19];
    for len in 1..whole.len() {
        let cut = Contents::parse(&whole[..len]);
        assert_eq!(cut.is_ok(), len > 1 && whole_units.contains(&len), "{len} octets");
    }
}

#[test]
fn the_first_packet_of_chromium_begins_a_key_frame_and_no_other() {
    let packets = recorded(include_str!("../../../tests/recorded/h264-l1t3.txt"));
    let begins: Vec<bool> = packets.iter().map(|packet| begins_key_frame(&packet.payload)).collect();
    assert!(begins[0]);
    assert_eq!(begins.iter().filter(|begins| **begins).count(), 1);
}

proptest! {
    #![proptest_config(proptest_config())]

    /// However units are packed, an aggregate holds what its units hold.
    #[test]
    fn an_aggregate_is_the_sum_of_its_units(
        units in prop::collection::vec((1u8..24, prop::collection::vec(any::<u8>(), 0..40)), 1..8),
    ) {
        let units: Vec<Vec<u8>> =
            units.into_iter().map(|(unit_type, body)| [vec![0x60 | unit_type], body].concat()).collect();
        let mut sum = NOTHING;
        for unit in &units {
            let one = Contents::parse(unit).expect("a single NAL unit");
            sum.sequence_parameters |= one.sequence_parameters;
            sum.instantaneous_refresh |= one.instantaneous_refresh;
            sum.picture |= one.picture;
        }
        let units: Vec<&[u8]> = units.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(Contents::parse(&aggregate(&units)), Ok(sum));
    }

    /// However a unit is divided, its first fragment says what the unit says, and no other begins anything.
    #[test]
    fn fragments_say_what_their_unit_says(
        unit_type in 1u8..24,
        body in prop::collection::vec(any::<u8>(), 2..200),
        size in 1usize..100,
    ) {
        let unit = [vec![0x60 | unit_type], body].concat();
        let whole = Contents::parse(&unit).expect("a single NAL unit");
        let pieces = fragments(&unit, size);
        prop_assert!(pieces.len() >= 2);
        for (at, piece) in pieces.iter().enumerate() {
            let expected = if at == 0 { whole } else { Contents { picture: whole.picture, ..NOTHING } };
            prop_assert_eq!(Contents::parse(piece), Ok(expected));
        }
    }

    #[test]
    fn never_panics(
        mut payload in prop::collection::vec(any::<u8>(), 0..60),
        first in prop::option::of(prop::sample::select(vec![0x78u8, 0x7c, 0x65, 0x67])),
    ) {
        if let (Some(first), Some(octet)) = (first, payload.first_mut()) {
            *octet = first;
        }
        let contents = Contents::parse(&payload);
        prop_assert_eq!(begins_key_frame(&payload), contents.is_ok_and(|contents| contents.begins_key_frame()));
    }
}
