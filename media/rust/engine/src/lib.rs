//! The packet engine of Luokkasilta. It forwards sound and picture between the endpoints of a lesson and knows no
//! Python, no names of people and no policy: its caller says what plays where.
//!
//! ```text
//! io (sockets, threads, queues)
//!  └─ shard (the state of some lessons: plain, driven by datagrams, commands and the time)
//!      ├─ peer ── ice, srtp
//!      ├─ source ── receive, capture     what a publisher sends
//!      ├─ slot ── seqmap, timeline, picture, temporal     one continuous stream to a receiver
//!      └─ record      what is kept of a source
//! understood (what forwarding reads of a packet, whatever the codec)
//! wire (STUN, RTP, RTCP, payloads: foreign octets to values and back)
//! ```
//!
//! Everything below `io` takes the time as an argument and does no input or output.

#![deny(unsafe_op_in_unsafe_fn)]

// Unit tests share the far end of a peer with the tests beside the crate.
#[cfg(test)]
extern crate self as luokkasilta_engine;

pub mod capture;
pub mod command;
pub mod event;
pub mod fault;
pub mod ice;
pub mod io;
pub mod keyframes;
pub mod loudness;
pub mod output;
pub mod peer;
pub mod picture;
pub mod receive;
pub mod record;
pub mod repair;
pub mod seqmap;
pub mod shard;
pub mod slot;
pub mod source;
pub mod srtp;
pub mod temporal;
#[cfg(test)]
pub(crate) mod testing;
pub mod time;
pub mod timeline;
pub mod types;
pub mod understood;
pub(crate) mod window;
pub mod wire;
