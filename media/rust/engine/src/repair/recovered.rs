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

    /// The number of the frame that lies `back` packets and `offset` ticks before the packet `index` of `timestamp` and
    /// plays for `length` ticks. `None` where so many such frames do not fill that time (a pause lies between, or the
    /// sender left some out), where it contradicts a packet that came, and where that packet itself came.
    #[must_use]
    pub fn place(&self, index: u64, timestamp: i64, back: u64, offset: u32, length: u32) -> Option<u64> {
        if !(1..=MAX_BACK).contains(&back) || u64::from(offset) != back * u64::from(length) {
            return None;
        }
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
        assert_eq!(order.place(103, 3 * 960, 1, 960, 960), Some(102));
        assert_eq!(order.place(104, 4 * 960, 2, 1_920, 960), Some(102));
        assert_eq!(order.place(104, 4 * 960, 1, 960, 960), Some(103));
        assert_eq!(order.place(102, 2 * 960, 1, 960, 960), None, "that one came");
        assert_eq!(order.place(104, 4 * 960, 1, 1_920, 960), None, "the one before it was left out");
        assert_eq!(order.place(103, 3 * 960, 1, 900, 960), None, "not its length");
        assert_eq!(order.place(120, 20 * 960, 9, 9 * 960, 960), None, "too far back");
        assert_eq!(order.place(103, 3 * 960, 0, 0, 960), None);
        assert_eq!(order.place(1, 960, 2, 1_920, 960), None, "before all numbers");
    }

    #[test]
    fn a_pause_moves_no_frame_to_a_wrong_place() {
        // 101 and 102 are missing and a pause lies somewhere among them: 102 is not where 101 was.
        assert_eq!(order(&[(100, 1)]).place(103, 5 * 960, 1, 1_920, 960), None);
        assert_eq!(order(&[(100, 5)]).place(103, 6 * 960, 2, 1_920, 960), None, "before what came before it");
        assert_eq!(
            order(&[(100, 1), (103, 2)]).place(102, 3 * 960, 1, 960, 960),
            None,
            "after what came after it"
        );
        assert_eq!(order(&[]).place(102, 3 * 960, 1, 960, 960), None, "nothing to follow");
    }
}
