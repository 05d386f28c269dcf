//! Pictures of every codec with three temporal levels, as browsers send them: made here, so that each packet says in its
//! body what it is, and recorded from Chromium.

use super::{Bench, Remote, rtx_ssrc};
use luokkasilta_engine::command::{AddSlot, Command, LayerSpec, Payload, Publish};
use luokkasilta_engine::types::{Codec, Media};
use luokkasilta_engine::wire::dependency::{Dependency, Structure};
use luokkasilta_engine::wire::rtp::{self, Header, HeaderFields};
use luokkasilta_engine::wire::{vp8, vp9};

pub const CODECS: [Codec; 4] = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
pub const DEPENDENCY_IN: u8 = 13;
pub const DEPENDENCY_OUT: u8 = 9;
/// The levels of L1T3, frame after frame.
pub const PATTERN: [u8; 4] = [0, 2, 1, 2];
/// A body: its mark, the publisher, the frame, the packet.
const BODY_LEN: usize = 8;
const MARK: u8 = 0xb0;

/// The payload type that slots name a codec with.
pub fn slot_payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 109,
        Codec::Vp8 => 120,
        Codec::Vp9 => 121,
        Codec::H264 => 122,
        Codec::Av1 => 123,
    }
}

/// Publish a picture of this codec.
pub fn publish(bench: &mut Bench, remote: &Remote, source: u64, ssrc: u32, codec: Codec) {
    bench.command(Command::Publish(Publish {
        peer: remote.peer,
        source,
        media: Media::Video,
        codec,
        mid: "0".to_owned(),
        payload_type: 96,
        rtx_payload_type: None,
        nack: false,
        clock_rate: 90_000,
        layers: vec![LayerSpec { rid: None, ssrc: Some(ssrc), rtx_ssrc: None }],
        mid_extension: None,
        rid_extension: None,
        repaired_rid_extension: None,
        level_extension: None,
        dependency_extension: Some(DEPENDENCY_IN),
        red_payload_type: None,
    }));
}

/// A slot's picture that may be of any codec.
pub fn add_slot(bench: &mut Bench, remote: &Remote, ssrc: u32) {
    let payload = |codec| {
        let payload_type = slot_payload_type(codec);
        Payload { codec, payload_type, rtx_payload_type: Some(payload_type - 20) }
    };
    bench.command(Command::AddSlot(AddSlot {
        peer: remote.peer,
        slot: 0,
        media: Media::Video,
        payloads: CODECS.map(payload).to_vec(),
        mid: "s".to_owned(),
        clock_rate: 90_000,
        ssrc,
        rtx_ssrc: Some(rtx_ssrc(0)),
        nack: true,
        mid_extension: None,
        level_extension: None,
        send_time_extension: None,
        dependency_extension: Some(DEPENDENCY_OUT),
        red_payload_type: None,
    }));
}

/// An unprotected packet.
#[derive(Clone, Debug)]
pub struct Plain {
    pub marker: bool,
    pub timestamp: u32,
    pub payload: Vec<u8>,
    pub dependency: Option<Vec<u8>>,
}

impl Plain {
    /// Protected by its publisher.
    pub fn protect(&self, remote: &mut Remote, ssrc: u32, index: u64) -> Vec<u8> {
        let fields = HeaderFields {
            marker: self.marker,
            payload_type: 96,
            sequence: index as u16,
            timestamp: self.timestamp,
            ssrc,
        };
        let mut packet = Vec::new();
        let dependency = self.dependency.as_deref().map(|value| (DEPENDENCY_IN, value));
        let extensions: Vec<(u8, &[u8])> = dependency.into_iter().collect();
        rtp::write_header(&mut packet, &fields, &extensions).expect("extensions that fit");
        let header_len = packet.len();
        packet.extend_from_slice(&self.payload);
        remote.outbound.protect_rtp(&mut packet, 0, header_len, ssrc, index).expect("a fresh index");
        packet
    }
}

/// What a made packet says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Body {
    pub publisher: u8,
    pub frame: u32,
    pub part: u16,
}

