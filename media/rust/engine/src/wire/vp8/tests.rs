use proptest::prelude::*;

use super::{Descriptor, PictureId, Vp8Error};
use crate::testing::proptest_config;
use crate::wire::testing::{hex, recorded};

/// Writes what the fields say; the twin that the property tests hold the parser to.
fn encode(descriptor: &Descriptor) -> Vec<u8> {
    let bit = |set: bool, at: u8| u8::from(set) << at;
    let present = bit(descriptor.picture_id.is_some(), 7)
        | bit(descriptor.tl0_picture_index.is_some(), 6)
        | bit(descriptor.temporal_level.is_some(), 5)
        | bit(descriptor.key_index.is_some(), 4);
    let mut out = vec![
        bit(present != 0, 7)
            | bit(descriptor.non_reference, 5)
            | bit(descriptor.start_of_partition, 4)
            | descriptor.partition_index,
    ];
    if present == 0 {
        return out;
    }
    out.push(present);
    match descriptor.picture_id {
        Some(PictureId { value, wide: true }) => out.extend_from_slice(&(value | 0x8000).to_be_bytes()),
        Some(PictureId { value, wide: false }) => out.push(value as u8),
        None => {}
    }
    out.extend(descriptor.tl0_picture_index);
    if descriptor.temporal_level.is_some() || descriptor.key_index.is_some() {
        out.push(
            descriptor.temporal_level.unwrap_or(0) << 6
                | bit(descriptor.layer_sync, 5)
                | descriptor.key_index.unwrap_or(0),
        );
    }
    out
}

prop_compose! {
    fn descriptors()(
        picture_id in prop::option::of((0u16..0x8000, any::<bool>())),
        tl0_picture_index in any::<Option<u8>>(),
        level in prop::option::of((0u8..4, any::<bool>())),
        key_index in prop::option::of(0u8..32),
        start_of_partition in any::<bool>(),
        partition_index in 0u8..8,
        non_reference in any::<bool>(),
    ) -> Descriptor {
        let picture_id = picture_id
            .map(|(value, wide)| PictureId { value: if wide { value } else { value & 0x7f }, wide });
        let mut descriptor = Descriptor {
            picture_id,
            tl0_picture_index,
            temporal_level: level.map(|(id, _)| id),
            layer_sync: level.is_some_and(|(_, sync)| sync),
            key_index,
            start_of_partition,
            partition_index,
            non_reference,
            header_len: 0,
        };
        descriptor.header_len = encode(&descriptor).len();
        descriptor
    }
}

#[test]
fn reads_the_examples_of_rfc_7741() {
    // Section 4.6.1: a key frame in one packet, X=1 S=1, wide picture id 0x11.. and no more.
    let payload = hex("90 80 8011 00");
    let descriptor = Descriptor::parse(&payload).expect("a descriptor");
    assert_eq!(descriptor.picture_id, Some(PictureId { value: 0x11, wide: true }));
    assert!(descriptor.starts_frame() && descriptor.is_key_frame(&payload));
    assert_eq!(descriptor.header_len, 4);

    // All fields, as Chromium sends them: wide picture id, TL0PICIDX, TID 2 with Y, no KEYIDX.
    let payload = hex("b0 e0 9234 07 a0 01");
    let descriptor = Descriptor::parse(&payload).expect("a descriptor");
    assert_eq!(descriptor.picture_id, Some(PictureId { value: 0x1234, wide: true }));
    assert_eq!(descriptor.tl0_picture_index, Some(7));
    assert_eq!((descriptor.temporal_level, descriptor.layer_sync), (Some(2), true));
    assert_eq!(descriptor.key_index, None);
    assert!(descriptor.non_reference);
    assert!(!descriptor.is_key_frame(&payload), "the P bit says interframe");
}

#[test]
fn only_the_first_payload_of_a_frame_is_a_key_frame() {
    for (payload, expected) in [
        ("10 00", true),
        ("10 01", false),
        ("00 00", false), // continues a partition
        ("11 00", false), // begins the second partition
        ("10", false),    // nothing behind the descriptor
    ] {
        let payload = hex(payload);
        let descriptor = Descriptor::parse(&payload).expect("a descriptor");
        assert_eq!(descriptor.is_key_frame(&payload), expected, "{payload:02x?}");
    }
}

