use proptest::prelude::*;

use super::*;
use crate::testing::proptest_config;
use crate::wire::testing::hex;

/// The only packet of a compound.
fn single(compound: &[u8]) -> Packet<'_> {
    let mut packets = parse(compound);
    let packet = packets.next().expect("a packet").expect("well-formed");
    assert!(packets.next().is_none(), "more than one packet");
    packet
}

fn first_error(compound: &[u8]) -> Option<RtcpError> {
    parse(compound).find_map(Result::err)
}

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0x0102_0304,
    fraction_lost: 0x40,
    cumulative_lost: -2,
    highest_sequence: 0x0001_fffe,
    jitter: 90,
    last_sr: 0xaabb_ccdd,
    delay_since_last_sr: 65536,
};

#[test]
fn sender_report_in_octets() {
    let mut out = Vec::new();
    let info =
        SenderInfo { ssrc: 0x1111_1111, ntp: 0x2222_2222_3333_3333, rtp_timestamp: 4, packets: 5, octets: 6 };
    write_sender_report(&mut out, &info, &[BLOCK]);
    let expected = hex("81c8000c 11111111 22222222 33333333 00000004 00000005 00000006
         01020304 40fffffe 0001fffe 0000005a aabbccdd 00010000");
    assert_eq!(out, expected);
    let Packet::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, blocks } = single(&out) else {
        panic!("not a sender report");
    };
    assert_eq!(SenderInfo { ssrc, ntp, rtp_timestamp, packets, octets }, info);
    assert_eq!(blocks.collect::<Vec<_>>(), [BLOCK]);
}

#[test]
fn feedback_in_octets() {
    let mut out = Vec::new();
    write_pli(&mut out, 1, 2);
    assert_eq!(out, hex("81ce0002 00000001 00000002"));
    out.clear();
    write_fir(&mut out, 1, &[(2, 9)]);
    assert_eq!(out, hex("84ce0004 00000001 00000000 00000002 09000000"));
    out.clear();
    write_nack(&mut out, 1, 2, &[65535, 0, 15, 16, 40, 40, 57]);
    assert_eq!(out, hex("81cd0006 00000001 00000002 ffff8001 00100000 00280000 00390000"));
    out.clear();
    write_goodbye(&mut out, &[7]);
    assert_eq!(out, hex("81cb0001 00000007"));
    out.clear();
    write_cname(&mut out, 7, b"abc");
    assert_eq!(out, hex("81ca0003 00000007 0103 616263 00 0000"));
    out.clear();
    // 0x3ffff is the greatest mantissa; one bit more needs an exponent and loses its last bit.
    write_remb(&mut out, 1, 0x7ffff, &[3]);
    assert_eq!(out, hex("8fce0005 00000001 00000000 52454d42 01 07ffff 00000003"));
}

#[test]
fn a_compound_is_read_in_order() {
    let mut out = Vec::new();
    write_receiver_report(&mut out, 1, &[]);
    write_cname(&mut out, 1, b"a");
    write_pli(&mut out, 1, 2);
    out.extend(hex("80cf0001 00000001")); // an extended report
    write_goodbye(&mut out, &[1]);
    let packets: Vec<_> = parse(&out).map(|packet| packet.expect("well-formed")).collect();
    let [
        Packet::ReceiverReport { ssrc: 1, blocks },
        Packet::SourceDescription { chunks },
        Packet::PictureLossIndication { sender: 1, media: 2 },
        Packet::Other { packet_type: 207 },
        Packet::Goodbye { ssrcs },
    ] = &packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!(blocks.clone().count(), 0);
    assert_eq!(chunks.clone().collect::<Vec<_>>(), [(1, &b"a"[..])]);
    assert_eq!(ssrcs.clone().collect::<Vec<_>>(), [1]);
}

