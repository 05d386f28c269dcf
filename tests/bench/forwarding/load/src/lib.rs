//! Load for the forwarding benchmark, in two programs:
//!
//! ```text
//! load   endpoints with real ICE, DTLS and SRTP, told by lines of JSON on standard input
//!          endpoint ── stun, dtls, srtp
//!                   ├─ publisher     sends a picture and a voice, send times inside
//!                   └─ receiver      decrypts, counts, measures, reports (rtp, feedback)
//! bare   the yardstick: encrypts and sends the same packets to the same number of sockets, and nothing else
//! ```
//!
//! It shares no code with the packet engine, so that a mistake there is not made here as well. It is no
//! product: it stops with a message at whatever should not happen on loopback.

pub mod dtls;
pub mod endpoint;
pub mod feedback;
pub mod net;
pub mod publisher;
pub mod receiver;
pub mod rtp;
pub mod srtp;
pub mod stun;
