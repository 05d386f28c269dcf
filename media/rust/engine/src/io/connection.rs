//! One TCP connection: what came and is not a frame yet, and what goes and is not taken yet. Both are bounded.

use super::admission::Ticket;
use crate::output::{ConnectionId, Path};
use crate::time::Micros;
use crate::wire::demux::{self, Packet};
use crate::wire::framing::{self, Deframer};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// Octets read at a time.
pub const READ: usize = 16 << 10;
/// Octets that may wait for one connection to take them. A datagram that does not fit is dropped whole.
pub const MAX_PENDING: usize = 256 << 10;
/// Of these, octets that media leaves free: answers to checks must pass while media is stuck, or consent expires.
const RESERVED: usize = 16 << 10;
/// Media is not added behind what has waited this long: on a line that is too slow a lesson is to lose pictures, not
/// to fall behind by what the buffer holds (seconds, at a few hundred kbit/s).
const MAX_WAIT_US: i64 = Micros::SECOND;
/// What an emptied buffer keeps of its memory.
const KEPT: usize = 32 << 10;
/// The other end has this long to prove that it is a peer.
pub const AUTHENTICATE_WITHIN_US: i64 = 5 * Micros::SECOND;

/// What reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Octets, which are in the deframer.
    Octets,
    /// Nothing waited.
    Nothing,
    /// The other end has closed its side, or an error.
    Ended,
}

/// See the module.
pub struct Connection {
    stream: TcpStream,
    /// The way that it is.
    pub path: Path,
    /// Its name.
    pub id: ConnectionId,
    /// When it was accepted.
    pub opened_at: Micros,
    /// A peer's check came over it.
    pub authenticated: bool,
    /// What came.
    pub deframer: Deframer,
    pending: Vec<u8>,
    /// How much of `pending` is sent.
    sent: usize,
    /// Octets sent in all, and for each frame that waits: where it ends among these, and since when it waits.
    sent_in_all: u64,
    waiting: VecDeque<(u64, Micros)>,
    /// The kernel takes no more until poll says so.
    pub blocked: bool,
    _ticket: Ticket,
}

impl Connection {
    /// A connection that was accepted over `path`.
    pub fn new(stream: TcpStream, path: Path, id: ConnectionId, now: Micros, ticket: Ticket) -> Self {
        Self {
            stream,
            path,
            id,
            opened_at: now,
            authenticated: false,
            deframer: Deframer::new(),
            pending: Vec::new(),
            sent: 0,
            sent_in_all: 0,
            waiting: VecDeque::new(),
            blocked: false,
            _ticket: ticket,
        }
    }

    /// For poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Read once, without blocking.
    pub fn receive(&mut self, scratch: &mut [u8]) -> Received {
        match self.stream.read(scratch) {
            Ok(0) => Received::Ended,
            Ok(len) => {
                self.deframer.push(&scratch[..len]);
                Received::Octets
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Received::Nothing,
                _ => Received::Ended,
            },
        }
    }

    /// Let a datagram wait to be written; false when it does not fit, or is media and what waits is late already.
    pub fn push(&mut self, datagram: &[u8], now: Micros) -> bool {
        let is_media = matches!(demux::classify(datagram), Packet::Rtp | Packet::Rtcp);
        let room = if is_media { MAX_PENDING - RESERVED } else { MAX_PENDING };
        let is_late = self.waiting.front().is_some_and(|&(_, since)| now.since(since) > MAX_WAIT_US);
        if self.pending() + framing::LENGTH + datagram.len() > room || (is_media && is_late) {
            return false;
        }
        if framing::write_frame(&mut self.pending, datagram).is_err() {
            return false;
        }
        self.waiting.push_back((self.sent_in_all + self.pending() as u64, now));
        true
    }

    /// Octets that wait.
    pub fn pending(&self) -> usize {
        self.pending.len() - self.sent
    }