#[test]
fn transport_feedback_and_foreign_application_feedback() {
    let raw = hex("8fcd0004 00000001 00000002 00010002 00000300");
    assert!(matches!(single(&raw), Packet::TransportFeedback { sender: 1, media: 2, raw } if raw.len() == 8));
    let foreign = hex("8fce0003 00000001 00000000 41424344");
    assert!(matches!(single(&foreign), Packet::Other { packet_type: 206 }));
}

#[test]
fn source_description_with_several_chunks_and_items() {
    let sdes = hex(
        "83ca0009 00000001 0201 58 0102 6162 00  00000002 00000000  00000003 0103 616263 0401 59 00000000",
    );
    let Packet::SourceDescription { chunks } = single(&sdes) else { panic!("not a source description") };
    assert_eq!(chunks.collect::<Vec<_>>(), [(1, &b"ab"[..]), (2, b""), (3, b"abc")]);
    let cut = hex("82ca0002 00000001 01ff6162");
    let Packet::SourceDescription { chunks } = single(&cut) else { panic!("not a source description") };
    assert_eq!(chunks.count(), 0);
}

#[test]
fn remb_beyond_64_bits_is_the_greatest() {
    let remb = hex("8fce0004 00000001 00000000 52454d42 00 ffffff");
    assert!(matches!(single(&remb), Packet::Remb { bitrate: u64::MAX, .. }));
}

#[test]
fn padding_belongs_to_the_last_packet() {
    let padded = hex("a0c90002 00000001 00000004");
    assert!(matches!(single(&padded), Packet::ReceiverReport { ssrc: 1, .. }));
    for bad in [
        "a0c90002 00000001 00000000", // a count of none
        "a0c90002 00000001 00000003", // no whole words
        "a0c90002 00000001 0000000c", // longer than the packet
        "a0c90002 00000001 00000004 80c90001 00000001",
    ] {
        assert_eq!(first_error(&hex(bad)), Some(RtcpError::BadPadding), "{bad}");
    }
}

#[test]
fn lies_are_refused() {
    for (lie, error) in [
        ("80", RtcpError::TooShort),
        ("80c8", RtcpError::TooShort),
        ("40c90001 00000001", RtcpError::BadVersion),
        ("80c90002 00000001", RtcpError::TooShort), // length past the end
        ("81c90001 00000001", RtcpError::TooShort), // a block that is not there
        ("80c80001 00000001", RtcpError::TooShort),
        ("82cb0001 00000001", RtcpError::TooShort),
        ("81ce0001 00000001", RtcpError::TooShort),
        ("81cd0002 00000001 00000002", RtcpError::BadFeedback),
        ("84ce0003 00000001 00000000 00000002", RtcpError::BadFeedback),
        ("8fce0004 00000001 00000000 52454d42 01000001", RtcpError::TooShort), // an SSRC that is not there
    ] {
        assert_eq!(first_error(&hex(lie)), Some(error), "{lie}");
    }
    let mut packets = parse(&[0x80, 201]);
    assert!(packets.next().is_some_and(|packet| packet.is_err()));
    assert!(packets.next().is_none(), "an error ends the walk");
}

#[test]
fn every_truncation_is_refused() {
    let mut whole = Vec::new();
    let info = SenderInfo { ssrc: 1, ntp: 2, rtp_timestamp: 3, packets: 4, octets: 5 };
    write_sender_report(&mut whole, &info, &[BLOCK; 2]);
    let first = whole.len();
    write_remb(&mut whole, 1, 1_000_000, &[2]);
    for len in (1..whole.len()).filter(|len| *len != first) {
        assert!(first_error(&whole[..len]).is_some(), "{len} octets");
    }
}

