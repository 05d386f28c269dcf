//! What a full send buffer left behind: it waits, bounded, until the socket takes more.
//!
//! Where there is no more room the oldest packets of pictures go, since a picture can be asked for again or repaired by its
//! next key frame, and the oldest are the least worth. Where none of those waits, the newest datagram goes: voices,
//! reports, checks and handshakes keep their order.

use crate::output::{Datagram, Output};

/// Octets that wait at most: what a line of 100 Mbit/s takes in 80 ms, beside the kernel's own buffer.
pub const MOST_OCTETS: usize = 1 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Waiting {
    arena: Vec<u8>,
    /// One that was dropped leaves its place.
    datagrams: Vec<Option<Datagram>>,
    octets: usize,
    /// Before it no picture's packet waits.
    oldest_picture: usize,
    /// The most octets that ever waited.
    pub most: usize,
}

impl Waiting {
    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// Let a datagram wait behind the others. Gives how many were dropped for it, or were it itself.
    pub fn keep(&mut self, octets: &[u8], datagram: &Datagram) -> u64 {
        let mut dropped = 0;
        while self.octets + octets.len() > MOST_OCTETS {
            dropped += 1;
            if !self.drop_oldest_picture() {
                return dropped;
            }
        }
        if self.arena.len() >= 2 * MOST_OCTETS {
            self.close_up();
        }
        let start = self.arena.len();
        self.arena.extend_from_slice(octets);
        self.datagrams.push(Some(Datagram { start, end: self.arena.len(), ..*datagram }));
        self.octets += octets.len();
        self.most = self.most.max(self.octets);
        dropped
    }

    /// All that wait, oldest first; none does afterwards.
    pub fn take(&mut self) -> Output {
        self.octets = 0;
        self.oldest_picture = 0;
        let datagrams = std::mem::take(&mut self.datagrams).into_iter().flatten().collect();
        Output { arena: std::mem::take(&mut self.arena), datagrams, ..Output::default() }
    }

    fn drop_oldest_picture(&mut self) -> bool {
        while let Some(place) = self.datagrams.get_mut(self.oldest_picture) {
            self.oldest_picture += 1;
            if let Some(datagram) = place.take_if(|datagram| datagram.is_picture) {
                self.octets -= datagram.end - datagram.start;
                return true;
            }
        }
        false
    }

    /// Take back the room of those that were dropped.
    fn close_up(&mut self) {
        let most = self.most;
        let kept = self.take();
        for datagram in &kept.datagrams {
            self.keep(kept.octets(datagram), datagram);
        }
        self.most = most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Path;
    use std::net::{IpAddr, Ipv4Addr};

    fn keep(waiting: &mut Waiting, number: u32, size: usize, is_picture: bool) -> u64 {
        let remote = "192.0.2.1:5000".parse().expect("an address");
        let path = Path::udp(0, IpAddr::V4(Ipv4Addr::LOCALHOST), remote);
        let mut octets = vec![0; size];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        waiting.keep(&octets, &Datagram { start: 7, end: 7, path, is_picture })
    }

    fn numbers(waiting: &mut Waiting) -> Vec<u32> {
        let out = waiting.take();
        let number = |datagram| u32::from_be_bytes(*out.octets(datagram).first_chunk().expect("four octets"));
        out.datagrams.iter().map(number).collect()
    }

    #[test]
    fn the_oldest_pictures_make_room_and_what_else_waits_stays() {
        let mut waiting = Waiting::default();
        let size = MOST_OCTETS / 16;
        assert_eq!((0..16).map(|n| keep(&mut waiting, n, size, n % 4 != 0)).sum::<u64>(), 0);
        assert_eq!(keep(&mut waiting, 16, size, true), 1);
        assert_eq!(keep(&mut waiting, 17, 2 * size, false), 2);
        assert_eq!(waiting.most, MOST_OCTETS);
        assert_eq!(numbers(&mut waiting), [0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
        assert!(waiting.is_empty() && numbers(&mut waiting).is_empty());
    }

    #[test]
    fn without_pictures_the_newest_is_dropped() {
        let mut waiting = Waiting::default();
        let size = MOST_OCTETS / 4;
        assert_eq!((0..4).map(|n| keep(&mut waiting, n, size, false)).sum::<u64>(), 0);
        assert_eq!(keep(&mut waiting, 4, size, false), 1);
        assert_eq!(keep(&mut waiting, 5, size, true), 1);
        assert_eq!(numbers(&mut waiting), [0, 1, 2, 3]);
    }

    #[test]
    fn its_memory_is_bounded_while_nothing_leaves() {
        let mut waiting = Waiting::default();
        let dropped: u64 = (0..20_000).map(|n| keep(&mut waiting, n, 1_200, true)).sum();
        assert!(waiting.arena.len() <= 2 * MOST_OCTETS + 1_200);
        let left = numbers(&mut waiting);
        assert_eq!(left.len() as u64 + dropped, 20_000);
        assert_eq!(left, (20_000 - left.len() as u32..20_000).collect::<Vec<_>>());
    }
}