/// Reads the body of a packet that was made here.
pub fn body(payload: &[u8]) -> Body {
    let body = &payload[payload.len() - BODY_LEN..];
    assert_eq!(body[0], MARK);
    Body {
        publisher: body[1],
        frame: u32::from_be_bytes(body[2..6].try_into().expect("four octets")),
        part: u16::from_be_bytes([body[6], body[7]]),
    }
}

/// An encoder: frames of L1T3, from wherever its numbers begin.
pub struct Encoder {
    pub codec: Codec,
    pub publisher: u8,
    /// The next frame; counts from 0.
    pub frame: u32,
    /// The frame that was the last key frame.
    pub key: u32,
    first_id: u16,
    first_tl0: u8,
    bases: u8,
}

impl Encoder {
    pub fn new(codec: Codec, publisher: u8, first_id: u16, first_tl0: u8) -> Self {
        Self { codec, publisher, frame: 0, key: 0, first_id, first_tl0, bases: 0 }
    }

    /// Of a frame since the key frame `key`.
    pub fn level(&self, frame: u32) -> u8 {
        PATTERN[((frame - self.key) % 4) as usize]
    }

    /// The next frame in so many packets; the first is always a key frame.
    pub fn next(&mut self, timestamp: u32, parts: u16, key_frame: bool) -> Vec<Plain> {
        let frame = self.frame;
        let is_key = key_frame || frame == 0;
        if is_key {
            self.key = frame;
        }
        let level = self.level(frame);
        if frame > 0 && level == 0 {
            self.bases = self.bases.wrapping_add(1);
        }
        self.frame += 1;
        let id = self.first_id.wrapping_add(frame as u16);
        (0..parts)
            .map(|part| {
                let (first, last) = (part == 0, part + 1 == parts);
                let (mut payload, dependency) = match self.codec {
                    Codec::Vp8 => (self.vp8(id, level, is_key, first), None),
                    Codec::Vp9 => (vp9_octets(id, level, frame - self.key, is_key, first, last), None),
                    Codec::Av1 => (
                        vec![if is_key && first { 0x18 } else { 0x10 }],
                        Some(descriptor(id, frame - self.key, is_key, first, last)),
                    ),
                    _ => (h264_octets(is_key, first), None),
                };
                payload.extend_from_slice(&[MARK, self.publisher]);
                payload.extend_from_slice(&frame.to_be_bytes());
                payload.extend_from_slice(&part.to_be_bytes());
                Plain { marker: last, timestamp, payload, dependency }
            })
            .collect()
    }

    fn vp8(&self, id: u16, level: u8, is_key: bool, first: bool) -> Vec<u8> {
        // As libvpx does: in every second group of four the higher levels refer to the base alone.
        let group = (self.frame - 1 - self.key) / 4 % 2;
        let joins = level == 0 || group == 0;
        let [high, low] = (id | 0x8000).to_be_bytes();
        let tl0 = self.first_tl0.wrapping_add(self.bases);
        let mut payload = vec![if first { 0x90 } else { 0x80 }, 0xe0, high, low, tl0];
        payload.push(level << 6 | u8::from(joins) << 5);
        if first {
            payload.extend_from_slice(&[u8::from(!is_key), 0, 0, 0x9d, 0x01, 0x2a]);
        }
        payload
    }
}

/// In flexible mode, with references as Chromium makes them.
fn vp9_octets(id: u16, level: u8, since_key: u32, is_key: bool, first: bool, last: bool) -> Vec<u8> {
    let flags = 0xb0 | u8::from(!is_key) << 6 | u8::from(first) << 3 | u8::from(last) << 2;
    let [high, low] = (id | 0x8000).to_be_bytes();
    let mut payload = vec![flags, high, low, level << 5 | 0x10];
    if !is_key {
        payload.push(back(since_key) << 1);
    }
    payload.push(if is_key { 0x83 } else { 0x87 });
    payload
}

/// How many frames back the one lies that this frame refers to.
pub fn back(since_key: u32) -> u8 {
    [4, 1, 2, 1][(since_key % 4) as usize]
}

/// The structure and templates of Chromium's L1T3.
fn descriptor(id: u16, since_key: u32, is_key: bool, first: bool, last: bool) -> Vec<u8> {
    let template = if is_key { 0 } else { [1, 3, 2, 4][(since_key % 4) as usize] };
    let mut value = vec![u8::from(first) << 7 | u8::from(last) << 6 | template];
    value.extend_from_slice(&id.to_be_bytes());
    if is_key && first {
        value.extend_from_slice(&STRUCTURE);
    }
    value
}

