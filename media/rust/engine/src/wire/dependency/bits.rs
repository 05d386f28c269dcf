//! Bits of a dependency descriptor, the most significant first; reading past the end is an error.

use super::DependencyError;

pub(super) struct Bits<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    pub(super) fn flag(&mut self) -> Result<bool, DependencyError> {
        let octet = self.octets.get(self.at / 8).ok_or(DependencyError::TooShort)?;
        let bit = octet >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// f(n): `count` bits, 32 at most.
    pub(super) fn read(&mut self, count: u32) -> Result<u32, DependencyError> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// ns(n): a value below `bound`, in as few bits as that needs (section A.8.1). `bound` is at least 1.
    pub(super) fn read_below(&mut self, bound: u32) -> Result<u32, DependencyError> {
        let width = u32::BITS - bound.leading_zeros();
        let short = (1 << width) - bound;
        let value = self.read(width.saturating_sub(1))?;
        if value < short { Ok(value) } else { Ok((value << 1) + u32::from(self.flag()?) - short) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_from_the_left_and_no_further_than_the_end() {
        let mut bits = Bits::new(&[0b1010_0000, 0xff]);
        assert_eq!(bits.read(3), Ok(0b101));
        assert_eq!(bits.read(0), Ok(0));
        assert_eq!(bits.flag(), Ok(false));
        assert_eq!(bits.read(12), Ok(0x0ff));
        assert_eq!(bits.read(1), Err(DependencyError::TooShort));
    }

    /// The example of the AV1 bitstream specification, section 4.10.7: ns(5).
    #[test]
    fn a_value_below_five() {
        let read = |octet: u8| Bits::new(&[octet]).read_below(5).expect("enough bits");
        assert_eq!([0b0000_0000, 0b0100_0000, 0b1000_0000].map(read), [0, 1, 2]);
        assert_eq!([0b1100_0000, 0b1110_0000].map(read), [3, 4]);
        assert_eq!(Bits::new(&[]).read_below(1), Ok(0), "there is one value, so no bit says it");
    }
}
