//! A pupil: decrypts and counts everything, checks order and loss, and reports as a browser does.

use std::collections::HashMap;

use serde::Serialize;

use crate::feedback::{self, Block};
use crate::rtp::{Header, Trailer, extension};
use crate::srtp::Srtp;

/// The SSRC under which a receiver reports.
const OURS: u32 = 1;

/// What arrived in a measured span.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// RTP packets with a trailer, the same one once.
    pub packets: u64,
    /// Of those, how many came as a retransmission.
    pub repaired: u64,
    /// Numbers between the first and the last trailer that never came.
    pub missing: u64,
    /// Packets that came after a later one of their stream.
    pub disordered: u64,
    /// Trailers that came twice.
    pub twice: u64,
    /// Sequence numbers that a stream left out.
    pub gaps: u64,
    /// Packets that could not be authenticated.
    pub forged: u64,
    /// From the publisher's send call to the kernel's arrival time, in microseconds.
    #[serde(skip)]
    pub delays_us: Vec<u32>,
}

#[derive(Default)]
struct Stream {
    highest: Option<u64>,
    received: u64,
    first: u64,
    reported: (u64, u64),
    last_report: Option<(u32, u64)>,
}

#[derive(Default)]
struct Seen {
    first: Option<u64>,
    last: u64,
    distinct: u64,
    bits: Vec<u64>,
}

impl Seen {
    /// True the first time. What was sent before the span's first packet counts as seen.
    fn insert(&mut self, counter: u64) -> bool {
        let first = *self.first.get_or_insert(counter);
        let Some(at) = counter.checked_sub(first) else { return false };
        let (word, bit) = ((at / 64) as usize, 1 << (at % 64));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let fresh = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        self.distinct += u64::from(fresh);
        self.last = self.last.max(counter);
        fresh
    }

    fn missing(&self) -> u64 {
        self.first.map_or(0, |first| self.last - first + 1 - self.distinct)
    }
}

/// Counts and answers for one endpoint.
pub struct Receiver {
    transport: Option<u8>,
    streams: HashMap<u32, Stream>,
    repairs: Vec<u8>,
    seen: [Seen; 2],
    arrived: Vec<(u64, u64)>,
    highest_transport: Option<u64>,
    feedback_count: u8,
    counts: Counts,
}

impl Receiver {
    /// `transport`: id of the transport sequence number extension; without one the receiver counts what comes and
    /// reports that, so that every server gets as much feedback. `repairs`: payload types of RFC 4588.
    pub fn new(transport: Option<u8>, repairs: Vec<u8>) -> Self {
        Self {
            transport,
            streams: HashMap::new(),
            repairs,
            seen: Default::default(),
            arrived: Vec::new(),
            highest_transport: None,
            feedback_count: 0,
            counts: Counts::default(),
        }
    }

    /// A new span begins.
    pub fn begin(&mut self) {
        self.seen = Default::default();
        self.counts = Counts::default();
    }

    /// What came since `begin`.
    pub fn take_counts(&mut self) -> Counts {
        let mut counts = std::mem::take(&mut self.counts);
        counts.missing = self.seen.iter().map(Seen::missing).sum();
        counts
    }

    /// An RTP datagram; `arrival_ns` is CLOCK_REALTIME.
    pub fn rtp(&mut self, packet: &mut [u8], arrival_ns: u64, srtp: &mut Srtp) {
        let Some(header) = Header::read(packet) else {
            self.counts.forged += 1;
            return;
        };
        let number = match self.transport {
            Some(id) => extension(packet, &header, id).map(u16::from_be_bytes),
            None => Some(self.highest_transport.map_or(0, |highest| (highest + 1) as u16)),
        };
        let Some((index, payload)) = srtp.unprotect(packet, header.octets) else {
            self.counts.forged += 1;
            return;
        };
        if let Some(number) = number {
            self.transport_number(number, arrival_ns);
        }
        let repaired = self.repairs.contains(&header.payload_type);
        let stream =
            self.streams.entry(header.ssrc).or_insert_with(|| Stream { first: index, ..Stream::default() });
        stream.received += 1;
        let expected = stream.highest.map_or(index, |highest| highest + 1);
        if index < expected {
            self.counts.disordered += 1;
        } else {
            self.counts.gaps += index - expected;
            stream.highest = Some(index);
        }
        let Some(trailer) = Trailer::read(payload) else { return };
        let seen = &mut self.seen[usize::from(trailer.video)];
        if !seen.insert(trailer.counter) {
            self.counts.twice += 1;
            return;
        }
        self.counts.packets += 1;
        self.counts.repaired += u64::from(repaired);
        let delay_us = arrival_ns.saturating_sub(trailer.sent_ns) / 1000;
        self.counts.delays_us.push(u32::try_from(delay_us).unwrap_or(u32::MAX));
    }

    /// RTCP came, decrypted: remember when sender reports did.
    pub fn rtcp(&mut self, compound: &[u8], now_ns: u64) {
        for (_, kind, part) in feedback::parts(compound) {
            if kind == 200 && part.len() >= 28 {
                let word = |at: usize| u32::from_be_bytes(part[at..at + 4].try_into().expect("4 octets"));
                if let Some(stream) = self.streams.get_mut(&word(4)) {
                    stream.last_report = Some((word(8) << 16 | word(12) >> 16, now_ns));
                }
            }
        }
    }

    fn transport_number(&mut self, number: u16, arrival_ns: u64) {
        // Starts one round up, so that an older number than the first has room below it.
        let highest = self.highest_transport.unwrap_or(0x1_0000 | u64::from(number));
        let step = number.wrapping_sub(highest as u16) as i16;
        let unwrapped = highest.wrapping_add_signed(i64::from(step));
        self.highest_transport = Some(highest.max(unwrapped));
        self.arrived.push((unwrapped, arrival_ns / 1000));
    }

    /// A receiver report over all streams; None before the first packet.
    pub fn report(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        let mut blocks: Vec<Block> = Vec::new();
        for (&ssrc, stream) in self.streams.iter_mut().take(31) {
            let Some(highest) = stream.highest else { continue };
            let (expected, received) = (highest - stream.first + 1, stream.received);
            let (newly, came) = (expected - stream.reported.0, received - stream.reported.1);
            stream.reported = (expected, received);
            let fraction = if newly > came { (256 * (newly - came) / newly).min(255) as u8 } else { 0 };
            let last_report = stream.last_report.map_or((0, 0), |(middle, at_ns)| {
                (middle, ((now_ns - at_ns) as u128 * 65536 / 1_000_000_000) as u32)
            });
            let lost = expected.saturating_sub(received).min(0x7f_ffff) as u32;
            blocks.push(Block { ssrc, fraction, lost, highest: highest as u32, last_report });
        }
        (!blocks.is_empty()).then(|| feedback::receiver_report(OURS, &blocks))
    }

    /// Transport feedback for what came since the last one; None where nothing did.
    pub fn transport_feedback(&mut self) -> Option<Vec<u8>> {
        let mut arrived = std::mem::take(&mut self.arrived);
        arrived.sort_unstable_by_key(|&(number, _)| number);
        arrived.dedup_by_key(|&mut (number, _)| number);
        let about = self.streams.keys().next().copied().unwrap_or(0);
        let packet = feedback::transport(OURS, about, self.feedback_count, &arrived)?;
        self.feedback_count = self.feedback_count.wrapping_add(1);
        Some(packet)
    }
}
