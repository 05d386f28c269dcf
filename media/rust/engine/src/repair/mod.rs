//! Loss repair (RFC 4585, RFC 4588): what a publisher's packets leave missing is asked for again, and what a receiver
//! misses is sent again, from caches that are bounded in time and octets.
//!
//! ```text
//! publisher --gap--> lost::Missing --NACK--> publisher --RTX--> taken in like any packet
//!                    tail::Tail: the end of a picture that is overdue
//!                    cache::PacketCache (per layer of a picture, plain)
//! receiver --NACK--> sent::SentPictures --> cache --RTX--> receiver      at most what budget::Budget gives
//!                    sent::SentVoices (the very octets) --> receiver
//!                    echo::Echoes: on a bad line once more, a moment later
//!                    redundancy::Redundancy (RFC 2198), earlier frames along with each --> receiver that loses much
//! publisher --redundant audio--> recovered::FrameOrder says which missing packet an earlier frame was
//! ```

pub mod budget;
pub mod cache;
pub mod echo;
pub mod lost;
pub mod recovered;
pub mod redundancy;
pub mod sent;
pub mod tail;

use crate::time::Micros;

/// How long a packet is worth repairing: what comes later is not played any more.
pub const WORTH_US: i64 = Micros::SECOND;
