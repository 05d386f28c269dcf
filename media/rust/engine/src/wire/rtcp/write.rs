//! Writers of RTCP packets; each appends whole packets to `out`.
//!
//! What is too long for one packet goes on in another of the same kind, so no list is ever cut.

use super::items::{CNAME, ReportBlock};
use super::{
    FORMAT_APPLICATION, FORMAT_FIR, FORMAT_NACK, FORMAT_PLI, GOODBYE, PAYLOAD_FEEDBACK, RECEIVER_REPORT,
    REMB, SENDER_REPORT, SOURCE_DESCRIPTION, TRANSPORT_FEEDBACK, VERSION,
};

/// Five bits count blocks, SSRCs and chunks.
const MAX_COUNT: usize = 31;
/// Feedback entries per packet: a packet stays near 1 KiB, below any path's limit.
const MAX_FEEDBACK_ENTRIES: usize = 128;
const MAX_REMB_SSRCS: usize = 255;
const MAX_CUMULATIVE_LOST: i32 = (1 << 23) - 1;
const MIN_CUMULATIVE_LOST: i32 = -(1 << 23);

/// What a sender says of its own stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Of the stream.
    pub ssrc: u32,
    /// Seconds since 1900 in 32.32 fixed point.
    pub ntp: u64,
    /// The same instant on the stream's RTP clock.
    pub rtp_timestamp: u32,
    /// Sent so far, modulo 2^32.
    pub packets: u32,
    /// Payload octets sent so far, modulo 2^32.
    pub octets: u32,
}

/// Writes a header whose length [`end`] fills in, and gives where it stands.
fn begin(out: &mut Vec<u8>, count: usize, packet_type: u8) -> usize {
    let start = out.len();
    out.extend_from_slice(&[VERSION << 6 | (count & MAX_COUNT) as u8, packet_type, 0, 0]);
    start
}

/// Completes the word and writes the length: words minus one.
fn end(out: &mut Vec<u8>, start: usize) {
    while !out.len().wrapping_sub(start).is_multiple_of(4) {
        out.push(0);
    }
    let words = (out.len() - start) / 4 - 1;
    if let Some(field) = out.get_mut(start + 2..start + 4) {
        field.copy_from_slice(&(words as u16).to_be_bytes());
    }
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_block(out: &mut Vec<u8>, block: &ReportBlock) {
    let lost = block.cumulative_lost.clamp(MIN_CUMULATIVE_LOST, MAX_CUMULATIVE_LOST);
    let [_, l0, l1, l2] = lost.to_be_bytes();
    put32(out, block.ssrc);
    out.extend_from_slice(&[block.fraction_lost, l0, l1, l2]);
    put32(out, block.highest_sequence);
    put32(out, block.jitter);
    put32(out, block.last_sr);
    put32(out, block.delay_since_last_sr);
}

/// A sender report; blocks from the 32nd on follow in receiver reports.
pub fn write_sender_report(out: &mut Vec<u8>, info: &SenderInfo, blocks: &[ReportBlock]) {
    let (own, further) = blocks.split_at(blocks.len().min(MAX_COUNT));
    let start = begin(out, own.len(), SENDER_REPORT);
    put32(out, info.ssrc);
    out.extend_from_slice(&info.ntp.to_be_bytes());
    put32(out, info.rtp_timestamp);
    put32(out, info.packets);
    put32(out, info.octets);
    own.iter().for_each(|block| put_block(out, block));
    end(out, start);
    if !further.is_empty() {
        write_receiver_report(out, info.ssrc, further);
    }
}

/// A receiver report, also an empty one; blocks from the 32nd on follow in further ones.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    let (own, further) = blocks.split_at(blocks.len().min(MAX_COUNT));
    let mut write = |blocks: &[ReportBlock]| {
        let start = begin(out, blocks.len(), RECEIVER_REPORT);
        put32(out, ssrc);
        blocks.iter().for_each(|block| put_block(out, block));
        end(out, start);
    };
    write(own);
    further.chunks(MAX_COUNT).for_each(write);
}

