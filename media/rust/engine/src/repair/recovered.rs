//! Where the earlier frames of redundant audio (RFC 2198) belong: they say when they were spoken, not their numbers.

use std::collections::VecDeque;

/// Packets whose timestamps are remembered.
const REMEMBERED: usize = 16;
/// How many packets back a frame is looked for.
const MAX_BACK: u64 = 8;

/// The last packets of a voice, by extended sequence number and unwrapped timestamp.
#[derive(Debug, Default)]
pub struct FrameOrder {
    packets: VecDeque<(u64, i64)>,
}

impl FrameOrder {
    /// A packet came, by itself or along with another.
    pub fn put(&mut self, index: u64, timestamp: i64) {
        if self.packets.len() == REMEMBERED {
            self.packets.pop_front();
        }
        self.packets.push_back((index, timestamp));
    }

    /// The number of the frame that lies `offset` ticks before the packet `index` of `timestamp` and plays for `length`
    /// ticks: so many packets back as frames fit between, if that agrees with the time of every packet around it. `None`
    /// where it does not (a pause lies between, or frames of several lengths) and where that packet came.
    #[must_use]
    pub fn place(&self, index: u64, timestamp: i64, offset: u32, length: u32) -> Option<u64> {
        if length == 0 || offset == 0 || !offset.is_multiple_of(length) {
            return None;
        }
        let back = Some(u64::from(offset / length)).filter(|&back| back <= MAX_BACK)?;
        let place = index.checked_sub(back)?;
        let spoken = timestamp - i64::from(offset);
        let fits = |&(other, at): &(u64, i64)| {
            let room = other.abs_diff(place) as i64 * i64::from(length);
            match other.cmp(&place) {
                std::cmp::Ordering::Less => spoken - at >= room,
                std::cmp::Ordering::Equal => false,
                std::cmp::Ordering::Greater => at - spoken >= room,
            }
        };
        // Without a packet from before it there is no gap that it fills.
        let follows = self.packets.iter().any(|&(other, _)| other < place);
        (follows && self.packets.iter().all(fits)).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(packets: &[(u64, i64)]) -> FrameOrder {
        let mut order = FrameOrder::default();
        packets.iter().for_each(|&(index, frame)| order.put(index, frame * 960));
        order
    }

    #[test]
    fn a_gap_is_filled_from_behind() {
        let order = order(&[(100, 0), (101, 1)]);
        assert_eq!(order.place(103, 3 * 960, 960, 960), Some(102));
        assert_eq!(order.place(104, 4 * 960, 1_920, 960), Some(102));
        assert_eq!(order.place(104, 4 * 960, 960, 960), Some(103));
        assert_eq!(order.place(102, 2 * 960, 960, 960), None, "that one came");
        assert_eq!(order.place(103, 3 * 960, 3_000, 960), None, "no whole frames");
        assert_eq!(order.place(120, 20 * 960, 9 * 960, 960), None, "too far back");
        assert_eq!(order.place(103, 3 * 960, 960, 0), None);
        assert_eq!(order.place(1, 960, 1_920, 960), None, "before all numbers");
    }

    #[test]
    fn a_pause_moves_no_frame_to_a_wrong_place() {
        // 101 was the last before a pause of five frames; 102 carries it along, or an older one.
        let heard = order(&[(99, 0), (101, 2)]);
        assert_eq!(heard.place(102, 8 * 960, 6 * 960, 960), None, "that is 101, which came");
        assert_eq!(order(&[(99, 0)]).place(102, 8 * 960, 6 * 960, 960), None, "before what came before it");
        assert_eq!(order(&[]).place(102, 3 * 960, 960, 960), None, "nothing to follow");
    }
}
