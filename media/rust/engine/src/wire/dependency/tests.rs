use proptest::prelude::*;

use super::*;
use crate::testing::proptest_config;
use crate::wire::testing::{hex, recorded};

/// The structure of Chromium's first packet of L1T3, 320 x 180.
fn chromium() -> Vec<u8> {
    recorded(include_str!("../../../tests/recorded/av1-l1t3.txt"))[0]
        .dependency
        .clone()
        .expect("a descriptor")
}

fn structure() -> Structure {
    Dependency::parse(&chromium(), None).expect("a descriptor").structure.expect("a structure")
}

#[test]
fn the_structure_of_chromium() {
    let first = Dependency::parse(&chromium(), None).expect("a descriptor");
    assert!(first.start_of_frame && !first.end_of_frame);
    assert_eq!((first.frame_number, first.temporal_level(), first.opens()), (1, Some(0), Some(2)));
    let structure = first.structure.expect("a structure");
    assert_eq!(structure.targets, [0, 1, 2]);
    assert_eq!(structure.sizes, [(320, 180)]);
    let levels: Vec<u8> = structure.templates.iter().map(|template| template.temporal_level).collect();
    assert_eq!(levels, [0, 0, 1, 2, 2]);
    assert!(structure.templates.iter().all(|template| template.spatial_level == 0));
    assert_eq!(structure.chains, 1);
}

#[test]
fn two_codecs_of_chromium_with_three_temporal_levels() {
    for text in [
        include_str!("../../../tests/recorded/av1-l1t3.txt"),
        include_str!("../../../tests/recorded/vp9-l1t3.txt"),
    ] {
        let mut known = None;
        let mut frames = Vec::new();
        for packet in recorded(text) {
            let value = packet.dependency.expect("every packet has one");
            let read = Dependency::parse(&value, known.as_ref()).expect("a descriptor");
            if read.start_of_frame {
                frames.push((read.frame_number, read.temporal_level().expect("known")));
            }
            known = read.structure.or(known);
        }
        assert!(frames.len() > 8);
        for (at, (number, level)) in frames.iter().enumerate() {
            assert_eq!(*number, frames[0].0 + at as u16);
            assert_eq!(*level, [0, 2, 1, 2][at % 4], "the pattern of L1T3");
        }
    }
}

#[test]
fn without_the_structure_a_frame_has_a_number_and_no_level() {
    let read = Dependency::parse(&hex("c4 0102"), None).expect("a descriptor");
    assert_eq!((read.start_of_frame, read.end_of_frame, read.frame_number), (true, true, 0x102));
    assert_eq!((read.temporal_level(), read.opens()), (None, None));
    assert_eq!(Dependency::parse(&hex("c4 0102 60"), None).expect("a descriptor").active_targets, None);
}

#[test]
fn with_the_structure_a_frame_has_its_level() {
    let known = structure();
    let level = |text: &str| Dependency::parse(&hex(text), Some(&known)).map(|read| read.temporal_level());
    assert_eq!(level("c1 0102"), Ok(Some(0)));
    assert_eq!(level("c2 0102"), Ok(Some(1)));
    assert_eq!(level("c4 0102"), Ok(Some(2)));
    assert_eq!(level("c5 0102"), Err(DependencyError::BadTemplate));
    assert_eq!(level("ff 0102"), Err(DependencyError::BadTemplate));
}

#[test]
fn targets_that_are_active_and_targets_of_one_frame() {
    let known = structure();
    // active_decode_targets_present_flag, custom_dtis_flag; 0b011; then switch, switch, not present.
    let read = Dependency::parse(&hex("c1 0102 63 a0"), Some(&known)).expect("a descriptor");
    assert_eq!((read.active_targets, read.opens()), (Some(3), Some(1)));
    let cut = Dependency::parse(&hex("c1 0102 63"), Some(&known));
    assert_eq!(cut, Err(DependencyError::TooShort));
}

#[test]
fn templates_are_counted_from_the_first_one_over_the_end_of_six_bits() {
    let known = Structure { first_template: 62, ..structure() };
    let read = Dependency::parse(&hex("c0 0102"), Some(&known)).expect("a descriptor");
    assert_eq!(read.temporal_level(), Some(1), "template 0 is the third of 62, 63, 0, 1, 2");
}

#[test]
fn every_truncation_of_a_structure_is_refused() {
    let whole = chromium();
    for len in 0..whole.len() {
        let read = Dependency::parse(&whole[..len], None);
        if len == MANDATORY_LEN {
            assert!(read.is_ok(), "that is a whole one without a structure");
        } else {
            assert_eq!(read, Err(DependencyError::TooShort), "{len}");
        }
    }
}

#[test]
fn damaged_structures() {
    // The structure's flag, no others; template_id_offset 0, dt_cnt_minus_one 0; then next_layer_idc.
    let with_layers = |fill: u8| [hex("c0 0001 80 00"), vec![fill; 40]].concat();
    let read = |fill| Dependency::parse(&with_layers(fill), None);
    assert_eq!(read(0x00), Err(DependencyError::TooManyTemplates));
    assert_eq!(read(0x55), Err(DependencyError::BadLevel), "the next temporal level for ever");
    assert_eq!(read(0xaa), Err(DependencyError::BadLevel), "the next spatial level for ever");
}

#[test]
fn another_frame_number() {
    let mut value = chromium();
    renumber(&mut value, 0xfffe);
    let read = Dependency::parse(&value, None).expect("a descriptor");
    assert_eq!(
        read,
        Dependency { frame_number: 0xfffe, ..Dependency::parse(&chromium(), None).expect("one") }
    );
    let mut short = [1, 2];
    renumber(&mut short, 7);
    assert_eq!(short, [1, 2]);
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn never_panics(
        mut value in prop::collection::vec(any::<u8>(), 0..80),
        with_structure in any::<bool>(),
        number in any::<u16>(),
    ) {
        if with_structure && value.len() > MANDATORY_LEN {
            value[MANDATORY_LEN] |= 0x80;
        }
        let known = structure();
        for known in [None, Some(&known)] {
            let Ok(read) = Dependency::parse(&value, known) else { continue };
            if let Some(structure) = &read.structure {
                prop_assert!((1..=MAX_TEMPLATES).contains(&structure.templates.len()));
                prop_assert!((1..=MAX_TARGETS).contains(&structure.targets.len()));
            }
            let mut other = value.clone();
            renumber(&mut other, number);
            prop_assert_eq!(Dependency::parse(&other, known), Ok(Dependency { frame_number: number, ..read }));
        }
    }

    #[test]
    fn a_flipped_bit_is_read_or_refused(at in 0_usize..22 * 8) {
        let mut value = chromium();
        let at = at % (value.len() * 8);
        value[at / 8] ^= 0x80 >> (at % 8);
        let _ = Dependency::parse(&value, Some(&structure()));
    }
}
