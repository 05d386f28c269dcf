//! One half of a slot as its receiver sees it. It panics at the first thing that a receiver may not see: two packets
//! of one number, a line that breaks, numbers that do not follow, a picture that begins in its middle, time that
//! goes back or leaves the server's clock.

use super::publisher::Identity;
use luokkasilta_engine::repair::lost::Missing;
use luokkasilta_engine::time::Micros;
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::rtp::TimestampUnwrapper;
use luokkasilta_engine::wire::vp8::Descriptor;

const REMEMBERED: u64 = 512;
const MANY: u32 = 6;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Heard {
    index: u64,
    identity: Identity,
    timestamp: u32,
    picture_id: Option<u16>,
}

pub struct Hearing {
    pub media: Media,
    pub missing: Missing,
    heard: Vec<Option<Heard>>,
    pub first: Option<u64>,
    pub highest: u64,
    pub packets: u64,
    pub repaired: u64,
    /// Runs that followed another without a gap.
    pub switches: u64,
    timestamps: TimestampUnwrapper,
    /// A second, its greatest timestamp less clock in microseconds, and how many packets there were.
    second: (i64, i64, u32),
    /// The least and the greatest of these.
    clock: (i64, i64),
    pub key_frame_wanted: bool,
    /// The middle of the last sender report's NTP time, and when it came.
    pub last_report: Option<(u32, Micros)>,
    pub reports: u64,
}

impl Hearing {
    pub fn new(media: Media) -> Self {
        Self {
            media,
            missing: Missing::default(),
            heard: vec![None; REMEMBERED as usize],
            first: None,
            highest: 0,
            packets: 0,
            repaired: 0,
            switches: 0,
            timestamps: TimestampUnwrapper::default(),
            second: (0, i64::MIN, 0),
            clock: (i64::MAX, i64::MIN),
            key_frame_wanted: false,
            last_report: None,
            reports: 0,
        }
    }

    fn place(index: u64) -> usize {
        (index % REMEMBERED) as usize
    }

    fn at(&self, index: u64) -> Option<Heard> {
        self.heard[Self::place(index)].filter(|heard| heard.index == index)
    }

    /// The number that a retransmission's original sequence number stands for.
    pub fn index_of(&self, sequence: u16) -> u64 {
        self.highest.saturating_add_signed(i64::from(sequence.wrapping_sub(self.highest as u16) as i16))
    }

    pub fn on_packet(&mut self, index: u64, timestamp: u32, payload: &[u8], is_again: bool, now: Micros) {
        let identity = Identity::of(payload);
        let picture_id = (self.media == Media::Video)
            .then(|| Descriptor::parse(payload).expect("VP8").picture_id.expect("an id").value);
        let heard = Heard { index, identity, timestamp, picture_id };
        if let Some(before) = self.at(index) {
            // As itself and as a retransmission, in either order; SRTP stands against the rest.
            assert_eq!(before, heard, "two packets of one number");
            return;
        }
        self.repaired += u64::from(is_again);
        self.packets += 1;
        self.first.get_or_insert(index);
        if let Some(before) = index.checked_sub(1).and_then(|before| self.at(before)) {
            self.follow(before, heard);
        }
        if let Some(after) = self.at(index + 1) {
            self.follow(heard, after);
        }
        self.heard[Self::place(index)] = Some(heard);
        if index > self.highest {
            self.highest = index;
            self.on_the_clock(timestamp, now);
        }
        self.missing.on_packet(index, is_again, now);
    }

    /// `b` has the number after `a`'s.
    fn follow(&mut self, a: Heard, b: Heard) {
        let goes_on = a.identity.source == b.identity.source && a.identity.number + 1 == b.identity.number;
        let one_frame = goes_on && a.identity.frame == b.identity.frame;
        let ahead = b.timestamp.wrapping_sub(a.timestamp) as i32;
        if one_frame {
            assert_eq!((a.timestamp, a.picture_id), (b.timestamp, b.picture_id), "one frame: {a:?} {b:?}");
        } else {
            assert!(ahead > 0, "time goes back by {ahead}: {a:?} {b:?}");
            assert_eq!(
                a.picture_id.map(|id| (id + 1) & 0x7fff),
                b.picture_id,
                "pictures follow each other: {a:?} {b:?}"
            );
        }
        if !goes_on {
            self.switches += 1;
            let whole = self.media == Media::Audio || b.identity.begins_key_frame;
            assert!(whole, "a picture begins in its middle: {a:?} {b:?}");
        }
    }

    /// What is least late in a second tells where the half's time stands against the server's, if much came in it.
    fn on_the_clock(&mut self, timestamp: u32, now: Micros) {
        let per_ms = if self.media == Media::Video { 90 } else { 48 };
        let us = self.timestamps.unwrap(timestamp) * 1_000 / per_ms - now.0;
        let second = now.0 / Micros::SECOND;
        if self.second.0 != second {
            let (_, ahead, packets) = std::mem::replace(&mut self.second, (second, i64::MIN, 0));
            if packets >= MANY {
                self.clock.0 = self.clock.0.min(ahead);
                self.clock.1 = self.clock.1.max(ahead);
            }
        }
        self.second.1 = self.second.1.max(us);
        self.second.2 += 1;
    }

    /// By how much the half's time moved against the server's, in microseconds.
    pub fn off_the_clock(&self) -> i64 {
        self.clock.1.saturating_sub(self.clock.0)
    }
}
