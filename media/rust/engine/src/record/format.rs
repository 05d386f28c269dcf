//! How records lie in a file: media/recording/FORMAT.md, which is the contract with the reader in Python.
//!
//! ```text
//! file   magic "LKSREC\r\n" | version u16 | entry ...
//! entry  length u32 | CRC-32 u32 | type u8 | body      numbers big-endian; the CRC covers length, type and body
//! ```

use super::{Head, Packet};
use crate::types::Codec;

/// The first octets; the line end is in it so that a transfer in text mode is noticed.
pub const MAGIC: &[u8; 8] = b"LKSREC\r\n";
/// Of this layout.
pub const VERSION: u16 = 1;
/// Octets of a kind's name.
pub const MAX_KIND: usize = 32;
/// The longest payload: what a datagram can carry. A longer one is cut off by no one, it can't come.
pub const MAX_PAYLOAD: usize = 65_535;

const HEAD: u8 = 1;
const PACKET: u8 = 2;
const HOLE: u8 = 3;
const END: u8 = 4;

const MARKER: u8 = 0x01;
const BEGINS_KEY_FRAME: u8 = 0x02;

/// Append one entry whose body `write` appends.
fn entry(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.push(kind);
    write(out);
    let length = ((out.len() - start - 8) as u32).to_be_bytes();
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(&out[start + 8..]);
    let crc = crc.finalize().to_be_bytes();
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&crc);
}

const fn codec_number(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 1,
        Codec::Vp8 => 2,
        Codec::H264 => 3,
        Codec::Vp9 => 4,
        Codec::Av1 => 5,
    }
}

/// Append the file's beginning. A kind that is too long is cut.
pub fn write_head(out: &mut Vec<u8>, head: &Head) {
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    entry(out, HEAD, |out| {
        out.push(codec_number(head.codec));
        out.extend_from_slice(&head.clock_rate.to_be_bytes());
        out.extend_from_slice(&head.zero_us.to_be_bytes());
        let kind = &head.kind.as_bytes()[..head.kind.len().min(MAX_KIND)];
        out.extend_from_slice(kind);
    });
}

/// Append a packet.
pub fn write_packet(out: &mut Vec<u8>, packet: &Packet) {
    entry(out, PACKET, |out| {
        let marker = if packet.marker { MARKER } else { 0 };
        let key = if packet.begins_key_frame { BEGINS_KEY_FRAME } else { 0 };
        out.push(marker | key);
        out.push(packet.layer);
        out.extend_from_slice(&packet.run.to_be_bytes());
        out.extend_from_slice(&packet.index.to_be_bytes());
        out.extend_from_slice(&packet.timestamp.to_be_bytes());
        out.extend_from_slice(&packet.captured.0.to_be_bytes());
        out.extend_from_slice(&packet.payload);
    });
}

/// Append: so many packets were left out here.
pub fn write_hole(out: &mut Vec<u8>, dropped: u64) {
    entry(out, HOLE, |out| out.extend_from_slice(&dropped.to_be_bytes()));
}

/// Append: the recording ended in order.
pub fn write_end(out: &mut Vec<u8>) {
    entry(out, END, |_| {});
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::time::Micros;

    /// The entries (type, body) of a file, as far as they are whole; a reader as FORMAT.md describes one.
    pub(crate) fn read(file: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut entries = Vec::new();
        let Some(mut rest) = file.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(&[0, 1])) else {
            return entries;
        };
        while rest.len() >= 9 {
            let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
            let crc = u32::from_be_bytes([rest[4], rest[5], rest[6], rest[7]]);
            let Some(body) = rest.get(8..8 + length as usize) else { break };
            let mut hash = crc32fast::Hasher::new();
            hash.update(&rest[..4]);
            hash.update(body);
            if length == 0 || hash.finalize() != crc {
                break;
            }
            entries.push((body[0], body[1..].to_vec()));
            rest = &rest[8 + length as usize..];
        }
        entries
    }

    pub(crate) fn packet(recording: u64, index: u64, payload: &[u8]) -> Packet {
        Packet {
            recording,
            run: 0,
            layer: 0,
            marker: true,
            begins_key_frame: false,
            index,
            timestamp: index as i64 * 960,
            captured: Micros(index as i64 * 20_000),
            payload: payload.to_vec(),
        }
    }

    pub(crate) fn head() -> Head {
        Head {
            codec: Codec::Vp8,
            clock_rate: 90_000,
            zero_us: 1_790_000_000_000_000,
            kind: "camera".to_owned(),
        }
    }

    #[test]
    fn octet_for_octet_as_the_page_says() {
        let mut out = Vec::new();
        write_head(&mut out, &head());
        assert_eq!(&out[..10], b"LKSREC\r\n\x00\x01");
        assert_eq!(&out[10..14], [0, 0, 0, 20], "length of type and body");
        assert_eq!(out[18..20], [1, 2], "HEAD, VP8");
        assert_eq!(out[20..24], 90_000_u32.to_be_bytes());
        assert_eq!(out[24..32], 1_790_000_000_000_000_i64.to_be_bytes());
        assert_eq!(&out[32..], b"camera");
        let mut out = Vec::new();
        let mut one = packet(1, 65_540, b"xyz");
        one.begins_key_frame = true;
        one.run = 7;
        one.layer = 2;
        one.timestamp = -1;
        write_packet(&mut out, &one);
        assert_eq!(out[..4], [0, 0, 0, 34]);
        assert_eq!(out[8..15], [2, 3, 2, 0, 0, 0, 7]);
        assert_eq!(out[15..23], 65_540_u64.to_be_bytes());
        assert_eq!(out[23..31], [0xff; 8]);
        assert_eq!(out[31..39], (65_540_i64 * 20_000).to_be_bytes());
        assert_eq!(&out[39..], b"xyz");
    }

    /// A crash may cut a file anywhere: what was whole before the cut is read, and nothing else.
    #[test]
    fn cut_at_every_octet_the_whole_entries_are_found() {
        let mut file = Vec::new();
        let mut ends = Vec::new();
        write_head(&mut file, &head());
        ends.push(file.len());
        for index in 0..5 {
            write_packet(&mut file, &packet(1, index, &vec![index as u8; index as usize * 7]));
            ends.push(file.len());
        }
        write_hole(&mut file, 3);
        ends.push(file.len());
        write_end(&mut file);
        ends.push(file.len());
        let all = read(&file);
        assert_eq!(all.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [1, 2, 2, 2, 2, 2, 3, 4]);
        for cut in 0..=file.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            assert_eq!(read(&file[..cut]), all[..whole], "cut at {cut}");
        }
    }

    #[test]
    fn every_changed_octet_is_noticed() {
        let mut file = Vec::new();
        write_head(&mut file, &head());
        let start = file.len();
        write_packet(&mut file, &packet(1, 1, b"payload"));
        for at in start..file.len() {
            for bit in 0..8 {
                let mut bad = file.clone();
                bad[at] ^= 1 << bit;
                assert_eq!(read(&bad).len(), 1, "octet {at}, bit {bit}");
            }
        }
    }
}
