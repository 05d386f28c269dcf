//! Picture numbers of one slot: VP8's and VP9's picture id and TL0PICIDX (RFC 7741 section 4.2, RFC 9628 section 4.2)
//! and AV1's frame number (dependency descriptor). They go on by one over a switch, because a decoder that sees them
//! jump stops until the next key frame.

use crate::seqmap::SequenceMap;

/// A packet's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The picture id or frame number.
    pub id: u16,
    /// How many bits wide that is on the wire: 7, 15 or 16.
    pub bits: u32,
    /// TL0PICIDX, 0 where there is none.
    pub tl0: u8,
}

/// What the slot did with picture numbers so far. Numbers are shifted within a run; a picture that is left out may
/// close the gap that it would leave.
#[derive(Debug)]
pub struct PictureNumbers {
    ids: SequenceMap,
    /// The highest number of the run, without its wraps.
    highest: Option<u64>,
    tl0_shift: u8,
    last_tl0: u8,
}

impl PictureNumbers {
    /// The first picture gets the number `first`.
    #[must_use]
    pub fn new(first: u16) -> Self {
        Self { ids: SequenceMap::new(u64::from(first)), highest: None, tl0_shift: 0, last_tl0: u8::MAX }
    }

    /// The next packet begins a run of another source.
    pub fn begin(&mut self) {
        self.highest = None;
    }

    /// The slot's numbers for a packet's own ones: the id in 16 bits, of which the lower ones are written. `None` for
    /// a picture from before the run.
    pub fn map(&mut self, own: Own) -> Option<(u16, u8)> {
        let begins = self.highest.is_none();
        let id = self.unwrap(own);
        if begins {
            self.ids.begin(id);
            self.tl0_shift = self.last_tl0.wrapping_add(1).wrapping_sub(own.tl0);
        }
        let out_id = self.ids.map(id)?;
        let out_tl0 = own.tl0.wrapping_add(self.tl0_shift);
        if out_tl0.wrapping_sub(self.last_tl0) < u8::MAX / 2 {
            self.last_tl0 = out_tl0;
        }
        Some((out_id as u16, out_tl0))
    }

    /// A picture is left out and those after it move up.
    pub fn skip(&mut self, own: Own) {
        if self.highest.is_some() {
            let id = self.unwrap(own);
            self.ids.skip(id);
        }
    }

    /// Taken as the nearest to the highest; the first is above all that may still come from before it.
    /// Read what [`Self::map`] will need.
    #[must_use]
    pub fn look(&self) -> u64 {
        self.ids.look() ^ self.highest.unwrap_or(0)
    }

    fn unwrap(&mut self, own: Own) -> u64 {
        let modulus = 1_u64 << own.bits;
        let id = u64::from(own.id) % modulus;
        let Some(highest) = self.highest else {
            self.highest = Some(modulus + id);
            return modulus + id;
        };
        let ahead = id.wrapping_sub(highest) % modulus;
        let found =
            if ahead < modulus / 2 { highest + ahead } else { (highest + ahead).saturating_sub(modulus) };
        self.highest = Some(highest.max(found));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(id: u16, tl0: u8) -> Own {
        Own { id, bits: 15, tl0 }
    }

    #[test]
    fn numbers_go_on_by_one_over_a_switch_and_a_wrap() {
        let mut numbers = PictureNumbers::new(0xfffe);
        assert_eq!(numbers.map(wide(5, 200)), Some((0xfffe, 0)));
        assert_eq!(numbers.map(wide(6, 201)), Some((0xffff, 1)));
        assert_eq!(numbers.map(wide(5, 200)), Some((0xfffe, 0)), "a late packet keeps its picture");
        assert_eq!(numbers.map(wide(4, 200)), None, "before the run");
        numbers.begin();
        assert_eq!(numbers.map(wide(900, 3)), Some((0, 2)));
        assert_eq!(numbers.map(wide(901, 3)), Some((1, 2)));
    }

    #[test]
    fn a_narrow_id_wraps_early_and_the_slot_does_not() {
        let mut numbers = PictureNumbers::new(1_000);
        for n in 0..400_u16 {
            let own = Own { id: (100 + n) & 0x7f, bits: 7, tl0: 0 };
            assert_eq!(numbers.map(own).expect("a number").0, 1_000 + n);
            assert_eq!(numbers.map(own).expect("a number").0, 1_000 + n, "the frame's next packet");
        }
    }

    #[test]
    fn a_picture_that_is_left_out_leaves_no_gap() {
        let mut numbers = PictureNumbers::new(10);
        assert_eq!(numbers.map(wide(0x7ffe, 0)), Some((10, 0)));
        for _ in 0..3 {
            numbers.skip(wide(0x7fff, 0));
        }
        assert_eq!(numbers.map(wide(0, 0)), Some((11, 0)));
        numbers.skip(wide(1, 0));
        assert_eq!(numbers.map(wide(2, 1)), Some((12, 1)));
        assert_eq!(numbers.map(wide(0, 0)), Some((11, 0)), "late");
    }
}
