use proptest::prelude::*;

use super::{Header, HeaderFields, RtpError, write_header};
use crate::testing::proptest_config;
use crate::wire::testing::hex;

const FIELDS: HeaderFields = HeaderFields {
    marker: true,
    payload_type: 96,
    sequence: 0x1234,
    timestamp: 0xdead_beef,
    ssrc: 0xcafe_babe,
};

fn elements(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let header = Header::parse(packet).expect("a header");
    header.extensions(packet).map(|(id, value)| (id, value.to_vec())).collect()
}

#[test]
fn reads_every_part_of_a_header() {
    // Two CSRCs, a one-byte extension with padding between, four octets of payload, three of padding.
    let packet =
        hex("b2 e0 1234 deadbeef cafebabe 00000001 00000002 bede0002 10aa 00 00 22010203 01020304 000003");
    let header = Header::parse(&packet).expect("a header");
    assert!(header.marker && header.has_padding);
    assert_eq!((header.payload_type, header.sequence), (96, 0x1234));
    assert_eq!((header.timestamp, header.ssrc), (0xdead_beef, 0xcafe_babe));
    assert_eq!(header.payload_offset, 32);
    assert_eq!(header.extension, Some((0xbede, 24..32)));
    assert_eq!(header.payload(&packet), Ok(32..36));
    assert_eq!(elements(&packet), vec![(1, vec![0xaa]), (2, vec![1, 2, 3])]);
}

#[test]
fn every_truncation_of_the_header_is_refused() {
    let packet = hex("92 60 1234 deadbeef cafebabe 00000001 00000002 bede0001 10aa0000");
    assert!(Header::parse(&packet).is_ok());
    for len in 0..packet.len() {
        assert_eq!(Header::parse(&packet[..len]), Err(RtpError::TooShort), "{len} octets");
    }
}

#[test]
fn other_versions_are_refused() {
    for version in [0u8, 1, 3] {
        let mut packet = hex("80 60 1234 deadbeef cafebabe");
        packet[0] = version << 6;
        assert_eq!(Header::parse(&packet), Err(RtpError::BadVersion));
    }
}

#[test]
fn an_extension_longer_than_the_packet_is_refused() {
    let packet = hex("90 60 1234 deadbeef cafebabe bedeffff 10aa0000");
    assert_eq!(Header::parse(&packet), Err(RtpError::TooShort));
}

#[test]
fn padding_is_checked() {
    let cases = [
        ("", Err(RtpError::BadPadding)),
        ("00", Err(RtpError::BadPadding)),
        ("0102", Ok(12..12)),
        ("0103", Err(RtpError::BadPadding)),
        ("ff01", Ok(12..13)),
    ];
    for (body, expected) in cases {
        let packet = [hex("a0 60 1234 deadbeef cafebabe"), hex(body)].concat();
        let header = Header::parse(&packet).expect("a header");
        assert_eq!(header.payload(&packet), expected, "body {body}");
    }
}

#[test]
fn a_packet_shorter_than_its_header_has_no_payload() {
    let packet = hex("80 60 1234 deadbeef cafebabe 01");
    let header = Header::parse(&packet).expect("a header");
    assert_eq!(header.payload(&packet[..11]), Err(RtpError::TooShort));
    let packet = hex("90 60 1234 deadbeef cafebabe bede0001 10aa0000");
    let header = Header::parse(&packet).expect("a header");
    assert_eq!(header.extensions(&packet[..14]).count(), 0);
}