#[test]
fn nack_entries_expand_to_sequence_numbers() {
    // RFC 4585 section 6.2.1: the id itself, then bit n (from the lowest) for id + n + 1, modulo 2^16.
    for (entries, expected) in [
        ("0005 0000", vec![5]),
        ("0005 0001", vec![5, 6]),
        ("0005 8000", vec![5, 21]),
        ("0005 a005", vec![5, 6, 8, 19, 21]),
        ("0005 ffff", (5..=21).collect()),
        ("fffe 8007", vec![65534, 65535, 0, 1, 14]),
        ("0014 0001 0005 0000", vec![20, 21, 5]), // in the order of the entries
        ("0005 0001 0005 0001", vec![5, 6, 5, 6]), // and as often as they are said
    ] {
        let entries = hex(entries);
        let words = 2 + entries.len() as u8 / 4;
        let nack = [hex("81cd 00"), vec![words], hex("00000001 00000002"), entries].concat();
        let Packet::Nack { sender: 1, media: 2, lost } = single(&nack) else { panic!("not a NACK") };
        assert_eq!(lost.collect::<Vec<u16>>(), expected);
    }
}

#[test]
fn a_nack_asks_for_no_more_than_its_octets_can_say() {
    // As long as a datagram can be, with every bit set: 17 numbers for each four octets, and then an end.
    let entries = 65_508 / 4 - 3;
    let words = (entries + 2) as u16;
    let mut nack = [hex("81cd"), words.to_be_bytes().to_vec(), hex("00000001 00000002")].concat();
    nack.resize(12 + entries * 4, 0xff);
    let Packet::Nack { lost, .. } = single(&nack) else { panic!("not a NACK") };
    assert_eq!(lost.count(), entries * 17);
}

#[test]
fn a_written_nack_is_bounded_and_says_each_number_once() {
    // Every second number of the whole space: 3,641 entries of nine numbers, in packets of at most 128 entries.
    let lost: Vec<u16> = (0..=u16::MAX).step_by(2).collect();
    let mut out = Vec::new();
    write_nack(&mut out, 1, 2, &lost);
    let mut read = Vec::new();
    let mut rest = &out[..];
    while !rest.is_empty() {
        let len = 4 * (usize::from(u16::from_be_bytes([rest[2], rest[3]])) + 1);
        assert!(len <= 12 + 4 * 128, "a packet of {len} octets");
        let Packet::Nack { lost, .. } = single(&rest[..len]) else { panic!("not a NACK") };
        read.extend(lost);
        rest = &rest[len..];
    }
    assert_eq!(read, lost);
    assert_eq!(out.len(), 3_641 * 4 + 3_641usize.div_ceil(128) * 12);
}

