//! The outer shell: sockets, threads and queues around [`crate::shard::Shard`].
//!
//! ```text
//! caller --post--> inbox --+                     +--> sendmmsg
//!                          +--> worker thread ---+
//! recvmmsg ----------------+     (one shard)     +--> event queue --eventfd--> caller
//!    other shard's datagrams --> handover queue
//!                                              +--> record queue --> writer thread --> files
//! ```
//!
//! Every worker has a socket of its own on the one port (SO_REUSEPORT where there are several) and the kernel
//! spreads datagrams over them by address; a datagram of another worker's peer is handed over.

pub mod address;
pub mod directory;
pub mod engine;
pub mod queue;
pub mod recording;
mod socket;
mod worker;
