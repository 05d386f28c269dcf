//! What the fuzz targets do with their input: read it, and hold what was read to what must be true of it.
//!
//! ```text
//! fuzz_targets/*.rs (libFuzzer) --+
//!                                 +--> TARGETS: one function each --> wire, srtp, ice, shard
//! ../tests/corpus.rs (replay) ----+
//!        corpus/<target>/
//! ```
//!
//! A corpus has `seed-*`, which examples/seeds.rs makes; `reached-*`, small inputs of a long run, the few that reach
//! most of what the seeds do not; and `found-*`, each named after what it once found.
//!
//! A target panics where something is wrong, and is otherwise silent.

mod dependency;
mod engine;
mod framing;
mod payload;
mod red;
mod rtcp;
mod rtp;
pub mod seeds;
mod srtp;
mod stun;

pub use dependency::dependency;
pub use engine::{lesson, run as engine};
pub use framing::framing;
pub use payload::{h264, vp8, vp9};
pub use red::red;
pub use rtcp::rtcp;
pub use rtp::{extensions, rtp};
pub use srtp::srtp_open;
pub use stun::stun;

/// A target: its input is whatever it is.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus folder.
pub const TARGETS: [(&str, Target); 12] = [
    ("stun", stun),
    ("rtp", rtp),
    ("extensions", extensions),
    ("rtcp", rtcp),
    ("vp8", vp8),
    ("vp9", vp9),
    ("dependency", dependency),
    ("h264", h264),
    ("red", red),
    ("framing", framing),
    ("srtp_open", srtp_open),
    ("engine", engine),
];