/// What follows the number in the first descriptor that Chromium sent.
const STRUCTURE: [u8; 17] =
    [0x80, 0x02, 0x14, 0xea, 0xa8, 0x60, 0x41, 0x4d, 0x14, 0x10, 0x20, 0x84, 0x27, 0x01, 0x3f, 0x00, 0xb3];

fn h264_octets(is_key: bool, first: bool) -> Vec<u8> {
    match (is_key, first) {
        // STAP-A of parameters, then of the whole rest a slice.
        (true, true) => vec![0x67, 0x42, 0xc0, 0x1f],
        (true, false) => vec![0x65, 0x08],
        (false, true) => vec![0x61, 0xe0],
        (false, false) => vec![0x61, 0x00],
    }
}

/// Numbers that a packet bears: picture id and TL0PICIDX, or the frame number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Borne {
    pub id: Option<u16>,
    pub bits: u32,
    pub tl0: Option<u8>,
    pub level: Option<u8>,
}

/// Reads them from a packet; `structure` is that of the stream so far.
pub fn numbers(codec: Codec, plain: &Plain, structure: &mut Option<Structure>) -> Borne {
    let none = Borne { id: None, bits: 16, tl0: None, level: None };
    match codec {
        Codec::Vp8 => {
            let it = vp8::Descriptor::parse(&plain.payload).expect("VP8");
            let (tl0, level) = (it.tl0_picture_index, it.temporal_level);
            Borne { id: it.picture_id.map(|id| id.value), bits: 15, tl0, level }
        }
        Codec::Vp9 => {
            let it = vp9::Descriptor::parse(&plain.payload).expect("VP9");
            let (tl0, level) = (it.tl0_picture_index, it.temporal_level);
            Borne { id: it.picture_id.map(|id| id.0), bits: 15, tl0, level }
        }
        Codec::Av1 => {
            let value = plain.dependency.as_ref().expect("a descriptor");
            let it = Dependency::parse(value, structure.as_ref()).expect("a descriptor");
            let level = it.temporal_level();
            *structure = it.structure.or(structure.take());
            Borne { id: Some(it.frame_number), level, ..none }
        }
        _ => none,
    }
}

/// What a slot of [`add_slot`] sent, and of which codec.
pub fn received(header: &Header, packet: &[u8]) -> (Codec, Plain) {
    let codec = CODECS.into_iter().find(|codec| slot_payload_type(*codec) == header.payload_type);
    let dependency = header.extensions(packet).find(|(id, _)| *id == DEPENDENCY_OUT);
    let plain = Plain {
        marker: header.marker,
        timestamp: header.timestamp,
        payload: packet[header.payload(packet).expect("a payload")].to_vec(),
        dependency: dependency.map(|(_, value)| value.to_vec()),
    };
    (codec.expect("a payload type of the slot"), plain)
}

/// The packets that Chromium sent, payloads cut after 32 octets; one of padding alone has no payload.
pub fn recorded(codec: Codec) -> Vec<Plain> {
    let text = match codec {
        Codec::Vp8 => include_str!("../recorded/vp8-l1t3.txt"),
        Codec::Vp9 => include_str!("../recorded/vp9-l1t3.txt"),
        Codec::H264 => include_str!("../recorded/h264-l1t3.txt"),
        Codec::Av1 => include_str!("../recorded/av1-l1t3.txt"),
        Codec::Opus => panic!("no picture"),
    };
    text.lines()
        .map(|line| {
            let octets: Vec<u8> = (0..line.len() / 2)
                .map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16).expect("hexadecimal"))
                .collect();
            let header = Header::parse(&octets).expect("RTP");
            let dependency = header.extensions(&octets).find(|(id, _)| *id == DEPENDENCY_IN);
            let is_padding = header.has_padding;
            Plain {
                marker: header.marker,
                timestamp: header.timestamp,
                payload: if is_padding { Vec::new() } else { octets[header.payload_offset..].to_vec() },
                dependency: dependency.map(|(_, value)| value.to_vec()).filter(|_| !is_padding),
            }
        })
        .collect()
}