#[test]
fn malformed_extensions_keep_what_came_before() {
    let cases = [
        ("bede", "10aa f055", vec![(1, vec![0xaa])]), // id 15 ends the one-byte form
        ("bede", "10aa 02bb", vec![(1, vec![0xaa])]), // id 0 with a length
        ("bede", "10aa 2fbb", vec![(1, vec![0xaa])]), // a value past the block
        ("bede", "0000 0000", vec![]),                // padding only
        ("1000", "01 01aa 00", vec![(1, vec![0xaa])]), // padding after
        ("1005", "00 0f 01bb", vec![(15, vec![0xbb])]), // application bits, id 15 is an id here
        ("1000", "01 00 02 00", vec![(1, vec![]), (2, vec![])]),
        ("1000", "01 05 aabb", vec![]),
        ("1000", "01 01aa 02", vec![(1, vec![0xaa])]), // no length octet
        ("abcd", "10aa 0000", vec![]),                 // another profile
    ];
    for (profile, block, expected) in cases {
        let packet = [hex("90 60 1234 deadbeef cafebabe"), hex(profile), hex("0001"), hex(block)].concat();
        assert_eq!(elements(&packet), expected, "{profile} {block}");
    }
}

#[test]
fn writes_the_shortest_form() {
    let mut out = vec![0xff];
    write_header(&mut out, &FIELDS, &[]).expect("written");
    assert_eq!(out, hex("ff 80 e0 1234 deadbeef cafebabe"));

    let mut out = Vec::new();
    write_header(&mut out, &FIELDS, &[(1, b"0"), (14, &[1, 2, 3])]).expect("written");
    assert_eq!(out, hex("90 e0 1234 deadbeef cafebabe bede0002 1030 e2010203 0000"));

    let mut out = Vec::new();
    write_header(&mut out, &FIELDS, &[(15, b"0")]).expect("written");
    assert_eq!(out, hex("90 e0 1234 deadbeef cafebabe 10000001 0f01 30 00"));
}

#[test]
fn what_cannot_be_written_leaves_no_trace() {
    let long = [0u8; 256];
    let many = vec![(1u8, &long[..255]); 1100];
    for extensions in [&[(0u8, &b"0"[..])][..], &[(1, &long[..])], &many] {
        let mut out = vec![7];
        assert_eq!(write_header(&mut out, &FIELDS, extensions), Err(RtpError::BadExtension));
        assert_eq!(out, [7]);
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn what_is_written_is_read(
        marker in any::<bool>(),
        payload_type in 0u8..128,
        (sequence, timestamp, ssrc) in any::<(u16, u32, u32)>(),
        values in prop::collection::vec((1u8..=20, prop::collection::vec(any::<u8>(), 0..20)), 0..6),
        payload in prop::collection::vec(any::<u8>(), 0..50),
    ) {
        let fields = HeaderFields { marker, payload_type, sequence, timestamp, ssrc };
        let extensions: Vec<(u8, &[u8])> = values.iter().map(|(id, value)| (*id, value.as_slice())).collect();
        let mut packet = Vec::new();
        write_header(&mut packet, &fields, &extensions).expect("written");
        prop_assert_eq!(packet.len() % 4, 0);
        let payload_offset = packet.len();
        packet.extend_from_slice(&payload);

        let header = Header::parse(&packet).expect("a header");
        let read = HeaderFields {
            marker: header.marker,
            payload_type: header.payload_type,
            sequence: header.sequence,
            timestamp: header.timestamp,
            ssrc: header.ssrc,
        };
        prop_assert_eq!(read, fields);
        prop_assert_eq!(header.payload(&packet), Ok(payload_offset..packet.len()));
        prop_assert_eq!(header.extensions(&packet).collect::<Vec<_>>(), extensions);
    }

    #[test]
    fn never_panics(mut packet in prop::collection::vec(any::<u8>(), 0..80), version in any::<bool>()) {
        if let (true, Some(first)) = (version, packet.first_mut()) {
            *first = *first & 0x3f | 0x80;
        }
        if let Ok(header) = Header::parse(&packet) {
            prop_assert!(header.payload_offset <= packet.len());
            if let Ok(range) = header.payload(&packet) {
                prop_assert!(packet.get(range).is_some());
            }
            prop_assert!(header.extensions(&packet).count() <= packet.len());
        }
    }
}
