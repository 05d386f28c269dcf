use proptest::prelude::*;

use super::*;
use crate::testing::proptest_config;
use crate::wire::testing::{hex, recorded};

#[test]
fn chromium_with_three_temporal_levels() {
    let payloads = recorded(include_str!("../../../tests/recorded/vp9-l1t3.txt"));
    let read: Vec<(Descriptor, bool)> = payloads
        .iter()
        .map(|packet| {
            let descriptor = Descriptor::parse(&packet.payload).expect("a descriptor");
            (descriptor, descriptor.is_key_frame(&packet.payload))
        })
        .collect();
    assert_eq!(read.iter().filter(|(_, key)| *key).count(), 1, "one key frame");
    let (first, is_key) = read[0];
    assert!(is_key && first.has_structure && first.flexible && !first.inter_predicted);
    assert_eq!((first.picture_id, first.temporal_level), (Some((0x2d38, true)), Some(0)));
    assert_eq!(first.header_len, 9, "320 x 180 in the structure");
    let frames: Vec<(u16, u8)> = read
        .iter()
        .filter(|(descriptor, _)| descriptor.start_of_frame)
        .map(|(it, _)| (it.picture_id.expect("an id").0, it.temporal_level.expect("a level")))
        .collect();
    assert!(frames.len() > 8);
    for (number, (id, level)) in frames.iter().enumerate() {
        assert_eq!(usize::from(*id), 0x2d38 + number);
        assert_eq!(*level, [0, 2, 1, 2][number % 4], "the pattern of L1T3");
    }
}

#[test]
fn the_mode_that_is_not_flexible_counts_base_frames() {
    // I, L, B; level 2, switching up, spatial 1, inter-layer; TL0PICIDX 7.
    let payload = hex("a8 8011 53 07 87");
    let descriptor = Descriptor::parse(&payload).expect("a descriptor");
    assert_eq!(descriptor.temporal_level, Some(2));
    assert!(descriptor.switching_up && descriptor.inter_layer && descriptor.start_of_frame);
    assert_eq!((descriptor.spatial_level, descriptor.tl0_picture_index), (1, Some(7)));
    assert_eq!(descriptor.header_len, 5);
    let mut other = payload.clone();
    descriptor.rewrite(&mut other, 0x7abc, 9);
    assert_eq!(other, hex("a8 fabc 53 09 87"));
}

#[test]
fn key_frames_and_what_is_none() {
    let is_key = |text: &str| {
        let payload = hex(text);
        Descriptor::parse(&payload).expect("a descriptor").is_key_frame(&payload)
    };
    assert!(is_key("88 11 83"), "key frame");
    assert!(is_key("88 11 b1"), "of profile 3, which has a reserved bit");
    assert!(!is_key("88 11 b2"), "a later one of profile 3");
    assert!(!is_key("88 11 87"), "intra only: the frame's own header says so");
    assert!(!is_key("88 11 88"), "an existing frame shown again");
    assert!(!is_key("88 11 43"), "no frame marker");
    assert!(!is_key("c8 11 83"), "it refers to another picture");
    assert!(!is_key("80 11 83"), "not its beginning");
    assert!(!is_key("a8 11 02 07 83"), "a higher spatial layer");
    assert!(!is_key("88 11"), "nothing behind the descriptor");
}

#[test]
fn references_and_structures_have_a_length() {
    let len = |text: &str| Descriptor::parse(&hex(text)).map(|descriptor| descriptor.header_len);
    assert_eq!(len("50 02"), Ok(2), "one reference");
    assert_eq!(len("50 03 05 02"), Ok(4), "three");
    assert_eq!(len("50 03 05 03 02"), Err(Vp9Error::TooManyReferences));
    assert_eq!(len("02 00"), Ok(2), "a structure with nothing in it");
    assert_eq!(len("02 30 0140 00b4 0280 0168"), Ok(10), "two sizes");
    assert_eq!(len("02 08 02 14 01 00"), Ok(6), "a group of two pictures");
    assert_eq!(len("02 08 00"), Ok(3), "a group of none");
}

#[test]
fn every_truncation_is_refused() {
    for whole in ["a0 9234 53 07", "80 12", "50 03 05 02", "02 30 0140 00b4 0280 0168", "02 08 02 14 01 00"] {
        let whole = hex(whole);
        for len in 0..whole.len() {
            assert_eq!(Descriptor::parse(&whole[..len]), Err(Vp9Error::TooShort), "{len} of {whole:02x?}");
        }
        assert!(Descriptor::parse(&whole).is_ok());
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn rewriting_changes_the_numbers_and_nothing_else(
        payload in prop::collection::vec(any::<u8>(), 0..40),
        picture_id in any::<u16>(),
        tl0 in any::<u8>(),
    ) {
        let Ok(descriptor) = Descriptor::parse(&payload) else { return Ok(()) };
        prop_assert!(descriptor.header_len <= payload.len());
        let mut rewritten = payload.clone();
        descriptor.rewrite(&mut rewritten, picture_id, tl0);
        let mut expected = descriptor;
        if let Some((value, wide)) = &mut expected.picture_id {
            *value = picture_id & if *wide { 0x7fff } else { 0x7f };
        }
        expected.tl0_picture_index = descriptor.tl0_picture_index.map(|_| tl0);
        prop_assert_eq!(Descriptor::parse(&rewritten), Ok(expected));
        prop_assert_eq!(&rewritten[descriptor.header_len..], &payload[descriptor.header_len..]);
        descriptor.rewrite(&mut rewritten[..descriptor.header_len / 2], picture_id, tl0);
    }
}
