//! Key frame requests, collected per publisher.
//!
//! A request to one layer keys all layers of that publisher, so one gate stands for all of a peer's
//! pictures: at most one request in 500 ms goes out, later ones wait for the next turn, and a request
//! that brought no key frame is repeated.

use crate::time::Micros;

/// The shortest time between two requests to one publisher.
pub const MIN_INTERVAL_US: i64 = 500_000;

/// The gate of one publisher: which of its layers are waited for, and when it was asked last.
#[derive(Debug, Default)]
pub struct KeyFrameGate {
    waiting: Vec<u32>,
    asked_at: Option<Micros>,
    /// Streams that began to be waited for.
    pub wanted: u64,
    /// Requests that went out.
    pub sent: u64,
}

impl KeyFrameGate {
    /// Somebody needs a key frame of the stream `ssrc`.
    pub fn want(&mut self, ssrc: u32) {
        if !self.waiting.contains(&ssrc) {
            self.wanted += 1;
            self.waiting.push(ssrc);
        }
    }

    /// A key frame of `ssrc` arrived.
    pub fn arrived(&mut self, ssrc: u32) {
        self.waiting.retain(|&waiting| waiting != ssrc);
    }

    /// `ssrc` is gone; nobody waits for it any more.
    pub fn forget(&mut self, ssrc: u32) {
        self.arrived(ssrc);
    }

    /// The streams to ask now, if it is time; counts as asked. The number of waiting streams is bounded
    /// by the publisher's layers.
    pub fn due(&mut self, now: Micros) -> Option<&[u32]> {
        if self.waiting.is_empty() || self.asked_at.is_some_and(|at| now.since(at) < MIN_INTERVAL_US) {
            return None;
        }
        self.asked_at = Some(now);
        self.sent += 1;
        Some(&self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_becomes_one_request_and_a_repeat() {
        let mut gate = KeyFrameGate::default();
        for _ in 0..100 {
            gate.want(7);
        }
        assert_eq!(gate.due(Micros(0)), Some(&[7][..]));
        gate.want(7);
        assert_eq!(gate.due(Micros(499_999)), None);
        assert_eq!(gate.due(Micros(500_000)), Some(&[7][..]), "nothing came: ask again");
        gate.arrived(7);
        assert_eq!(gate.due(Micros(2_000_000)), None);
        assert_eq!((gate.wanted, gate.sent), (1, 2));
    }

    #[test]
    fn two_layers_share_the_gate() {
        let mut gate = KeyFrameGate::default();
        gate.want(1);
        assert!(gate.due(Micros(0)).is_some());
        gate.want(2);
        assert_eq!(gate.due(Micros(100_000)), None);
        gate.forget(1);
        assert_eq!(gate.due(Micros(500_000)), Some(&[2][..]));
    }
}
