//! What a shard wants done: datagrams to send, in one arena per turn, events to tell, and records to keep.

use crate::event::Event;
use crate::record::Record;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;

/// A TCP connection; never used again in the life of an engine.
pub type ConnectionId = NonZeroU64;

/// One way between us and a peer: which socket, from which of our addresses, to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// Index of the bound address that the peer reached.
    pub socket: u8,
    /// The address that it reached; answers leave from there (IP_PKTINFO).
    pub local: IpAddr,
    /// The peer.
    pub remote: SocketAddr,
    /// The TCP connection that it is (RFC 6544); none over UDP.
    pub connection: Option<ConnectionId>,
}

/// Whose a datagram is, where it does not say so itself. Over UDP the remote address tells; over TCP the connection
/// does, so that the same address and port over UDP and over TCP are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The remote address of UDP datagrams.
    Udp(SocketAddr),
    /// A TCP connection.
    Tcp(ConnectionId),
}

impl Path {
    /// A path over UDP.
    #[must_use]
    pub const fn udp(socket: u8, local: IpAddr, remote: SocketAddr) -> Self {
        Self { socket, local, remote, connection: None }
    }

    /// What its datagrams are known by.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        match self.connection {
            None => Origin::Udp(self.remote),
            Some(connection) => Origin::Tcp(connection),
        }
    }

    /// `udp` or `tcp`.
    #[must_use]
    pub const fn transport(&self) -> &'static str {
        if self.connection.is_none() { "udp" } else { "tcp" }
    }
}

/// A datagram in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    /// First octet.
    pub start: usize,
    /// One past the last octet.
    pub end: usize,
    /// The way.
    pub path: Path,
    /// It is of a picture: where not all can leave, it goes first.
    pub is_picture: bool,
}

/// An address or a connection began or ceased to belong to a peer of this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressChange {
    /// Datagrams from there are this shard's.
    Learnt(Origin),
    /// No longer.
    Forgotten(Origin),
}

/// Filled by a shard during one turn, emptied by the thread that runs it at the turn's end, so its size is
/// bounded by what one turn reads.
#[derive(Debug, Default)]
pub struct Output {
    /// The octets of all datagrams.
    pub arena: Vec<u8>,
    /// The datagrams, in order.
    pub datagrams: Vec<Datagram>,
    /// The events, in order.
    pub events: Vec<Event>,
    /// What is to be kept, in order.
    pub records: Vec<Record>,
    /// For the directory that receiving threads share.
    pub addresses: Vec<AddressChange>,
}

impl Output {
    /// Where the next datagram starts in the arena.
    #[must_use]
    pub fn start(&self) -> usize {
        self.arena.len()
    }

    /// What lies in the arena from `start` on is a datagram.
    pub fn finish(&mut self, start: usize, path: Path) {
        self.finish_media(start, path, false);
    }

    /// As [`Self::finish`]; it may be a packet of a picture.
    pub fn finish_media(&mut self, start: usize, path: Path, is_picture: bool) {
        let end = self.arena.len();
        if end > start {
            self.datagrams.push(Datagram { start, end, path, is_picture });
        }
    }

    /// Send these octets.
    pub fn send(&mut self, data: &[u8], path: Path) {
        let start = self.start();
        self.arena.extend_from_slice(data);
        self.finish(start, path);
    }

    /// The octets of a datagram.
    #[must_use]
    pub fn octets(&self, datagram: &Datagram) -> &[u8] {
        &self.arena[datagram.start..datagram.end]
    }

    /// Forget what was sent.
    pub fn clear_datagrams(&mut self) {
        self.arena.clear();
        self.datagrams.clear();
    }
}
