//! What leaves together: datagrams of one destination, in their order, in runs that the kernel can cut into datagrams
//! by itself (UDP_SEGMENT, udp(7)): all of one size, only the last may be shorter.
//!
//! A frame of a picture is some packets of almost one size, and each goes to everyone who plays it. Packet by packet
//! that is a system call's work for each; as runs it is one or two for each receiver and frame.

use crate::output::{Datagram, Output, Path};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

/// Datagrams in one run; kernels before 5.5 or so take no more.
pub const MAX_SEGMENTS: usize = 64;
/// Octets in one run: what fits the length field of one IP packet, with room for headers.
const MAX_OCTETS: usize = 64_000;

/// One run: places in [`Departures::order`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Where its datagrams lie in the order.
    pub places: Range<usize>,
    /// The size of each but the last, which may be shorter.
    pub segment: usize,
}

/// See the module. Kept from turn to turn for its memory.
#[derive(Debug, Default)]
pub struct Departures {
    /// Indices of datagrams of the output, by destination.
    pub order: Vec<usize>,
    /// The runs, in the order in which they leave.
    pub runs: Vec<Run>,
    destinations: HashMap<Path, usize, BuildHasherDefault<Mix>>,
    /// By destination: how many datagrams, then where the next one goes.
    counts: Vec<usize>,
    groups: Vec<(usize, usize)>,
}

/// A hash for the destinations of one turn. They are addresses of authenticated peers, and a turn has a few hundred at
/// most: whoever chose his address with care could make no more than those comparisons.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, octets: &[u8]) {
        for part in octets.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // The odd constant is the golden ratio's fraction in 64 bits: it spreads neighbouring numbers widely.
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Departures {
    /// Arrange the datagrams of `out` that leave over the UDP socket `number`. Destinations leave in the order of
    /// their first datagram, and each one's datagrams in the order of the output. Without `segmentation` each is a
    /// run of its own.
    pub fn arrange(&mut self, out: &Output, number: u8, segmentation: bool) {
        self.destinations.clear();
        self.counts.clear();
        self.groups.clear();
        self.order.clear();
        self.runs.clear();
        let mut before: Option<(Path, usize)> = None;
        for (index, datagram) in out.datagrams.iter().enumerate() {
            if datagram.path.socket != number || datagram.path.connection.is_some() {
                continue;
            }
            let next = self.counts.len();
            // What came of one layer together lies together for each receiver.
            let group = match before {
                Some((path, group)) if path == datagram.path => group,
                _ => *self.destinations.entry(datagram.path).or_insert(next),
            };
            before = Some((datagram.path, group));
            if group == next {
                self.counts.push(0);
            }
            self.counts[group] += 1;
            self.groups.push((index, group));
        }
        let mut place = 0;
        for count in &mut self.counts {
            place += std::mem::replace(count, place);
        }
        self.order.resize(self.groups.len(), 0);
        for &(index, group) in &self.groups {
            self.order[self.counts[group]] = index;
            self.counts[group] += 1;
        }
        self.cut(&out.datagrams, segmentation);
    }

    /// Cut the order into runs. After the placing, `counts` says where each destination ends.
    fn cut(&mut self, datagrams: &[Datagram], segmentation: bool) {
        let size = |place: usize| {
            let datagram = &datagrams[self.order[place]];
            datagram.end - datagram.start
        };
        let mut start = 0;
        for &end in &self.counts {
            while start < end {
                let segment = size(start);
                let mut next = start + 1;
                let mut octets = segment;
                while segmentation && next < end && next - start < MAX_SEGMENTS {
                    let more = size(next);
                    if more > segment || octets + more > MAX_OCTETS {
                        break;
                    }
                    octets += more;
                    next += 1;
                    if more < segment {
                        break;
                    }
                }
                self.runs.push(Run { places: start..next, segment });
                start = next;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    fn path(host: u8) -> Path {
        Path::udp(0, IpAddr::V4(Ipv4Addr::LOCALHOST), SocketAddr::from(([192, 0, 2, host], 5_000)))
    }

    fn output(datagrams: &[(u8, usize)]) -> Output {
        let mut out = Output::default();
        for (at, &(host, size)) in datagrams.iter().enumerate() {
            out.send(&vec![at as u8; size], path(host));
        }
        out
    }

    fn runs(datagrams: &[(u8, usize)], segmentation: bool) -> Vec<Vec<usize>> {
        let mut departures = Departures::default();
        departures.arrange(&output(datagrams), 0, segmentation);
        departures.runs.iter().map(|run| departures.order[run.places.clone()].to_vec()).collect()
    }

    #[test]
    fn a_frame_for_each_receiver_is_a_run() {
        let frame: Vec<(u8, usize)> =
            [100, 100, 99].iter().flat_map(|&size| [(1, size), (2, size)]).collect();
        assert_eq!(runs(&frame, true), [vec![0, 2, 4], vec![1, 3, 5]]);
        assert_eq!(runs(&frame, false).len(), 6);
    }

    #[test]
    fn a_longer_one_or_one_after_a_shorter_begins_a_run() {
        assert_eq!(
            runs(&[(1, 9), (1, 10), (1, 10), (1, 4), (1, 10)], true),
            [vec![0], vec![1, 2, 3], vec![4]]
        );
    }

    #[test]
    fn a_run_is_bounded_in_datagrams_and_octets() {
        assert_eq!(runs(&[(1, 10); 130], true).iter().map(Vec::len).collect::<Vec<_>>(), [64, 64, 2]);
        assert_eq!(runs(&[(1, 1_200); 60], true).iter().map(Vec::len).collect::<Vec<_>>(), [53, 7]);
    }

    #[test]
    fn other_sockets_and_connections_are_not_of_it() {
        let mut out = output(&[(1, 5)]);
        out.send(b"elsewhere", Path { socket: 1, ..path(1) });
        out.send(b"stream", Path { connection: std::num::NonZeroU64::new(7), ..path(1) });
        let mut departures = Departures::default();
        departures.arrange(&out, 0, true);
        assert_eq!(departures.order, [0]);
        departures.arrange(&Output::default(), 0, true);
        assert!(
            departures.order.is_empty() && departures.runs.is_empty(),
            "nothing is left of the turn before"
        );
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]
        #[test]
        fn each_leaves_once_in_its_destinations_order(
            datagrams in prop::collection::vec((0_u8..5, 1_usize..4), 0..200),
        ) {
            let out = output(&datagrams);
            let mut departures = Departures::default();
            departures.arrange(&out, 0, true);
            let mut seen = departures.order.clone();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..datagrams.len()).collect::<Vec<_>>());
            for host in 0..5 {
                let of: Vec<usize> =
                    departures.order.iter().copied().filter(|&at| datagrams[at].0 == host).collect();
                prop_assert!(of.windows(2).all(|pair| pair[0] < pair[1]));
            }
            let mut next = 0;
            for run in &departures.runs {
                prop_assert_eq!(run.places.start, next);
                next = run.places.end;
                let sizes: Vec<usize> =
                    departures.order[run.places.clone()].iter().map(|&at| datagrams[at].1).collect();
                prop_assert!(sizes[..sizes.len() - 1].iter().all(|&size| size == run.segment));
                prop_assert!(sizes[sizes.len() - 1] <= run.segment && sizes.len() <= MAX_SEGMENTS);
                let hosts = departures.order[run.places.clone()].iter().map(|&at| datagrams[at].0);
                prop_assert_eq!(hosts.collect::<std::collections::HashSet<_>>().len(), 1);
            }
            prop_assert_eq!(next, datagrams.len());
        }
    }
}