#[test]
fn lists_longer_than_a_packet_go_on_in_the_next() {
    let mut out = Vec::new();
    let blocks: Vec<_> = (0..70).map(|ssrc| ReportBlock { ssrc, ..BLOCK }).collect();
    let info = SenderInfo { ssrc: 1, ntp: 2, rtp_timestamp: 3, packets: 4, octets: 5 };
    write_sender_report(&mut out, &info, &blocks);
    let mut read = Vec::new();
    for packet in parse(&out) {
        match packet.expect("well-formed") {
            Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { ssrc: 1, blocks } => {
                read.extend(blocks)
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, blocks);

    let ssrcs: Vec<u32> = (0..300).collect();
    out.clear();
    write_goodbye(&mut out, &ssrcs);
    write_remb(&mut out, 1, 5, &ssrcs);
    let fir: Vec<(u32, u8)> = ssrcs.iter().map(|ssrc| (*ssrc, *ssrc as u8)).collect();
    write_fir(&mut out, 1, &fir);
    let (mut gone, mut limited, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for packet in parse(&out) {
        match packet.expect("well-formed") {
            Packet::Goodbye { ssrcs } => gone.extend(ssrcs),
            Packet::Remb { bitrate: 5, ssrcs, .. } => limited.extend(ssrcs),
            Packet::FullIntraRequest { entries, .. } => asked.extend(entries),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((gone, limited, asked), (ssrcs.clone(), ssrcs, fir));
}

#[test]
fn nothing_is_written_for_nothing() {
    let mut out = Vec::new();
    write_goodbye(&mut out, &[]);
    write_fir(&mut out, 1, &[]);
    write_nack(&mut out, 1, 2, &[]);
    assert!(out.is_empty());
}

#[test]
fn a_long_cname_is_cut_to_its_field() {
    let mut out = Vec::new();
    write_cname(&mut out, 1, &[b'x'; 300]);
    let Packet::SourceDescription { mut chunks } = single(&out) else { panic!("not a source description") };
    assert_eq!(chunks.next(), Some((1, &[b'x'; 255][..])));
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn reports_round_trip(
        (ssrc, ntp, rtp_timestamp, packets, octets) in any::<(u32, u64, u32, u32, u32)>(),
        blocks in prop::collection::vec(any::<(u32, u8, i32, u32, u32, u32, u32)>(), 0..=31),
    ) {
        let blocks: Vec<_> = blocks
            .into_iter()
            .map(|(ssrc, fraction_lost, lost, highest_sequence, jitter, last_sr, delay_since_last_sr)| ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost: lost.clamp(-(1 << 23), (1 << 23) - 1),
                highest_sequence,
                jitter,
                last_sr,
                delay_since_last_sr,
            })
            .collect();
        let info = SenderInfo { ssrc, ntp, rtp_timestamp, packets, octets };
        let mut out = Vec::new();
        write_sender_report(&mut out, &info, &blocks);
        match single(&out) {
            Packet::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, blocks: read } => {
                prop_assert_eq!(SenderInfo { ssrc, ntp, rtp_timestamp, packets, octets }, info);
                prop_assert_eq!(read.collect::<Vec<_>>(), blocks);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn nack_gives_back_what_was_lost(first in any::<u16>(), gaps in prop::collection::vec(1u16..40, 0..400)) {
        let mut lost = vec![first];
        let mut total = 0u32;
        for gap in gaps {
            total += u32::from(gap);
            prop_assume!(total < 65_536);
            lost.push(first.wrapping_add(total as u16));
        }
        let mut out = Vec::new();
        write_nack(&mut out, 1, 2, &lost);
        let mut read = Vec::new();
        for packet in parse(&out) {
            match packet {
                Ok(Packet::Nack { sender: 1, media: 2, lost }) => read.extend(lost),
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert_eq!(read, lost);
    }

    #[test]
    fn remb_is_rounded_down_by_little(bitrate in any::<u64>(), shift in 0u32..64) {
        let bitrate = bitrate >> shift;
        let mut out = Vec::new();
        write_remb(&mut out, 1, bitrate, &[2, 3]);
        match single(&out) {
            Packet::Remb { sender: 1, bitrate: read, ssrcs } => {
                prop_assert!(read <= bitrate && bitrate - read <= bitrate >> 17, "{} became {}", bitrate, read);
                prop_assert_eq!(ssrcs.collect::<Vec<_>>(), [2, 3]);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn never_panics(
        mut compound in prop::collection::vec(any::<u8>(), 0..120),
        packet_type in prop::sample::select(vec![200u8, 201, 202, 203, 205, 206, 207]),
        format in 0u8..32,
        words in 0u8..30,
        plausible in any::<bool>(),
    ) {
        if let (true, [first, second, high, low, ..]) = (plausible, &mut compound[..]) {
            (*first, *second, *high, *low) = (0x80 | *first & 0x20 | format, packet_type, 0, words);
        }
        let len = compound.len();
        for packet in parse(&compound).flatten() {
            let items = match packet {
                Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => blocks.count(),
                Packet::SourceDescription { chunks } => chunks.count(),
                Packet::Goodbye { ssrcs } | Packet::Remb { ssrcs, .. } => ssrcs.count(),
                Packet::FullIntraRequest { entries, .. } => entries.count(),
                Packet::Nack { lost, .. } => lost.count(),
                _ => 0,
            };
            prop_assert!(items <= 17 * len);
        }
    }
}
