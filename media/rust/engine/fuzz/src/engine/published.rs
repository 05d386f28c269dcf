//! What the far ends publish and have slots for.

use super::far::Sending;
use luokkasilta_engine::command::{AddSlot, LayerSpec, Payload, Publish};
use luokkasilta_engine::types::{Codec, Media, PeerId, SlotIndex, SourceId};

/// Header extension ids, the same for all.
pub const MID: u8 = 3;
pub const RID: u8 = 10;
pub const REPAIRED_RID: u8 = 11;
pub const LEVEL: u8 = 1;
const SEND_TIME: u8 = 2;

const VP8: u8 = 96;
const OPUS: u8 = 111;
const H264: u8 = 102;

/// What a route may name: nothing, the sources of the lesson, one that is not there, and those added later.
pub const SOURCES: [Option<SourceId>; 12] = [
    None,
    Some(11),
    Some(12),
    Some(21),
    Some(22),
    Some(31),
    Some(32),
    Some(99),
    Some(100),
    Some(101),
    Some(102),
    Some(103),
];

/// What plays at the beginning: far end, slot, half, source.
pub const ROUTES: [(usize, SlotIndex, Media, SourceId); 10] = [
    (0, 0, Media::Video, 21),
    (0, 0, Media::Audio, 22),
    (0, 1, Media::Video, 31),
    (0, 1, Media::Audio, 32),
    (1, 0, Media::Video, 11),
    (1, 0, Media::Audio, 12),
    (1, 1, Media::Video, 31),
    (1, 1, Media::Audio, 32),
    (2, 0, Media::Video, 11),
    (2, 0, Media::Audio, 12),
];

/// The peer's name.
pub fn id(far: usize) -> PeerId {
    far as PeerId + 1
}

/// Every stream that somebody sends. Some begin near the wrap of their sequence number and timestamp.
pub fn streams() -> Vec<Sending> {
    let stream = |far, ssrc, payload_type, mid, rid, repairs, index, timestamp| Sending {
        far,
        ssrc,
        payload_type,
        mid,
        rid,
        repairs,
        index,
        timestamp,
    };
    vec![
        stream(0, 101, VP8, "0", Some("h"), None, 65_500, u32::MAX - 9_000),
        stream(0, 102, VP8, "0", Some("l"), None, 10, 0),
        stream(0, 103, VP8 + 1, "0", Some("h"), Some(0), 10, 0),
        stream(0, 104, OPUS, "1", None, None, 65_500, u32::MAX - 9_000),
        stream(1, 201, VP8, "0", None, None, 10, 0),
        stream(1, 202, VP8 + 1, "0", None, Some(4), 65_500, 0),
        stream(1, 203, OPUS, "1", None, None, 10, 0),
        stream(2, 301, H264, "0", None, None, 65_500, u32::MAX - 9_000),
        stream(2, 302, H264 + 1, "0", None, Some(7), 10, 0),
        stream(2, 303, OPUS, "1", None, None, 10, 0),
    ]
}

/// A far end that joins anew has new keys, and its streams begin anew.
pub fn begin_again(sending: &mut [Sending], far: usize) {
    for (old, new) in sending.iter_mut().zip(streams()) {
        if new.far == far {
            *old = new;
        }
    }
}

fn source(far: usize, source: SourceId, codec: Codec, mid: &str, layers: Vec<LayerSpec>) -> Publish {
    let (payload_type, clock_rate) = match codec {
        Codec::Opus => (OPUS, 48_000),
        Codec::Vp8 => (VP8, 90_000),
        // No lesson of the corpora has the others, so any number that is free does for them.
        Codec::Vp9 | Codec::Av1 | Codec::H264 => (H264, 90_000),
    };
    Publish {
        peer: id(far),
        source,
        media: codec.media(),
        codec,
        mid: mid.to_owned(),
        payload_type,
        rtx_payload_type: (codec != Codec::Opus).then_some(payload_type + 1),
        nack: true,
        clock_rate,
        layers,
        mid_extension: Some(MID),
        rid_extension: Some(RID),
        repaired_rid_extension: Some(REPAIRED_RID),
        level_extension: (codec == Codec::Opus).then_some(LEVEL),
        dependency_extension: None,
        red_payload_type: None,
    }
}

