//! RTCP: reports (RFC 3550 section 6), feedback (RFC 4585, 5104) and REMB (draft-alvestrand-rmcat-remb-03).
//!
//! A compound packet is read as an iterator of borrowed packets; the writers append to one growing buffer, so
//! a compound is made by calling them one after another. Reduced-size RTCP (RFC 5506) is accepted.

mod items;
mod write;

use super::{be16, be32, be64, error_enum, octet, octets};

pub use items::{Chunks, FirEntries, LostSequences, ReportBlock, ReportBlocks, Ssrcs};
pub use write::{
    SenderInfo, write_cname, write_fir, write_goodbye, write_nack, write_pli, write_receiver_report,
    write_remb, write_sender_report,
};

const VERSION: u8 = 2;
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
/// RTPFB, feedback about transport (RFC 4585 section 6.2).
const TRANSPORT_FEEDBACK: u8 = 205;
/// PSFB, feedback about payload (RFC 4585 section 6.3).
const PAYLOAD_FEEDBACK: u8 = 206;
/// Formats (FMT) of RTPFB.
const FORMAT_NACK: u8 = 1;
const FORMAT_TRANSPORT_WIDE: u8 = 15;
/// Formats of PSFB.
const FORMAT_PLI: u8 = 1;
const FORMAT_FIR: u8 = 4;
const FORMAT_APPLICATION: u8 = 15;
/// Unique identifier of REMB in application layer feedback.
const REMB: [u8; 4] = *b"REMB";

/// Octets of one report block, and of the parts before the blocks.
const BLOCK_LEN: usize = 24;
const SENDER_REPORT_LEN: usize = 28;
const RECEIVER_REPORT_LEN: usize = 8;
/// Octets before the control information of every feedback packet.
const FEEDBACK_LEN: usize = 12;

error_enum! {
    /// Why a compound packet can't be read on.
    RtcpError {
        TooShort => "RTCP: shorter than its length field or its kind of packet says",
        BadVersion => "RTCP: version is not 2",
        BadPadding => "RTCP: padding count is zero, no whole words, or longer than the packet",
        BadFeedback => "RTCP: feedback control information is not a whole number of entries",
    }
}

/// One packet of a compound.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    /// SR: what a sender says of its own stream and of those it receives.
    SenderReport {
        /// Of the sender's stream.
        ssrc: u32,
        /// Seconds since 1900 in 32.32 fixed point.
        ntp: u64,
        /// The same instant on the stream's RTP clock.
        rtp_timestamp: u32,
        /// Sent so far, modulo 2^32.
        packets: u32,
        /// Payload octets sent so far, modulo 2^32.
        octets: u32,
        /// What it receives.
        blocks: ReportBlocks<'a>,
    },
    /// RR: what a receiver says.
    ReceiverReport {
        /// Of the receiver.
        ssrc: u32,
        /// What it receives.
        blocks: ReportBlocks<'a>,
    },
    /// SDES.
    SourceDescription {
        /// SSRCs with their CNAMEs.
        chunks: Chunks<'a>,
    },
    /// BYE.
    Goodbye {
        /// The streams that end.
        ssrcs: Ssrcs<'a>,
    },
    /// PLI (RFC 4585 section 6.3.1).
    PictureLossIndication {
        /// Who asks.
        sender: u32,
        /// Whose picture.
        media: u32,
    },
    /// FIR (RFC 5104 section 4.3.1).
    FullIntraRequest {
        /// Who asks.
        sender: u32,
        /// Whose pictures, each with a command sequence number.
        entries: FirEntries<'a>,
    },
    /// Generic NACK (RFC 4585 section 6.2.1).
    Nack {
        /// Who asks.
        sender: u32,
        /// Whose packets.
        media: u32,
        /// Their sequence numbers.
        lost: LostSequences<'a>,
    },
    /// Receiver estimated maximum bitrate.
    Remb {
        /// Who asks.
        sender: u32,
        /// Bits per second; u64::MAX where the field says more than fits.
        bitrate: u64,
        /// The streams that share it.
        ssrcs: Ssrcs<'a>,
    },
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportFeedback {
        /// Who reports.
        sender: u32,
        /// A stream of those reported on.
        media: u32,
        /// From the base sequence number on.
        raw: &'a [u8],
    },
    /// Well-formed and of no interest here.
    Other {
        /// PT.
        packet_type: u8,
    },
}

/// The packets of a decrypted compound, in order; ends after the first error.
pub fn parse(compound: &[u8]) -> Packets<'_> {
    Packets { rest: compound }
}

/// Iterator of [`parse`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, RtcpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        // Taken, so that an error leaves an iterator that has ended.
        let rest = std::mem::take(&mut self.rest);
        let read = split(rest).and_then(|(packet, tail)| Ok((read_packet(packet)?, tail)));
        Some(read.map(|(packet, tail)| {
            self.rest = tail;
            packet
        }))
    }
}

