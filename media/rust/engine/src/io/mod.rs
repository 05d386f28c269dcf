//! The outer shell: sockets, threads and queues around [`crate::shard::Shard`].
//!
//! ```text
//! caller --post--> inbox --+                     +--> sendmmsg
//! recvmmsg (UDP) ----------+                     |
//! accept, read (TCP) ------+--> worker thread ---+--> pending octets --write--> TCP
//!   frames of RFC 4571     |     (one shard)     +--> record queue --> writer thread --> files
//! handover queue ----------+                     +--> event queue --eventfd--> caller
//!                                                +--> record queue --> writer thread --> files
//!    ^-- other workers: datagrams and connections of this one's peers
//! ```
//!
//! Every worker has, for each bound address, a UDP socket and a TCP listener of its own on the one port (SO_REUSEPORT
//! where there are several), and the kernel spreads datagrams and connections over them by address. A datagram of
//! another worker's peer is handed over; a connection is handed over itself, once, with its first check. All sockets
//! are polled in the worker's turn; nothing blocks but poll.
//!
//! Who closes a connection: its other end; the worker, when no check is authenticated in five seconds, when the framing
//! breaks, or when what comes before such a check is not STUN; and the shard, when its peer is removed or has forgotten
//! it for newer pairs. The shard is told of each, and a peer goes on over another pair, where it has one.

pub mod address;
pub mod admission;
mod bind;
mod connection;
mod connections;
pub mod counters;
pub mod directory;
pub mod engine;
mod listener;
pub mod queue;
pub mod recording;
mod segments;
mod socket;
mod waiting;
mod worker;