/// A source description of one CNAME; octets from the 256th on are left out, the field can't say more.
pub fn write_cname(out: &mut Vec<u8>, ssrc: u32, cname: &[u8]) {
    let cname = cname.get(..usize::from(u8::MAX)).unwrap_or(cname);
    let start = begin(out, 1, SOURCE_DESCRIPTION);
    put32(out, ssrc);
    out.extend_from_slice(&[CNAME, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.push(0); // ends the list of items
    end(out, start);
}

/// Goodbye of these SSRCs; nothing for none.
pub fn write_goodbye(out: &mut Vec<u8>, ssrcs: &[u32]) {
    for ssrcs in ssrcs.chunks(MAX_COUNT) {
        let start = begin(out, ssrcs.len(), GOODBYE);
        ssrcs.iter().for_each(|ssrc| put32(out, *ssrc));
        end(out, start);
    }
}

/// A Picture Loss Indication (RFC 4585 section 6.3.1).
pub fn write_pli(out: &mut Vec<u8>, sender: u32, media: u32) {
    let start = begin(out, usize::from(FORMAT_PLI), PAYLOAD_FEEDBACK);
    put32(out, sender);
    put32(out, media);
    end(out, start);
}

/// A Full Intra Request of (SSRC of the media, command sequence number); nothing for none (RFC 5104 4.3.1).
pub fn write_fir(out: &mut Vec<u8>, sender: u32, entries: &[(u32, u8)]) {
    for entries in entries.chunks(MAX_FEEDBACK_ENTRIES) {
        let start = begin(out, usize::from(FORMAT_FIR), PAYLOAD_FEEDBACK);
        put32(out, sender);
        put32(out, 0); // the media stand in the entries
        for (media, sequence) in entries {
            put32(out, *media);
            out.extend_from_slice(&[*sequence, 0, 0, 0]);
        }
        end(out, start);
    }
}

/// A generic NACK of sequence numbers in rising order, which may wrap; nothing for none (RFC 4585 6.2.1).
pub fn write_nack(out: &mut Vec<u8>, sender: u32, media: u32, lost: &[u16]) {
    let mut lost = lost.iter().copied().peekable();
    while lost.peek().is_some() {
        let start = begin(out, usize::from(FORMAT_NACK), TRANSPORT_FEEDBACK);
        put32(out, sender);
        put32(out, media);
        for _ in 0..MAX_FEEDBACK_ENTRIES {
            let Some(packet_id) = lost.next() else { break };
            let mut bits = 0u16;
            while let Some(sequence) = lost.next_if(|next| next.wrapping_sub(packet_id) <= 16) {
                // Bit n stands for packet_id + n + 1; the id itself, said twice, has no bit.
                if let Some(bit) = sequence.wrapping_sub(packet_id).checked_sub(1) {
                    bits |= 1 << bit;
                }
            }
            out.extend_from_slice(&packet_id.to_be_bytes());
            out.extend_from_slice(&bits.to_be_bytes());
        }
        end(out, start);
    }
}

/// Receiver estimated maximum bitrate, bit/s, for the streams `ssrcs` (at most 255 per packet).
///
/// 18 bits are kept of the bitrate; the rest is rounded down, as a limit must be.
pub fn write_remb(out: &mut Vec<u8>, sender: u32, bitrate: u64, ssrcs: &[u32]) {
    let exponent = (u64::BITS - bitrate.leading_zeros()).saturating_sub(18);
    let mantissa = (bitrate >> exponent) as u32;
    let [_, m0, m1, m2] = mantissa.to_be_bytes();
    let (own, further) = ssrcs.split_at(ssrcs.len().min(MAX_REMB_SSRCS));
    let start = begin(out, usize::from(FORMAT_APPLICATION), PAYLOAD_FEEDBACK);
    put32(out, sender);
    put32(out, 0); // the media stand in the list
    out.extend_from_slice(&REMB);
    out.extend_from_slice(&[own.len() as u8, (exponent as u8) << 2 | m0, m1, m2]);
    own.iter().for_each(|ssrc| put32(out, *ssrc));
    end(out, start);
    if !further.is_empty() {
        write_remb(out, sender, bitrate, further);
    }
}