/// One packet, its padding taken off, and what follows it.
fn split(compound: &[u8]) -> Result<(&[u8], &[u8]), RtcpError> {
    let first = octet(compound, 0).ok_or(RtcpError::TooShort)?;
    if first >> 6 != VERSION {
        return Err(RtcpError::BadVersion);
    }
    let words = be16(compound, 2).ok_or(RtcpError::TooShort)?;
    let (packet, tail) =
        compound.split_at_checked((usize::from(words) + 1) * 4).ok_or(RtcpError::TooShort)?;
    if first & 0x20 == 0 {
        return Ok((packet, tail));
    }
    // RFC 3550 section 6.4.1: padding only in the last packet, its count a multiple of four.
    let count = packet.last().map_or(0, |count| usize::from(*count));
    let body = packet.len().checked_sub(count).filter(|len| *len >= 4).and_then(|len| packet.get(..len));
    match body {
        Some(body) if count != 0 && count % 4 == 0 && tail.is_empty() => Ok((body, tail)),
        _ => Err(RtcpError::BadPadding),
    }
}

fn read_packet(packet: &[u8]) -> Result<Packet<'_>, RtcpError> {
    let [first, packet_type] = octets(packet, 0).ok_or(RtcpError::TooShort)?;
    let count = first & 0x1f;
    let read = match packet_type {
        SENDER_REPORT => read_sender_report(packet, count),
        RECEIVER_REPORT => read_receiver_report(packet, count),
        SOURCE_DESCRIPTION => {
            packet.get(4..).map(|body| Packet::SourceDescription { chunks: Chunks::new(body, count) })
        }
        GOODBYE => packet
            .get(4..4 + 4 * usize::from(count))
            .map(|ssrcs| Packet::Goodbye { ssrcs: Ssrcs::new(ssrcs) }),
        TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK => return read_feedback(packet, packet_type, count),
        _ => Some(Packet::Other { packet_type }),
    };
    read.ok_or(RtcpError::TooShort)
}

fn read_sender_report(packet: &[u8], count: u8) -> Option<Packet<'_>> {
    Some(Packet::SenderReport {
        ssrc: be32(packet, 4)?,
        ntp: be64(packet, 8)?,
        rtp_timestamp: be32(packet, 16)?,
        packets: be32(packet, 20)?,
        octets: be32(packet, 24)?,
        blocks: read_blocks(packet, SENDER_REPORT_LEN, count)?,
    })
}

fn read_receiver_report(packet: &[u8], count: u8) -> Option<Packet<'_>> {
    Some(Packet::ReceiverReport {
        ssrc: be32(packet, 4)?,
        blocks: read_blocks(packet, RECEIVER_REPORT_LEN, count)?,
    })
}

fn read_blocks(packet: &[u8], start: usize, count: u8) -> Option<ReportBlocks<'_>> {
    packet.get(start..start + usize::from(count) * BLOCK_LEN).map(ReportBlocks::new)
}

fn read_feedback(packet: &[u8], packet_type: u8, format: u8) -> Result<Packet<'_>, RtcpError> {
    let sender = be32(packet, 4).ok_or(RtcpError::TooShort)?;
    let media = be32(packet, 8).ok_or(RtcpError::TooShort)?;
    let control = packet.get(FEEDBACK_LEN..).ok_or(RtcpError::TooShort)?;
    let entries_of = |len: usize| {
        let whole = !control.is_empty() && control.len() % len == 0;
        whole.then_some(control).ok_or(RtcpError::BadFeedback)
    };
    Ok(match (packet_type, format) {
        (TRANSPORT_FEEDBACK, FORMAT_NACK) => {
            Packet::Nack { sender, media, lost: LostSequences::new(entries_of(4)?) }
        }
        (TRANSPORT_FEEDBACK, FORMAT_TRANSPORT_WIDE) => {
            Packet::TransportFeedback { sender, media, raw: control }
        }
        (PAYLOAD_FEEDBACK, FORMAT_PLI) => Packet::PictureLossIndication { sender, media },
        (PAYLOAD_FEEDBACK, FORMAT_FIR) => {
            Packet::FullIntraRequest { sender, entries: FirEntries::new(entries_of(8)?) }
        }
        (PAYLOAD_FEEDBACK, FORMAT_APPLICATION) if octets(control, 0) == Some(REMB) => {
            read_remb(sender, control).ok_or(RtcpError::TooShort)?
        }
        _ => Packet::Other { packet_type },
    })
}

fn read_remb(sender: u32, control: &[u8]) -> Option<Packet<'_>> {
    let [count, scale, rest @ ..] = octets::<4>(control, 4)?;
    let mantissa = u64::from(u32::from_be_bytes([0, scale & 0x03, rest[0], rest[1]]));
    let exponent = u32::from(scale >> 2);
    // Shifting back finds what the shift lost.
    let shifted = mantissa << exponent;
    let bitrate = if shifted >> exponent == mantissa { shifted } else { u64::MAX };
    let ssrcs = control.get(8..8 + 4 * usize::from(count))?;
    Some(Packet::Remb { sender, bitrate, ssrcs: Ssrcs::new(ssrcs) })
}

#[cfg(test)]
mod tests;
