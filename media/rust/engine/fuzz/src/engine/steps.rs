//! One step of the `engine` target, as octets: a number that says which, then fixed fields, then octets behind
//! their count. So that mutations of one step leave the others alone, nothing is read from the input's end.

use arbitrary::{Arbitrary, Result, Unstructured};

/// See the module. `far` names one of the peers' far ends, modulo their number; so do the other numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Time passes: milliseconds to 199, from there on 0.7 s each.
    Wait { time: u8 },
    /// A well-formed packet of a stream, its payload as it is. `flags` see [`flag`]; `advance` is added to the
    /// stream's sequence number before. Of a retransmission, the payload's first octet counts back from the
    /// original stream's newest packet.
    Media { stream: u8, advance: i8, ticks: u8, flags: u8, payload: Vec<u8> },
    /// RTP that is mutated before it is protected: version, sequence number and SSRC are put right, the rest is as
    /// it is.
    Plain { stream: u8, advance: i8, octets: Vec<u8> },
    /// An RTCP compound, protected as it is.
    Compound { far: u8, octets: Vec<u8> },
    /// A NACK of something that the far end did receive, so many packets ago.
    Nack { far: u8, stream: u8, back: u8, bits: u16 },
    /// An earlier datagram again: as it was, with a bit turned, cut, or from elsewhere.
    Again { back: u8, how: u8, at: u8 },
    /// A check with the right password. `from` chooses the address; `flags` bit 0 nominates, bit 1 uses the
    /// credentials before the last restart, bit 2 comes over TCP.
    Check { far: u8, from: u8, flags: u8 },
    /// A STUN message as it is, but for its lengths, MESSAGE-INTEGRITY and FINGERPRINT.
    Stun { far: u8, octets: Vec<u8> },
    /// A datagram as it is; from a far end's address, or (255) a stranger's.
    Datagram { from: u8, octets: Vec<u8> },
    /// What plays.
    Route { far: u8, slot: u8, source: u8, layer: u8 },
    /// Another command; which, and what with.
    Command { far: u8, which: u8, with: u8, more: u8 },
    /// A TCP connection closes.
    Closed { far: u8 },
}

/// Bits of [`Step::Media`]'s `flags`.
pub mod flag {
    pub const MARKER: u8 = 1;
    pub const MID: u8 = 2;
    pub const RID: u8 = 4;
    pub const LEVEL: u8 = 8;
    /// RTP padding of four octets.
    pub const PADDING: u8 = 16;
    /// Another SSRC than the stream's own from now on.
    pub const OTHER_SSRC: u8 = 32;
}

const KINDS: u8 = 12;

fn octets(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = usize::from(input.arbitrary::<u8>()?);
    input.bytes(len.min(input.len())).map(<[u8]>::to_vec)
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let kind = input.arbitrary::<u8>()? % KINDS;
        let mut next = || input.arbitrary::<u8>();
        Ok(match kind {
            0 => Self::Wait { time: next()? },
            1 => Self::Media {
                stream: next()?,
                advance: next()?.cast_signed(),
                ticks: next()?,
                flags: next()?,
                payload: octets(input)?,
            },
            2 => Self::Plain { stream: next()?, advance: next()?.cast_signed(), octets: octets(input)? },
            3 => Self::Compound { far: next()?, octets: octets(input)? },
            4 => Self::Nack {
                far: next()?,
                stream: next()?,
                back: next()?,
                bits: u16::from_be_bytes([next()?, next()?]),
            },
            5 => Self::Again { back: next()?, how: next()?, at: next()? },
            6 => Self::Check { far: next()?, from: next()?, flags: next()? },
            7 => Self::Stun { far: next()?, octets: octets(input)? },
            8 => Self::Datagram { from: next()?, octets: octets(input)? },
            9 => Self::Route { far: next()?, slot: next()?, source: next()?, layer: next()? },
            10 => Self::Command { far: next()?, which: next()?, with: next()?, more: next()? },
            _ => Self::Closed { far: next()? },
        })
    }
}

impl Step {
    /// Appends the octets that give this step; octets of a field from the 256th on are left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut long: Option<&[u8]> = None;
        match self {
            Self::Wait { time } => out.extend([0, *time]),
            Self::Media { stream, advance, ticks, flags, payload } => {
                out.extend([1, *stream, advance.cast_unsigned(), *ticks, *flags]);
                long = Some(payload);
            }
            Self::Plain { stream, advance, octets } => {
                out.extend([2, *stream, advance.cast_unsigned()]);
                long = Some(octets);
            }
            Self::Compound { far, octets } => {
                out.extend([3, *far]);
                long = Some(octets);
            }
            Self::Nack { far, stream, back, bits } => {
                let [high, low] = bits.to_be_bytes();
                out.extend([4, *far, *stream, *back, high, low]);
            }
            Self::Again { back, how, at } => out.extend([5, *back, *how, *at]),
            Self::Check { far, from, flags } => out.extend([6, *far, *from, *flags]),
            Self::Stun { far, octets } => {
                out.extend([7, *far]);
                long = Some(octets);
            }
            Self::Datagram { from, octets } => {
                out.extend([8, *from]);
                long = Some(octets);
            }
            Self::Route { far, slot, source, layer } => out.extend([9, *far, *slot, *source, *layer]),
            Self::Command { far, which, with, more } => out.extend([10, *far, *which, *with, *more]),
            Self::Closed { far } => out.extend([11, *far]),
        }
        if let Some(long) = long {
            let long = &long[..long.len().min(255)];
            out.push(long.len() as u8);
            out.extend_from_slice(long);
        }
    }
}
