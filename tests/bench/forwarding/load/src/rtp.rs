//! Packets as the benchmark sends and reads them: RTP (RFC 3550) with one-byte header extensions (RFC 8285), and
//! a trailer that says what was sent when.

/// What the last octets of every payload say; the server copies payloads and rewrites only their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// A picture's packet, not a voice's.
    pub video: bool,
    /// Counts the packets of its medium, from 0.
    pub counter: u64,
    /// CLOCK_REALTIME when it was given to the kernel.
    pub sent_ns: u64,
}

const MAGIC: [u8; 7] = *b"Lk-load";
/// Octets of a trailer.
pub const TRAILER: usize = 24;

impl Trailer {
    /// Write into the last octets of a payload.
    pub fn write(&self, payload: &mut [u8]) {
        let at = payload.len() - TRAILER;
        payload[at..at + 7].copy_from_slice(&MAGIC);
        payload[at + 7] = u8::from(self.video);
        payload[at + 8..at + 16].copy_from_slice(&self.counter.to_be_bytes());
        payload[at + 16..].copy_from_slice(&self.sent_ns.to_be_bytes());
    }

    /// Read what `write` wrote; None where there is no trailer (padding, for one).
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (magic, rest) = payload.get(payload.len().checked_sub(TRAILER)?..)?.split_at(7);
        let number = |at: usize| u64::from_be_bytes(rest[at..at + 8].try_into().expect("8 octets"));
        (magic == MAGIC).then(|| Self { video: rest[0] == 1, counter: number(1), sent_ns: number(9) })
    }
}

/// The fixed header and what else a receiver looks at.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Octets before the payload.
    pub octets: usize,
}

impl Header {
    /// None where the packet is cut short.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let mut octets = 12 + 4 * usize::from(packet.first()? & 15);
        if packet[0] & 0x10 != 0 {
            let words: [u8; 2] = packet.get(octets + 2..octets + 4)?.try_into().ok()?;
            octets += 4 + 4 * usize::from(u16::from_be_bytes(words));
        }
        (packet.len() >= octets).then(|| Self {
            payload_type: packet[1] & 0x7f,
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            ssrc: u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]]),
            octets,
        })
    }
}

/// The value of a one-byte extension (RFC 8285 section 4.2).
pub fn extension(packet: &[u8], header: &Header, id: u8) -> Option<[u8; 2]> {
    if packet[0] & 0x10 == 0 {
        return None;
    }
    let mut at = 12 + 4 * usize::from(packet[0] & 15);
    if packet[at..at + 2] != [0xbe, 0xde] {
        return None;
    }
    at += 4;
    while at < header.octets {
        let (found, length) = (packet[at] >> 4, usize::from(packet[at] & 15) + 1);
        if packet[at] == 0 {
            at += 1;
        } else if found == id && length >= 2 && at + 3 <= header.octets {
            return Some([packet[at + 1], packet[at + 2]]);
        } else {
            at += 1 + length;
        }
    }
    None
}

/// The parts of a header to write.
pub struct Fields<'a> {
    /// Marker bit.
    pub marker: bool,
    /// Payload type.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// One-byte extensions: id and value.
    pub extensions: &'a [(u8, &'a [u8])],
}

impl Fields<'_> {
    /// Append the header; gives its length in octets.
    pub fn write(&self, packet: &mut Vec<u8>) -> usize {
        let begin = packet.len();
        packet.push(if self.extensions.is_empty() { 0x80 } else { 0x90 });
        packet.push(u8::from(self.marker) << 7 | self.payload_type);
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&self.timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        if !self.extensions.is_empty() {
            let octets: usize = self.extensions.iter().map(|(_, value)| 1 + value.len()).sum();
            packet.extend_from_slice(&[0xbe, 0xde]);
            packet.extend_from_slice(&(octets.div_ceil(4) as u16).to_be_bytes());
            for (id, value) in self.extensions {
                packet.push(id << 4 | (value.len() - 1) as u8);
                packet.extend_from_slice(value);
            }
            packet.resize(packet.len() + octets.next_multiple_of(4) - octets, 0);
        }
        packet.len() - begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut packet = Vec::new();
        let fields = Fields {
            marker: true,
            payload_type: 96,
            sequence: 7,
            timestamp: 8,
            ssrc: 9,
            extensions: &[(3, b"0"), (5, &[1, 2])],
        };
        let octets = fields.write(&mut packet);
        packet.resize(octets + TRAILER, 0);
        let trailer = Trailer { video: true, counter: 1, sent_ns: 2 };
        trailer.write(&mut packet[octets..]);
        let header = Header::read(&packet).unwrap();
        assert_eq!((header.payload_type, header.sequence, header.ssrc, header.octets), (96, 7, 9, octets));
        assert_eq!(extension(&packet, &header, 5), Some([1, 2]));
        assert_eq!(Trailer::read(&packet[octets..]), Some(trailer));
        assert_eq!(Trailer::read(&packet[octets..octets + 20]), None);
    }
}
