//! The packets of one layer of a picture, for about a second: for receivers that missed some, and for pictures that
//! begin with a packet that came late.

use super::WORTH_US;
use crate::time::Micros;
use std::ops::Range;

/// Packets kept. A 720p layer sends about 250 a second, a key frame of a document about 100 at once.
pub const PACKETS: usize = 512;
/// Octets kept: the packets' number bounds them, since a packet is never larger than a datagram.
pub const OCTETS: usize = PACKETS * 2_048;

/// One packet, decrypted.
#[derive(Clone, Debug, Default)]
pub struct CachedPacket {
    /// Extended sequence number.
    pub index: u64,
    /// When it came.
    pub arrived: Micros,
    /// Unwrapped timestamp.
    pub timestamp: i64,
    /// On the server clock.
    pub captured: Micros,
    /// Marker bit.
    pub marker: bool,
    /// Without header, extensions and padding.
    pub payload: Vec<u8>,
    /// The dependency descriptor that came with it; empty without one.
    pub dependency: Vec<u8>,
}

/// See the module. A packet overwrites the one that came [`PACKETS`] numbers before it; memory is taken as it is
/// needed and kept.
#[derive(Debug, Default)]
pub struct PacketCache {
    /// At `index % PACKETS`; one that was never filled has no payload, and no packet with payload is without one.
    places: Vec<CachedPacket>,
}

impl PacketCache {
    /// Keep a packet. One without payload is not worth it.
    #[allow(clippy::too_many_arguments, reason = "a struct for it would only rename the arguments")]
    pub fn put(
        &mut self,
        index: u64,
        timestamp: i64,
        captured: Micros,
        marker: bool,
        payload: &[u8],
        dependency: &[u8],
        now: Micros,
    ) {
        if payload.is_empty() || payload.len() > OCTETS / PACKETS {
            return;
        }
        let place = place(index);
        if self.places.len() <= place {
            self.places.resize_with(place + 1, CachedPacket::default);
        }
        let kept = &mut self.places[place];
        // A packet that was late by the whole length of the cache must not push out a newer one.
        if !kept.payload.is_empty() && kept.index > index {
            return;
        }
        kept.index = index;
        kept.arrived = now;
        kept.timestamp = timestamp;
        kept.captured = captured;
        kept.marker = marker;
        kept.payload.clear();
        kept.payload.extend_from_slice(payload);
        kept.dependency.clear();
        kept.dependency.extend_from_slice(dependency);
    }

    /// Forget all and give the memory back: nothing came for so long that nobody asks any more.
    pub fn clear(&mut self) {
        self.places = Vec::new();
    }

    /// Octets of the packets that are kept.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.places.iter().map(|kept| kept.payload.len() + kept.dependency.len()).sum()
    }

    /// The packet with this number, if it is there and came less than [`WORTH_US`] ago.
    #[must_use]
    pub fn get(&self, index: u64, now: Micros) -> Option<&CachedPacket> {
        self.places.get(place(index)).filter(|kept| {
            kept.index == index && !kept.payload.is_empty() && now.since(kept.arrived) <= WORTH_US
        })
    }

    /// The packets of a range of numbers that are there, in order.
    pub fn range(&self, range: Range<u64>, now: Micros) -> impl Iterator<Item = &CachedPacket> {
        let from = range.start.max(range.end.saturating_sub(PACKETS as u64));
        (from..range.end).filter_map(move |index| self.get(index, now))
    }
}

fn place(index: u64) -> usize {
    (index % PACKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &mut PacketCache, index: u64, now: Micros) {
        cache.put(index, index as i64, now, false, &index.to_be_bytes(), &[], now);
    }

    #[test]
    fn a_packet_is_there_for_a_second_and_for_so_many_packets() {
        let mut cache = PacketCache::default();
        put(&mut cache, 70_000, Micros(0));
        assert_eq!(cache.get(70_000, Micros(WORTH_US)).expect("kept").payload, 70_000_u64.to_be_bytes());
        assert!(cache.get(70_000, Micros(WORTH_US + 1)).is_none(), "too old");
        assert!(cache.get(70_001, Micros(0)).is_none());
        put(&mut cache, 70_000 + PACKETS as u64, Micros(1));
        assert!(cache.get(70_000, Micros(2)).is_none(), "overwritten");
        put(&mut cache, 70_000, Micros(2));
        assert!(cache.get(70_000 + PACKETS as u64, Micros(2)).is_some(), "not by an older one");
    }

    #[test]
    fn it_is_bounded_in_octets_and_gives_them_back() {
        let mut cache = PacketCache::default();
        for index in 0..5_000 {
            cache.put(index, 0, Micros(0), false, &[7; 2_048], &[1; 255], Micros(0));
            assert!(cache.octets() <= OCTETS + PACKETS * 255);
        }
        assert_eq!(cache.octets(), OCTETS + PACKETS * 255, "and it keeps what it says");
        assert!(cache.get(4_488, Micros(0)).is_some() && cache.get(4_487, Micros(0)).is_none());
        cache.clear();
        assert_eq!((cache.octets(), cache.places.capacity()), (0, 0));
        assert!(cache.get(4_999, Micros(0)).is_none());
    }

    #[test]
    fn a_range_leaves_out_what_is_missing() {
        let mut cache = PacketCache::default();
        for index in [5, 6, 8] {
            put(&mut cache, index, Micros(0));
        }
        let found: Vec<u64> = cache.range(0..100, Micros(0)).map(|packet| packet.index).collect();
        assert_eq!(found, [5, 6, 8]);
        assert_eq!(cache.range(0..u64::MAX, Micros(0)).count(), 0, "and does not walk for ever");
    }

    #[test]
    fn neither_empty_nor_oversized_packets_are_kept() {
        let mut cache = PacketCache::default();
        cache.put(1, 0, Micros(0), false, &[], &[], Micros(0));
        cache.put(2, 0, Micros(0), false, &[0; OCTETS / PACKETS + 1], &[], Micros(0));
        assert!(cache.get(1, Micros(0)).is_none() && cache.get(2, Micros(0)).is_none());
        assert!(cache.get(0, Micros(0)).is_none(), "an empty place is no packet");
    }
}
