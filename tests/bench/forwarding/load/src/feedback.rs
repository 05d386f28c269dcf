//! RTCP that the endpoints send: receiver reports (RFC 3550), transport feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1), key frame requests (RFC 4585), sender reports.

/// Seconds from 1900 to 1970 (RFC 5905).
const NTP_OFFSET_S: u64 = 2_208_988_800;

/// One report block's numbers (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// Whom it is about.
    pub ssrc: u32,
    /// Lost since the last report, of 256.
    pub fraction: u8,
    /// Lost in all.
    pub lost: u32,
    /// Extended highest sequence number.
    pub highest: u32,
    /// Middle 32 bits of the last sender report's NTP time, and the delay since, in 1/65536 s.
    pub last_report: (u32, u32),
}

/// A receiver report with a CNAME, the smallest compound packet that RFC 3550 allows.
pub fn receiver_report(ssrc: u32, blocks: &[Block]) -> Vec<u8> {
    let mut packet = head(blocks.len() as u8, 201, 1 + 6 * blocks.len(), ssrc);
    for block in blocks {
        packet.extend_from_slice(&block.ssrc.to_be_bytes());
        packet.extend_from_slice(&(u32::from(block.fraction) << 24 | block.lost & 0xff_ffff).to_be_bytes());
        packet.extend_from_slice(&block.highest.to_be_bytes());
        packet.extend_from_slice(&0u32.to_be_bytes());
        packet.extend_from_slice(&block.last_report.0.to_be_bytes());
        packet.extend_from_slice(&block.last_report.1.to_be_bytes());
    }
    packet.extend(source_description(ssrc));
    packet
}

/// A sender report with a CNAME. `now_ns` is CLOCK_REALTIME.
pub fn sender_report(ssrc: u32, now_ns: u64, timestamp: u32, packets: u32, octets: u32) -> Vec<u8> {
    let mut packet = head(0, 200, 6, ssrc);
    packet.extend_from_slice(&((now_ns / 1_000_000_000 + NTP_OFFSET_S) as u32).to_be_bytes());
    packet.extend_from_slice(&(((now_ns % 1_000_000_000) << 32) / 1_000_000_000).to_be_bytes()[4..]);
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&packets.to_be_bytes());
    packet.extend_from_slice(&octets.to_be_bytes());
    packet.extend(source_description(ssrc));
    packet
}

/// Picture loss indication (RFC 4585 section 6.3.1).
pub fn picture_loss(ssrc: u32, about: u32) -> Vec<u8> {
    let mut packet = head(1, 206, 2, ssrc);
    packet.extend_from_slice(&about.to_be_bytes());
    packet
}

/// Transport feedback for packets that came in order of their numbers: (transport sequence number unwrapped,
/// arrival in microseconds). None where there is nothing to tell. At most 2,000 numbers are told of.
pub fn transport(ssrc: u32, about: u32, count: u8, arrived: &[(u64, u64)]) -> Option<Vec<u8>> {
    let (&(first, first_us), &(last, _)) = (arrived.first()?, arrived.last()?);
    let span = (last - first + 1).min(2000) as usize;
    let reference = first_us / 64_000;
    let mut clock = reference * 256; // in 250 microseconds
    let mut symbols = vec![0u16; span.next_multiple_of(7)];
    let mut deltas = Vec::with_capacity(2 * arrived.len());
    for &(sequence, us) in arrived.iter().take_while(|(sequence, _)| sequence - first < span as u64) {
        let delta = (us / 250) as i64 - clock as i64;
        clock = us / 250;
        if let Ok(small) = u8::try_from(delta) {
            symbols[(sequence - first) as usize] = 1;
            deltas.push(small);
        } else {
            symbols[(sequence - first) as usize] = 2;
            deltas.extend_from_slice(&(delta.clamp(-32768, 32767) as i16).to_be_bytes());
        }
    }
    let mut body = Vec::with_capacity(16 + span / 3 + deltas.len());
    body.extend_from_slice(&about.to_be_bytes());
    body.extend_from_slice(&(first as u16).to_be_bytes());
    body.extend_from_slice(&(span as u16).to_be_bytes());
    body.extend_from_slice(&((reference as u32) << 8 | u32::from(count)).to_be_bytes());
    for seven in symbols.chunks(7) {
        let chunk = seven.iter().fold(0b11, |chunk: u16, symbol| chunk << 2 | symbol);
        body.extend_from_slice(&chunk.to_be_bytes());
    }
    body.extend(deltas);
    let padding = body.len().next_multiple_of(4) - body.len();
    let mut packet = head(15, 205, 1 + (body.len() + padding) / 4, ssrc);
    packet.extend(body);
    if padding > 0 {
        packet[0] |= 0x20;
        packet.resize(packet.len() + padding, 0);
        *packet.last_mut().expect("not empty") = padding as u8;
    }
    Some(packet)
}

/// The parts of a compound packet: (count or format, packet type, the whole part).
pub fn parts(mut compound: &[u8]) -> Vec<(u8, u8, &[u8])> {
    let mut found = Vec::new();
    while compound.len() >= 4 {
        let octets = 4 + 4 * usize::from(u16::from_be_bytes([compound[2], compound[3]]));
        let Some(part) = compound.get(..octets) else { break };
        found.push((part[0] & 31, part[1], part));
        compound = &compound[octets..];
    }
    found
}

fn head(count: u8, kind: u8, words: usize, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80 | count, kind];
    packet.extend_from_slice(&(words as u16).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet
}

fn source_description(ssrc: u32) -> Vec<u8> {
    let mut packet = head(1, 202, 3, ssrc);
    packet.extend_from_slice(b"\x01\x04load\0\0");
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_feedback_tells_gaps_and_large_steps() {
        let packet = transport(1, 2, 3, &[(65535, 64_000), (65536, 64_500), (65538, 200_000)]).unwrap();
        assert_eq!(packet.len() % 4, 0);
        assert_eq!(packet[12..16], [0xff, 0xff, 0, 4]);
        assert_eq!(packet[16..20], [0, 0, 1, 3]);
        assert_eq!(u16::from_be_bytes([packet[20], packet[21]]), 0b11_01_01_00_10_00_00_00);
        assert_eq!(packet[22..26], [0, 2, 2, 30]);
    }

    #[test]
    fn a_compound_packet_falls_into_its_parts() {
        let block = Block { ssrc: 5, fraction: 0, lost: 0, highest: 9, last_report: (0, 0) };
        let report = receiver_report(1, &[block]);
        let kinds: Vec<u8> = parts(&report).iter().map(|part| part.1).collect();
        assert_eq!(kinds, [201, 202]);
    }
}
