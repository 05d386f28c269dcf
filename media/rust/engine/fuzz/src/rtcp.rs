//! RTCP compounds: what is read and has a writer is written and read again.

use luokkasilta_engine::wire::rtcp::{self, Packet, SenderInfo};

/// The target.
pub fn rtcp(data: &[u8]) {
    let mut packets = rtcp::parse(data);
    let mut count = 0;
    while let Some(packet) = packets.next() {
        count += 1;
        match packet {
            Ok(packet) => again(&packet, data.len()),
            Err(_) => assert!(packets.next().is_none(), "an error ends the walk"),
        }
    }
    assert!(count <= data.len() / 4 + 1);
}

/// The only packet of what `write` writes.
fn written(write: impl FnOnce(&mut Vec<u8>), check: impl FnOnce(Packet<'_>) -> bool) {
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(out.len() % 4, 0);
    let mut packets = rtcp::parse(&out);
    let packet = packets.next().expect("a packet").expect("well-formed");
    assert!(check(packet), "written and read is not the same");
    assert!(packets.next().is_none());
}

fn again(packet: &Packet<'_>, len: usize) {
    match packet {
        Packet::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, blocks } => {
            let blocks: Vec<_> = blocks.clone().collect();
            let info = SenderInfo {
                ssrc: *ssrc,
                ntp: *ntp,
                rtp_timestamp: *rtp_timestamp,
                packets: *packets,
                octets: *octets,
            };
            written(
                |out| rtcp::write_sender_report(out, &info, &blocks),
                |packet| match packet {
                    Packet::SenderReport { ssrc, ntp, rtp_timestamp, packets, octets, blocks: read } => {
                        SenderInfo { ssrc, ntp, rtp_timestamp, packets, octets } == info
                            && read.eq(blocks.iter().copied())
                    }
                    _ => false,
                },
            );
        }
        Packet::ReceiverReport { ssrc, blocks } => {
            let blocks: Vec<_> = blocks.clone().collect();
            written(
                |out| rtcp::write_receiver_report(out, *ssrc, &blocks),
                |packet| {
                    matches!(packet, Packet::ReceiverReport { ssrc: read, blocks: list }
                        if read == *ssrc && list.clone().eq(blocks.iter().copied()))
                },
            );
        }
        Packet::SourceDescription { chunks } => {
            for (ssrc, name) in chunks.clone() {
                assert!(name.len() <= 255);
                written(
                    |out| rtcp::write_cname(out, ssrc, name),
                    |packet| {
                        matches!(packet, Packet::SourceDescription { chunks }
                            if chunks.clone().next() == Some((ssrc, name)))
                    },
                );
            }
        }
        Packet::PictureLossIndication { sender, media } => written(
            |out| rtcp::write_pli(out, *sender, *media),
            |packet| {
                matches!(packet, Packet::PictureLossIndication { sender: s, media: m }
                    if (s, m) == (*sender, *media))
            },
        ),
        Packet::FullIntraRequest { entries, .. } => assert!(entries.clone().count() <= len / 8),
        Packet::Goodbye { ssrcs } => assert!(ssrcs.clone().count() <= 31),
        Packet::Nack { sender, media, lost } => {
            assert!(lost.clone().count() <= len / 4 * 17);
            nack(*sender, *media, lost.clone().collect());
        }
        Packet::Remb { sender, bitrate, ssrcs } => {
            let ssrcs: Vec<u32> = ssrcs.clone().collect();
            assert!(ssrcs.len() <= 255);
            // Written again it's the same: both sides round down to the same 18 bits.
            let mut out = Vec::new();
            rtcp::write_remb(&mut out, *sender, *bitrate, &ssrcs);
            let read = rtcp::parse(&out).next().expect("a packet").expect("well-formed");
            assert!(
                matches!(read, Packet::Remb { bitrate: read, .. }
                    if read == *bitrate || *bitrate == u64::MAX && read > u64::MAX >> 1),
                "a bitrate of {bitrate} became {read:?}"
            );
        }
        Packet::TransportFeedback { raw, .. } => assert!(raw.len() <= len),
        Packet::Other { .. } => {}
    }
}

/// In rising order from the first number on, as the writer wants them, a NACK gives back what was lost.
fn nack(sender: u32, media: u32, mut lost: Vec<u16>) {
    let Some(&first) = lost.first() else { return };
    lost.sort_by_key(|sequence| sequence.wrapping_sub(first));
    lost.dedup();
    let mut out = Vec::new();
    rtcp::write_nack(&mut out, sender, media, &lost);
    let mut read = Vec::new();
    for packet in rtcp::parse(&out) {
        match packet {
            Ok(Packet::Nack { sender: s, media: m, lost }) if (s, m) == (sender, media) => read.extend(lost),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, lost);
}
