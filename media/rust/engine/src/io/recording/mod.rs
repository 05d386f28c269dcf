//! The way of a recording to the disk: one bounded queue, one thread that writes (D7).
//!
//! What was written is with the kernel after [`writer::WRITE_EVERY`] at most, so that the end of this process loses
//! no more than that, and on the disk after about a second, so that a power cut loses hardly more.

pub mod files;
pub mod queue;
pub mod writer;
