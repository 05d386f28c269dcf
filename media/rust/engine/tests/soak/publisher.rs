//! One source as a browser sends it: frames by its own clock, sender reports, answers to NACK and to requests for
//! key frames. Every packet says at its end which one it is.

use super::common::{Remote, picture_fields, voice_fields, vp8};
use super::line::Random;
use luokkasilta_engine::time::{Micros, NtpEpoch};
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::rtcp;
use luokkasilta_engine::wire::rtp::HeaderFields;
use std::collections::VecDeque;

/// Packets kept to be sent again.
const KEPT: usize = 128;
const KEY_FRAME_US: i64 = 300_000;
const IDENTITY: usize = 11;

/// Which packet of which source one is; stands in the last octets of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub source: u32,
    /// Counts the source's packets.
    pub number: u32,
    /// Counts its frames, modulo 2^16.
    pub frame: u16,
    pub begins_key_frame: bool,
}

impl Identity {
    fn octets(self) -> [u8; IDENTITY] {
        let mut octets = [0; IDENTITY];
        octets[..4].copy_from_slice(&self.source.to_be_bytes());
        octets[4..8].copy_from_slice(&self.number.to_be_bytes());
        octets[8..10].copy_from_slice(&self.frame.to_be_bytes());
        octets[10] = u8::from(self.begins_key_frame);
        octets
    }

    pub fn of(payload: &[u8]) -> Self {
        let octets = payload.last_chunk::<IDENTITY>().expect("an identity");
        let word = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().expect("four"));
        Self {
            source: word(0),
            number: word(4),
            frame: u16::from_be_bytes([octets[8], octets[9]]),
            begins_key_frame: octets[10] == 1,
        }
    }
}

/// How a source sends.
#[derive(Clone, Copy)]
pub struct Rhythm {
    pub media: Media,
    /// Between frames, by its own clock.
    pub frame_us: i64,
    pub packets: u16,
    pub clock: OwnClock,
}

/// The one clock of a publisher: right when it joined, and fast by so many parts of a million.
#[derive(Clone, Copy)]
pub struct OwnClock {
    pub zero: Micros,
    pub fast_ppm: i64,
}

impl OwnClock {
    /// What it says when the server's says `now`.
    fn at(&self, now: Micros) -> Micros {
        now.plus(now.since(self.zero) * self.fast_ppm / 1_000_000)
    }
}

struct Kept {
    fields: HeaderFields,
    plain: Vec<u8>,
    protected: Vec<u8>,
}

pub struct Stream {
    pub source: u64,
    pub ssrc: u32,
    rhythm: Rhythm,
    /// By its own clock.
    began_at: Micros,
    frames: i64,
    /// Extended sequence numbers of the next packet and the next retransmission.
    index: u64,
    rtx_index: u64,
    first_timestamp: u32,
    picture: u16,
    key_wanted: bool,
    key_at: Micros,
    silent_until: i64,
    kept: VecDeque<Kept>,
    pub sent: u64,
    octets: u32,
}

impl Stream {
    /// One that begins near all its wraps.
    pub fn new(source: u64, ssrc: u32, rhythm: Rhythm, now: Micros) -> Self {
        Self {
            source,
            ssrc,
            rhythm,
            began_at: rhythm.clock.at(now),
            frames: 0,
            index: 32_000,
            rtx_index: 32_700,
            first_timestamp: u32::MAX - 1_000_000,
            picture: 0x7f00,
            key_wanted: true,
            key_at: Micros(0),
            silent_until: 0,
            kept: VecDeque::new(),
            sent: 0,
            octets: 0,
        }
    }

    pub fn is_picture(&self) -> bool {
        self.rhythm.media == Media::Video
    }

    /// By its own clock since it began, when the server's says `now`.
    fn elapsed_us(&self, now: Micros) -> i64 {
        self.rhythm.clock.at(now).since(self.began_at)
    }

    fn timestamp(&self, elapsed_us: i64) -> u32 {
        let rate = if self.is_picture() { 90 } else { 48 };
        self.first_timestamp.wrapping_add((elapsed_us * rate / 1_000) as u32)
    }

