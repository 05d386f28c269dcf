//! What one turn brought of each layer, gathered before it is forwarded.
//!
//! A picture's frame is some packets that come together. Forwarded packet by packet, each would visit every receiver's
//! state anew; gathered, a receiver is visited once for all of them, and what leaves for it lies together in the
//! output, so that it can leave as one run (`io::segments`). Nothing waits: what was gathered is forwarded before the
//! turn ends.

use crate::slot::Incoming;
use crate::time::Micros;
use crate::types::{Codec, Feed};
use crate::understood::Understood;
use std::ops::Range;

/// Packets of one layer that are gathered; then all are forwarded, whatever else the turn will bring.
pub(super) const MOST: usize = 64;

/// Whose packets they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The publisher's key in the shard.
    pub(super) publisher: usize,
    /// The source's key in the shard.
    pub(super) source: usize,
    /// The source and the layer by name.
    pub(super) feed: Feed,
    /// The layer's SSRC.
    pub(super) ssrc: u32,
}

#[derive(Debug)]
struct Held {
    payload: Range<usize>,
    dependency: Option<Range<usize>>,
    marker: bool,
    is_newest: bool,
    index: u64,
    timestamp: i64,
    captured: Micros,
    level: Option<u8>,
    codec: Codec,
    understood: Understood,
    highest_before: Option<u64>,
}

/// A packet that was gathered.
#[derive(Debug)]
pub(super) enum Gathered<'a> {
    /// It has a payload. The number is the highest of its layer when it came.
    Packet(Incoming<'a>, Option<u64>),
    /// It has none: its number is left out of every stream.
    Padding(u64),
}

/// Packets of one layer, in the order in which they came.
#[derive(Debug)]
pub(super) struct Burst {
    pub(super) origin: Origin,
    packets: Vec<Result<Held, u64>>,
    octets: Vec<u8>,
}

impl Burst {
    fn new(origin: Origin) -> Self {
        Self { origin, packets: Vec::new(), octets: Vec::new() }
    }

    fn is_full(&self) -> bool {
        self.packets.len() >= MOST
    }

    fn put(&mut self, incoming: &Incoming<'_>, highest_before: Option<u64>) {
        let mut keep = |octets: &[u8]| {
            let start = self.octets.len();
            self.octets.extend_from_slice(octets);
            start..self.octets.len()
        };
        let payload = keep(&incoming.packet[incoming.payload.clone()]);
        let dependency = incoming.dependency.map(keep);
        self.packets.push(Ok(Held {
            payload,
            dependency,
            marker: incoming.marker,
            is_newest: incoming.is_newest,
            index: incoming.index,
            timestamp: incoming.timestamp,
            captured: incoming.captured,
            level: incoming.level,
            codec: incoming.codec,
            understood: incoming.understood,
            highest_before,
        }));
    }

    /// The packets, as they came.
    pub(super) fn packets(&self) -> Vec<Gathered<'_>> {
        let gathered = |packet: &Result<Held, u64>| match packet {
            Err(index) => Gathered::Padding(*index),
            Ok(held) => Gathered::Packet(
                Incoming {
                    packet: &self.octets,
                    payload: held.payload.clone(),
                    marker: held.marker,
                    is_newest: held.is_newest,
                    index: held.index,
                    timestamp: held.timestamp,
                    captured: held.captured,
                    level: held.level,
                    codec: held.codec,
                    understood: held.understood,
                    dependency: held.dependency.clone().map(|range| &self.octets[range]),
                },
                held.highest_before,
            ),
        };
        self.packets.iter().map(gathered).collect()
    }
}

/// All layers of which this turn brought something, in the order of their first packets. Their memory is kept.
#[derive(Debug, Default)]
pub(super) struct Bursts {
    bursts: Vec<Burst>,
    used: usize,
}

impl Bursts {
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether no more of this layer may be gathered.
    pub(super) fn is_full(&self, origin: Origin) -> bool {
        self.filled().iter().any(|burst| burst.origin == origin && burst.is_full())
    }

    pub(super) fn put(&mut self, origin: Origin, incoming: &Incoming<'_>, highest_before: Option<u64>) {
        self.of(origin).put(incoming, highest_before);
    }

    pub(super) fn put_padding(&mut self, origin: Origin, index: u64) {
        self.of(origin).packets.push(Err(index));
    }

    /// What was gathered.
    pub(super) fn filled(&self) -> &[Burst] {
        &self.bursts[..self.used]
    }

    /// Begin anew.
    pub(super) fn clear(&mut self) {
        for burst in &mut self.bursts[..self.used] {
            burst.packets.clear();
            burst.octets.clear();
        }
        self.used = 0;
    }

    fn of(&mut self, origin: Origin) -> &mut Burst {
        let at = self.filled().iter().position(|burst| burst.origin == origin).unwrap_or_else(|| {
            let at = self.used;
            self.used += 1;
            match self.bursts.get_mut(at) {
                Some(burst) => burst.origin = origin,
                None => self.bursts.push(Burst::new(origin)),
            }
            at
        });
        &mut self.bursts[at]
    }
}