#[test]
fn reads_the_size_of_a_key_frame() {
    let read = |text: &str| {
        let payload = hex(text);
        Descriptor::parse(&payload).expect("a descriptor").key_frame_size(&payload)
    };
    assert_eq!(read("10 50af02 9d012a 8002 6801 00"), Some((640, 360)));
    assert_eq!(read("10 50af02 9d012a 8042 6881"), Some((640, 360)), "the scale bits are no size");
    assert_eq!(read("10 51af02 9d012a 8002 6801"), None, "an interframe");
    assert_eq!(read("10 50af02 9d012b 8002 6801"), None, "no start code");
    assert_eq!(read("10 50af02 9d012a 8002 68"), None, "cut short");
}

#[test]
fn every_truncation_of_the_descriptor_is_refused() {
    for whole in ["90 f0 9234 07 a0", "90 80 12", "90 40 07", "90 20 40", "90 10 01"] {
        let whole = hex(whole);
        assert!(Descriptor::parse(&whole).is_ok());
        for len in 0..whole.len() {
            assert_eq!(Descriptor::parse(&whole[..len]), Err(Vp8Error::TooShort), "{len} of {whole:02x?}");
        }
    }
}

#[test]
fn rewriting_a_payload_that_was_cut_does_nothing_bad() {
    let payload = hex("90 f0 9234 07 a0");
    let descriptor = Descriptor::parse(&payload).expect("a descriptor");
    for len in 0..payload.len() {
        let mut cut = payload[..len].to_vec();
        descriptor.rewrite(&mut cut, 1, 1);
    }
}

#[test]
fn chromium_with_three_temporal_levels() {
    let packets = recorded(include_str!("../../../tests/recorded/vp8-l1t3.txt"));
    let frames: Vec<(Descriptor, bool)> = packets
        .iter()
        .map(|packet| (Descriptor::parse(&packet.payload).expect("a descriptor"), packet))
        .filter(|(descriptor, _)| descriptor.starts_frame())
        .map(|(descriptor, packet)| (descriptor, descriptor.is_key_frame(&packet.payload)))
        .collect();
    assert!(frames.len() > 8);
    let first = frames[0].0.picture_id.expect("an id").value;
    let mut base = frames[0].0.tl0_picture_index.expect("TL0PICIDX");
    for (number, (descriptor, is_key)) in frames.iter().enumerate() {
        assert_eq!(*is_key, number == 0);
        let id = PictureId { value: first + number as u16, wide: true };
        assert_eq!(descriptor.picture_id, Some(id));
        let level = descriptor.temporal_level.expect("a level");
        assert_eq!(level, [0, 2, 1, 2][number % 4], "the pattern of L1T3");
        base = base.wrapping_add(u8::from(level == 0 && number > 0));
        assert_eq!(descriptor.tl0_picture_index, Some(base));
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn what_is_written_is_read(descriptor in descriptors(), data in prop::collection::vec(any::<u8>(), 0..20)) {
        let payload = [encode(&descriptor), data].concat();
        prop_assert_eq!(Descriptor::parse(&payload), Ok(descriptor));
    }

    #[test]
    fn rewriting_changes_the_numbers_and_nothing_else(
        descriptor in descriptors(),
        data in prop::collection::vec(any::<u8>(), 0..20),
        picture_id in any::<u16>(),
        tl0 in any::<u8>(),
    ) {
        let mut payload = [encode(&descriptor), data.clone()].concat();
        descriptor.rewrite(&mut payload, picture_id, tl0);
        let mut expected = descriptor;
        if let Some(id) = &mut expected.picture_id {
            id.value = picture_id & if id.wide { 0x7fff } else { 0x7f };
        }
        expected.tl0_picture_index = descriptor.tl0_picture_index.map(|_| tl0);
        prop_assert_eq!(payload, [encode(&expected), data].concat());
    }

    #[test]
    fn never_panics(mut payload in prop::collection::vec(any::<u8>(), 0..30), numbers in any::<(u16, u8)>()) {
        if let Ok(descriptor) = Descriptor::parse(&payload) {
            prop_assert!(descriptor.header_len <= payload.len());
            let _ = descriptor.key_frame_size(&payload);
            descriptor.rewrite(&mut payload, numbers.0, numbers.1);
        }
    }
}