    /// The packets of the frames that are due.
    pub fn turn(&mut self, now: Micros, remote: &mut Remote, random: &mut Random, out: &mut Vec<Vec<u8>>) {
        while self.frames * self.rhythm.frame_us <= self.elapsed_us(now) {
            let frame = self.frames;
            self.frames += 1;
            if self.is_picture() {
                self.picture(frame, now, remote, out);
                continue;
            }
            // A voice pauses between sentences, and says nothing in a pause (DTX).
            if frame >= self.silent_until && random.below(300) == 0 {
                self.silent_until = frame + 5 + random.below(20) as i64;
            }
            if frame >= self.silent_until {
                self.voice(frame, remote, out);
            }
        }
    }

    fn picture(&mut self, frame: i64, now: Micros, remote: &mut Remote, out: &mut Vec<Vec<u8>>) {
        let is_key = self.key_wanted && now.since(self.key_at) >= KEY_FRAME_US;
        if is_key {
            self.key_wanted = false;
            self.key_at = now;
        }
        let timestamp = self.timestamp(frame * self.rhythm.frame_us);
        for part in 0..self.rhythm.packets {
            let begins_key_frame = is_key && part == 0;
            let identity = self.identity(frame, begins_key_frame);
            let body = [&[0x5a; 40][..], &identity.octets()].concat();
            let payload = vp8(self.picture, frame as u8, is_key, part == 0, &body);
            let last = part + 1 == self.rhythm.packets;
            let fields = picture_fields(self.ssrc, self.index as u16, timestamp, last);
            self.send(fields, payload, remote, out);
        }
        self.picture = (self.picture + 1) & 0x7fff;
    }

    fn voice(&mut self, frame: i64, remote: &mut Remote, out: &mut Vec<Vec<u8>>) {
        let timestamp = self.timestamp(frame * self.rhythm.frame_us);
        let identity = self.identity(frame, false);
        let payload = [&[0x77; 30][..], &identity.octets()].concat();
        self.send(voice_fields(self.ssrc, self.index as u16, timestamp), payload, remote, out);
    }

    fn identity(&self, frame: i64, begins_key_frame: bool) -> Identity {
        let source = u32::try_from(self.source).expect("a small name");
        Identity { source, number: self.index as u32, frame: frame as u16, begins_key_frame }
    }

    fn send(&mut self, fields: HeaderFields, plain: Vec<u8>, remote: &mut Remote, out: &mut Vec<Vec<u8>>) {
        let level = (!self.is_picture()).then_some(30);
        let protected = remote.protect(&fields, self.index, &plain, level, None);
        self.index += 1;
        self.sent += 1;
        self.octets = self.octets.wrapping_add(plain.len() as u32);
        out.push(protected.clone());
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept { fields, plain, protected });
    }

    pub fn want_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// Again what the server misses: a picture's packet as RTX on the next SSRC, a voice's as it was.
    pub fn send_again(&mut self, sequence: u16, remote: &mut Remote, out: &mut Vec<Vec<u8>>) {
        let Some(kept) = self.kept.iter().find(|kept| kept.fields.sequence == sequence) else { return };
        if !self.is_picture() {
            out.push(kept.protected.clone());
            return;
        }
        let index = self.rtx_index;
        self.rtx_index += 1;
        let fields =
            HeaderFields { payload_type: 97, sequence: index as u16, ssrc: self.ssrc + 1, ..kept.fields };
        let payload = [&sequence.to_be_bytes()[..], &kept.plain].concat();
        out.push(remote.protect(&fields, index, &payload, None, None));
    }

    /// A sender report by its own clock, which is an hour off the server's.
    pub fn report(&self, compound: &mut Vec<u8>, now: Micros) {
        let own_clock = self.rhythm.clock.at(now).plus(3_600 * Micros::SECOND);
        let info = rtcp::SenderInfo {
            ssrc: self.ssrc,
            ntp: own_clock.to_ntp(NtpEpoch(3_800_000_000_000_000)),
            rtp_timestamp: self.timestamp(self.elapsed_us(now)),
            packets: self.sent as u32,
            octets: self.octets,
        };
        rtcp::write_sender_report(compound, &info, &[]);
    }
}
