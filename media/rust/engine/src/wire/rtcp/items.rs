//! What repeats inside RTCP packets, as borrowing iterators over octets whose length was checked before.

use std::slice::ChunksExact;

use crate::wire::{be16, be32, octet, octets};

/// What a receiver says of one stream (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// Of the stream reported on.
    pub ssrc: u32,
    /// Of the packets since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Signed 24 bits: duplicates make it negative. Clamped when written.
    pub cumulative_lost: i32,
    /// Cycles in the high half, sequence number in the low half.
    pub highest_sequence: u32,
    /// In units of the stream's RTP clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time, 0 for none yet.
    pub last_sr: u32,
    /// Since that report arrived, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn read(block: &[u8]) -> Option<Self> {
        let [fraction_lost, l0, l1, l2] = octets(block, 4)?;
        Some(Self {
            ssrc: be32(block, 0)?,
            fraction_lost,
            // Shifted down from the top, so that the sign extends.
            cumulative_lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
            highest_sequence: be32(block, 8)?,
            jitter: be32(block, 12)?,
            last_sr: be32(block, 16)?,
            delay_since_last_sr: be32(block, 20)?,
        })
    }
}

/// Declares an iterator over entries of one size, read by one function.
macro_rules! entries {
    ($(#[$outer:meta])* $name:ident, $len:expr, $item:ty, $read:expr) => {
        $(#[$outer])*
        #[derive(Clone, Debug)]
        pub struct $name<'a>(ChunksExact<'a, u8>);

        impl<'a> $name<'a> {
            pub(super) fn new(octets: &'a [u8]) -> Self {
                Self(octets.chunks_exact($len))
            }
        }

        impl Iterator for $name<'_> {
            type Item = $item;

            fn next(&mut self) -> Option<$item> {
                self.0.next().and_then($read)
            }
        }
    };
}

entries! {
    /// The blocks of a report.
    ReportBlocks, super::BLOCK_LEN, ReportBlock, ReportBlock::read
}
entries! {
    /// A list of SSRCs.
    Ssrcs, 4, u32, |entry| be32(entry, 0)
}
entries! {
    /// Requests (SSRC of the media, command sequence number) of a FIR (RFC 5104 section 4.3.1).
    FirEntries, 8, (u32, u8), |entry| Some((be32(entry, 0)?, octet(entry, 4)?))
}

/// Sequence numbers that a NACK asks for, in the order of its entries (RFC 4585 section 6.2.1).
#[derive(Clone, Debug)]
pub struct LostSequences<'a> {
    entries: ChunksExact<'a, u8>,
    /// Packet id of the entry at hand, and the bits of it that are still to give: bit n is id + n.
    packet_id: u16,
    bits: u32,
}

impl<'a> LostSequences<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { entries: octets.chunks_exact(4), packet_id: 0, bits: 0 }
    }
}

impl Iterator for LostSequences<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.bits == 0 {
            let entry = self.entries.next()?;
            self.packet_id = be16(entry, 0)?;
            self.bits = u32::from(be16(entry, 2)?) << 1 | 1;
        }
        let offset = self.bits.trailing_zeros() as u16;
        self.bits &= self.bits.wrapping_sub(1);
        Some(self.packet_id.wrapping_add(offset))
    }
}

/// The chunks of a source description as (SSRC, CNAME); a chunk without one gives an empty name.
///
/// Malformed chunks end the walk (RFC 3550 section 6.5).
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
    left: u8,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(rest: &'a [u8], count: u8) -> Self {
        Self { rest, left: count }
    }
}

/// The item type of a canonical name.
pub(super) const CNAME: u8 = 1;

impl<'a> Iterator for Chunks<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let chunk = std::mem::take(&mut self.rest);
        let ssrc = be32(chunk, 0)?;
        let mut name: &[u8] = &[];
        let mut at = 4usize;
        loop {
            let item_type = octet(chunk, at)?;
            if item_type == 0 {
                // The list ends with one to four zero octets, at a word's end; chunks begin at words.
                self.rest = chunk.get((at + 4) & !3..)?;
                return Some((ssrc, name));
            }
            let start = at + 2;
            let end = start + usize::from(octet(chunk, at + 1)?);
            let value = chunk.get(start..end)?;
            if item_type == CNAME && name.is_empty() {
                name = value;
            }
            at = end;
        }
    }
}