    /// Write what waits as far as the kernel takes it.
    pub fn write(&mut self) -> io::Result<()> {
        while self.pending() > 0 && !self.blocked {
            match self.stream.write(&self.pending[self.sent..]) {
                Ok(len) => self.took(len),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.blocked = true,
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
        if self.pending() == 0 {
            self.pending.clear();
            self.pending.shrink_to(KEPT);
            self.sent = 0;
        } else if self.sent > MAX_PENDING / 2 {
            self.pending.drain(..self.sent);
            self.sent = 0;
        }
        Ok(())
    }

    fn took(&mut self, len: usize) {
        self.sent += len;
        self.sent_in_all += len as u64;
        while self.waiting.front().is_some_and(|&(end, _)| end <= self.sent_in_all) {
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::admission::Admission;
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, TcpListener};
    use std::sync::Arc;

    fn pair() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let far = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        let (near, remote) = listener.accept().expect("accepted");
        near.set_nonblocking(true).expect("set");
        let ticket = Arc::new(Admission::new(1)).admit(remote.ip()).expect("room");
        let id = ConnectionId::MIN;
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let path = Path { connection: Some(id), ..Path::udp(0, local, remote) };
        (Connection::new(near, path, id, Micros(0), ticket), far)
    }

    #[test]
    fn media_leaves_room_for_answers_and_what_does_not_fit_is_dropped_whole() {
        let (mut connection, _far) = pair();
        let media = [0x80; 1_200];
        let mut taken = 0;
        while connection.push(&media, Micros(0)) {
            taken += 1;
        }
        assert_eq!(taken, (MAX_PENDING - RESERVED) / (framing::LENGTH + media.len()));
        let full = connection.pending();
        assert!(!connection.push(&media, Micros(0)));
        assert_eq!(connection.pending(), full);
        let answer = [1; 100];
        while connection.push(&answer, Micros(0)) {}
        assert!(connection.pending() <= MAX_PENDING);
        assert!(connection.pending() > MAX_PENDING - framing::LENGTH - answer.len());
    }

    #[test]
    fn the_buffer_does_not_grow_over_a_slow_reader() {
        let (mut connection, mut far) = pair();
        let mut written = 0_u32;
        for _ in 0..40_000 {
            if connection.push(&written.to_be_bytes().repeat(300), Micros(0)) {
                written += 1;
            }
            connection.write().expect("open");
            assert!(connection.pending.len() <= MAX_PENDING + MAX_PENDING / 2);
        }
        assert!(connection.blocked && connection.pending() > MAX_PENDING - RESERVED - 2_000);
        // The reader wakes up and finds whole frames, in order, and nothing between them.
        let mut deframer = Deframer::new();
        let mut buffer = [0; READ];
        let mut read = 0_u32;
        while read < written {
            let len = far.read(&mut buffer).expect("open");
            deframer.push(&buffer[..len]);
            while let Some(frame) = deframer.next_frame() {
                assert_eq!(frame.expect("whole"), read.to_be_bytes().repeat(300));
                read += 1;
            }
            connection.blocked = false;
            connection.write().expect("open");
        }
        assert_eq!((connection.pending(), connection.sent), (0, 0));
        assert!(connection.waiting.is_empty());
    }

    #[test]
    fn media_does_not_queue_behind_what_is_late() {
        let (mut connection, mut far) = pair();
        let media = [0x80; 1_200];
        let mut now = Micros(0);
        // The kernel takes all it can; then some of ours waits.
        while !connection.blocked || connection.pending() < 10 * media.len() {
            assert!(connection.push(&media, now));
            connection.write().expect("open");
        }
        now = now.plus(MAX_WAIT_US);
        assert!(connection.push(&media, now), "not yet late");
        now = now.plus(1);
        assert!(!connection.push(&media, now), "late");
        assert!(connection.push(&[1; 100], now), "an answer to a check is never late");
        // What was late goes out; the youngest has waited for nothing.
        far.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("set");
        while connection.pending() > 0 {
            assert!(far.read(&mut [0; READ]).expect("open") > 0);
            connection.blocked = false;
            connection.write().expect("open");
        }
        assert!(connection.push(&media, now));
    }
}
