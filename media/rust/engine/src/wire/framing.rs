//! Datagrams on a byte stream: each behind its length in 16 bits (RFC 4571 section 2), as ICE over TCP carries STUN,
//! DTLS and SRTP alike (RFC 6544 section 10.1).

use super::{be16, error_enum};

/// The longest datagram that is taken: longer than any of WebRTC, as for UDP.
pub const MAX_FRAME: usize = 2_048;
/// Octets of the length before each datagram.
pub const LENGTH: usize = 2;
/// Octets that may wait to be taken: twice what a reader brings at a time (`io::connection`).
pub const MAX_BUFFERED: usize = 1 << 16;
/// Empty frames in a row that are passed over. RFC 4571 allows them and nothing needs them.
pub const MAX_EMPTY: u32 = 16;
/// What an emptied buffer keeps of its memory.
const KEPT: usize = 4 * MAX_FRAME;

error_enum! {
    /// Why a byte stream cannot be read on: where its next frame begins is not known any more, or not worth knowing.
    FramingError {
        TooLong => "a frame is longer than any datagram",
        OnlyEmpty => "too many empty frames in a row",
        NotTaken => "more octets than may wait",
    }
}

/// Finds the frames in octets that come in pieces of any length.
///
/// Holds [`MAX_BUFFERED`] octets at most, and less than one frame once all are taken. An error is told once, after
/// the frames before it; then there is nothing more.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Where the next length begins.
    at: usize,
    empty: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Reading,
    /// The buffer is read to its end, then the error is told.
    Ending(FramingError),
    Ended,
}

impl Deframer {
    /// One that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Add what the stream brought next.
    pub fn push(&mut self, data: &[u8]) {
        if self.state != State::Reading {
            return;
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        if self.buffer.len() + data.len() > MAX_BUFFERED {
            self.state = State::Ending(FramingError::NotTaken);
            return;
        }
        if self.buffer.is_empty() {
            self.buffer.shrink_to(KEPT);
        }
        self.buffer.extend_from_slice(data);
    }

    /// The next whole frame, to be read or changed where it lies; `None` until more is pushed. Empty frames are
    /// passed over.
    pub fn next_frame(&mut self) -> Option<Result<&mut [u8], FramingError>> {
        if self.state == State::Ended {
            return None;
        }
        let found = loop {
            let Some(len) = be16(&self.buffer, self.at).map(usize::from) else { break None };
            if len > MAX_FRAME {
                return Some(self.end(FramingError::TooLong));
            }
            let start = self.at + LENGTH;
            if len > 0 {
                break (self.buffer.len() >= start + len).then_some(start..start + len);
            }
            self.at = start;
            self.empty += 1;
            if self.empty > MAX_EMPTY {
                return Some(self.end(FramingError::OnlyEmpty));
            }
        };
        match (found, self.state) {
            (Some(range), _) => {
                self.at = range.end;
                self.empty = 0;
                self.buffer.get_mut(range).map(Ok)
            }
            (None, State::Ending(error)) => Some(self.end(error)),
            (None, _) => None,
        }
    }

    /// How many octets are held.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.at
    }

    fn end<T>(&mut self, error: FramingError) -> Result<T, FramingError> {
        self.state = State::Ended;
        self.buffer = Vec::new();
        self.at = 0;
        Err(error)
    }
}

/// Append a datagram as one frame. One that is too long is refused and nothing is appended.
pub fn write_frame(out: &mut Vec<u8>, datagram: &[u8]) -> Result<(), FramingError> {
    if datagram.len() > MAX_FRAME {
        return Err(FramingError::TooLong);
    }
    out.extend_from_slice(&(datagram.len() as u16).to_be_bytes());
    out.extend_from_slice(datagram);
    Ok(())
}

#[cfg(test)]
mod tests;
