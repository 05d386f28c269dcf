//! Payloads of pictures: the descriptors of VP8 and VP9 and the structures of H.264.

use luokkasilta_engine::picture::{Own, PictureNumbers};
use luokkasilta_engine::wire::h264::{Contents, begins_key_frame};
use luokkasilta_engine::wire::rtx;
use luokkasilta_engine::wire::vp8::Descriptor;
use luokkasilta_engine::wire::{av1, vp9 as wire_vp9};

/// The target `vp8`: two octets of new numbers, then a payload.
pub fn vp8(data: &[u8]) {
    let Some((numbers, payload)) = data.split_at_checked(3) else { return };
    let (id, tl0) = (u16::from_be_bytes([numbers[0], numbers[1]]), numbers[2]);
    let Ok(descriptor) = Descriptor::parse(payload) else { return };
    assert!((1..=payload.len()).contains(&descriptor.header_len) && descriptor.header_len <= 6);
    assert!(!descriptor.is_key_frame(payload) || descriptor.starts_frame());
    assert!(descriptor.key_frame_size(payload).is_none() || descriptor.is_key_frame(payload));

    let mut rewritten = payload.to_vec();
    descriptor.rewrite(&mut rewritten, id, tl0);
    let read = Descriptor::parse(&rewritten).expect("what was rewritten");
    let mut expected = descriptor;
    if let Some(number) = &mut expected.picture_id {
        number.value = id & if number.wide { 0x7fff } else { 0x7f };
    }
    expected.tl0_picture_index = descriptor.tl0_picture_index.map(|_| tl0);
    assert_eq!(read, expected, "the numbers and nothing else");
    assert_eq!(rewritten[descriptor.header_len..], payload[descriptor.header_len..]);
    // A copy that was cut is no reason to fall over.
    descriptor.rewrite(&mut rewritten[..descriptor.header_len / 2], id, tl0);

    let mut map = PictureNumbers::new(id);
    map.begin();
    let own = descriptor.picture_id.map_or(0, |number| number.value);
    let (mapped, _) = map.map(Own { id: own, bits: 15, tl0 }).expect("the first picture");
    assert_eq!(mapped, id, "the first picture has the first number");
}

/// The target `vp9`: three octets of new numbers, then a payload.
pub fn vp9(data: &[u8]) {
    let Some((numbers, payload)) = data.split_at_checked(3) else { return };
    let (id, tl0) = (u16::from_be_bytes([numbers[0], numbers[1]]), numbers[2]);
    // AV1's one octet has no target of its own: nothing can be wrong but a panic.
    let _ = av1::begins_key_frame(payload);
    let Ok(descriptor) = wire_vp9::Descriptor::parse(payload) else { return };
    assert!((1..=payload.len()).contains(&descriptor.header_len));
    assert!(!descriptor.is_key_frame(payload) || descriptor.start_of_frame);
    assert!(descriptor.temporal_level.is_none_or(|level| level < 8) && descriptor.spatial_level < 8);
    assert!(descriptor.tl0_picture_index.is_none() || !descriptor.flexible);

    let mut rewritten = payload.to_vec();
    descriptor.rewrite(&mut rewritten, id, tl0);
    let mut expected = descriptor;
    if let Some((value, wide)) = &mut expected.picture_id {
        *value = id & if *wide { 0x7fff } else { 0x7f };
    }
    expected.tl0_picture_index = descriptor.tl0_picture_index.map(|_| tl0);
    assert_eq!(wire_vp9::Descriptor::parse(&rewritten), Ok(expected), "the numbers and nothing else");
    assert_eq!(rewritten[descriptor.header_len..], payload[descriptor.header_len..]);
    descriptor.rewrite(&mut rewritten[..descriptor.header_len / 2], id, tl0);
}

/// The target `h264`: a payload; and as the only unit of an aggregate, where that may be.
pub fn h264(data: &[u8]) {
    let contents = Contents::parse(data);
    assert_eq!(begins_key_frame(data), contents.is_ok_and(|contents| contents.begins_key_frame()));
    if let Ok(contents) = contents {
        assert!(!contents.instantaneous_refresh || contents.picture, "an IDR slice is part of a picture");
    }
    let mut aggregate = vec![0x78];
    aggregate.extend_from_slice(&(data.len() as u16).to_be_bytes());
    aggregate.extend_from_slice(data);
    match data.first().map(|header| header & 0x1f) {
        Some(1..=23) if data.len() <= usize::from(u16::MAX) => {
            assert_eq!(Contents::parse(&aggregate), contents);
        }
        _ => assert!(Contents::parse(&aggregate).is_err(), "no aggregate holds that"),
    }
    if let Some((sequence, original)) = rtx::original(data) {
        let mut again = Vec::new();
        rtx::write(&mut again, sequence, original);
        assert_eq!(again, data);
    }
}