/// What a far end publishes at the beginning: a picture and a voice.
pub fn sources(far: usize) -> Vec<Publish> {
    let said = |ssrc, rtx_ssrc| vec![LayerSpec { rid: None, ssrc: Some(ssrc), rtx_ssrc }];
    let layer = |rid: &str| LayerSpec { rid: Some(rid.to_owned()), ssrc: None, rtx_ssrc: None };
    match far {
        0 => vec![
            source(0, 11, Codec::Vp8, "0", vec![layer("h"), layer("l")]),
            source(0, 12, Codec::Opus, "1", said(104, None)),
        ],
        1 => vec![
            source(1, 21, Codec::Vp8, "0", said(201, Some(202))),
            source(1, 22, Codec::Opus, "1", said(203, None)),
        ],
        _ => vec![
            source(2, 31, Codec::H264, "0", said(301, Some(302))),
            source(2, 32, Codec::Opus, "1", said(303, None)),
        ],
    }
}

/// A source that is published later: `with` chooses its name and SSRCs, `more` codec and layers. Some are in the way
/// of others, some are what no negotiation would give.
pub fn another_source(far: usize, with: u8, more: u8) -> Publish {
    let codec = [Codec::Vp8, Codec::Opus, Codec::H264][usize::from(more) % 3];
    let ssrc =
        |at: u8| (with >> at & 1 != 0).then(|| 100 * (far as u32 + 1) + u32::from(with >> 4) + u32::from(at));
    let layers = (0..more >> 2 & 3)
        .map(|layer| LayerSpec {
            rid: (more & 0x80 != 0).then(|| ["h", "l", "x"][usize::from(layer) % 3].to_owned()),
            ssrc: ssrc(2 + layer),
            rtx_ssrc: ssrc(3 + layer),
        })
        .collect();
    let mut spec = source(
        far,
        100 + SourceId::from(with & 3),
        codec,
        ["0", "1", "2", ""][usize::from(more >> 4 & 3)],
        layers,
    );
    spec.nack = more & 0x40 != 0;
    spec
}

fn slot(far: usize, slot: SlotIndex, media: Media) -> AddSlot {
    let picture = media == Media::Video;
    let with_rtx = |codec, payload_type| Payload {
        codec,
        payload_type,
        rtx_payload_type: picture.then_some(payload_type + 1),
    };
    let ssrc = 1_000 + 10 * u32::from(slot) + 2 * u32::from(!picture);
    AddSlot {
        peer: id(far),
        slot,
        media,
        payloads: if picture {
            vec![with_rtx(Codec::Vp8, 120), with_rtx(Codec::H264, 122)]
        } else {
            vec![with_rtx(Codec::Opus, 109)]
        },
        mid: format!("{slot}{}", media.name()),
        clock_rate: if picture { 90_000 } else { 48_000 },
        ssrc,
        rtx_ssrc: picture.then_some(ssrc + 1),
        nack: true,
        mid_extension: Some(MID),
        level_extension: (!picture).then_some(LEVEL),
        send_time_extension: Some(SEND_TIME),
        dependency_extension: None,
        red_payload_type: None,
    }
}

/// The slots of a far end at the beginning, both halves of each.
pub fn slots(far: usize) -> Vec<AddSlot> {
    let count = if far == 2 { 1 } else { 2 };
    (0..count).flat_map(|at| [Media::Video, Media::Audio].map(|media| slot(far, at, media))).collect()
}

/// A half that is added later: `with` chooses its place, `more` what it can do.
pub fn another_slot(far: usize, with: u8, more: u8) -> AddSlot {
    let media = if with & 0x80 == 0 { Media::Video } else { Media::Audio };
    let mut spec = slot(far, SlotIndex::from(with & 7), media);
    spec.nack = more & 1 != 0;
    if more & 2 != 0 {
        spec.rtx_ssrc = None;
    }
    if more & 4 != 0 {
        spec.payloads.truncate(usize::from(more >> 4 & 1));
    }
    if more & 8 != 0 {
        spec.send_time_extension = None;
        spec.mid_extension = Some(15); // needs the form of two octets
    }
    spec.ssrc += u32::from(more >> 5) * 100;
    spec
}
