//! VP8 picture numbers of one slot (RFC 7741 section 4.2): picture id and TL0PICIDX go on by one over a
//! switch, because a decoder that sees them jump stops until the next key frame.

/// What the slot did with picture numbers so far. Numbers are shifted within a run, modulo their width.
#[derive(Debug)]
pub struct PictureNumbers {
    id_shift: u16,
    tl0_shift: u8,
    last_id: u16,
    last_tl0: u8,
    begun: bool,
}

const ID_MASK: u16 = 0x7fff;

impl PictureNumbers {
    /// The first picture gets the number `first`.
    #[must_use]
    pub fn new(first: u16) -> Self {
        Self {
            id_shift: 0,
            tl0_shift: 0,
            last_id: first.wrapping_sub(1) & ID_MASK,
            last_tl0: u8::MAX,
            begun: false,
        }
    }

    /// The next packet begins a run of another source.
    pub fn begin(&mut self) {
        self.begun = false;
    }

    /// The slot's numbers for a packet's own ones (0 where it has none).
    pub fn map(&mut self, id: u16, tl0: u8) -> (u16, u8) {
        if !self.begun {
            self.begun = true;
            self.id_shift = self.last_id.wrapping_add(1).wrapping_sub(id) & ID_MASK;
            self.tl0_shift = self.last_tl0.wrapping_add(1).wrapping_sub(tl0);
        }
        let out_id = id.wrapping_add(self.id_shift) & ID_MASK;
        let out_tl0 = tl0.wrapping_add(self.tl0_shift);
        if out_id.wrapping_sub(self.last_id) & ID_MASK < ID_MASK / 2 {
            self.last_id = out_id;
        }
        if out_tl0.wrapping_sub(self.last_tl0) < u8::MAX / 2 {
            self.last_tl0 = out_tl0;
        }
        (out_id, out_tl0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_by_one_over_a_switch_and_a_wrap() {
        let mut numbers = PictureNumbers::new(0x7ffe);
        assert_eq!(numbers.map(5, 200), (0x7ffe, 0));
        assert_eq!(numbers.map(6, 201), (0x7fff, 1));
        assert_eq!(numbers.map(5, 200), (0x7ffe, 0), "a late packet keeps its picture");
        numbers.begin();
        assert_eq!(numbers.map(900, 3), (0, 2));
        assert_eq!(numbers.map(901, 3), (1, 2));
    }
}
