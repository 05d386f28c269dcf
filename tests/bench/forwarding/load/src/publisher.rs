//! The teacher: 1.5 Mbit/s of VP8 in bursts of 6 packets of 1,200 octets, and 50 voice packets a second.

use std::collections::VecDeque;

use serde::Deserialize;

use crate::feedback;
use crate::net::now_ns;
use crate::rtp::{Fields, TRAILER, Trailer};
use crate::srtp::{Srtp, TAG};

/// Packets of a frame.
pub const BURST: u64 = 6;
/// Octets of a picture's packet before encryption, header included.
pub const VIDEO_OCTETS: usize = 1200;
/// Octets of a voice's payload: 40 kbit/s of Opus in frames of 20 ms.
pub const AUDIO_OCTETS: usize = 100;
/// Between frames: 6 x 1,200 octets make 1.5 Mbit/s.
pub const FRAME_NS: u64 = 38_400_000;
/// Between voice packets.
pub const AUDIO_NS: u64 = 20_000_000;
/// A key frame comes by itself after so many frames, about 4 s.
const KEY_FRAMES_EVERY: u64 = 104;
const REPORT_NS: u64 = 1_000_000_000;
/// Octets of the payload descriptor (RFC 7741): X, I with 15 bits, L, T.
const DESCRIPTOR: usize = 6;
/// Remembered for retransmission, about 3 s of pictures.
const REMEMBERED: usize = 512;

/// One stream as the negotiation settled it.
#[derive(Clone, Debug, Deserialize)]
pub struct Stream {
    /// Synchronisation source, as in the offer.
    pub ssrc: u32,
    /// Payload type.
    pub payload_type: u8,
    /// That of retransmissions (RFC 4588), and their SSRC.
    pub repair: Option<(u8, u32)>,
    /// The mid extension's id, and the mid.
    pub mid: Option<(u8, String)>,
    /// The audio level extension's id (RFC 6464).
    pub level: Option<u8>,
    /// The transport sequence number extension's id.
    pub transport: Option<u8>,
}

/// What the publisher did and was asked for.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Counts {
    /// Picture packets sent.
    pub video: u64,
    /// Voice packets sent.
    pub audio: u64,
    /// Key frames sent because somebody asked.
    pub key_frames_asked: u64,
    /// Packets sent again after a NACK.
    pub repeated: u64,
    /// Turns that came more than 5 ms late: the load generator itself did not get its time.
    pub late: u64,
}

struct Medium {
    stream: Stream,
    sequence: u16,
    repair_sequence: u16,
    timestamp: u32,
    packets: u32,
    octets: u32,
    counter: u64,
    remembered: VecDeque<(u16, bool, u32, Vec<u8>)>,
}

impl Medium {
    fn new(stream: Stream) -> Self {
        // Any first numbers do; high ones make the sequence numbers wrap within a run.
        let (sequence, timestamp) = (64_000, 3_000_000_000);
        Self {
            stream,
            sequence,
            repair_sequence: 100,
            timestamp,
            packets: 0,
            octets: 0,
            counter: 0,
            remembered: VecDeque::new(),
        }
    }

    fn packet(&mut self, transport: &mut u16, srtp: &mut Srtp, marker: bool, payload: Vec<u8>) -> Vec<u8> {
        let (kind, ssrc) = (self.stream.payload_type, self.stream.ssrc);
        let packet =
            self.sealed(transport, srtp, (kind, ssrc, self.sequence), marker, self.timestamp, &payload);
        self.packets += 1;
        self.octets += payload.len() as u32;
        if self.stream.repair.is_some() {
            self.remembered.push_back((self.sequence, marker, self.timestamp, payload));
            if self.remembered.len() > REMEMBERED {
                self.remembered.pop_front();
            }
        }
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    fn repeated(&mut self, transport: &mut u16, srtp: &mut Srtp, sequence: u16) -> Option<Vec<u8>> {
        let (kind, ssrc) = self.stream.repair?;
        let (_, marker, timestamp, payload) = self.remembered.iter().find(|packet| packet.0 == sequence)?;
        let (marker, timestamp) = (*marker, *timestamp);
        let payload = [&sequence.to_be_bytes()[..], payload].concat();
        self.repair_sequence = self.repair_sequence.wrapping_add(1);
        Some(self.sealed(transport, srtp, (kind, ssrc, self.repair_sequence), marker, timestamp, &payload))
    }

    fn sealed(
        &self,
        transport: &mut u16,
        srtp: &mut Srtp,
        (payload_type, ssrc, sequence): (u8, u32, u16),
        marker: bool,
        timestamp: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let number = transport.to_be_bytes();
        let mut extensions: Vec<(u8, &[u8])> = Vec::new();
        if let Some((id, mid)) = &self.stream.mid {
            extensions.push((*id, mid.as_bytes()));
        }
        if let Some(id) = self.stream.level {
            extensions.push((id, &[0x80 | 30])); // speaks, 30 dB below the loudest
        }
        if let Some(id) = self.stream.transport {
            extensions.push((id, &number));
            *transport = transport.wrapping_add(1);
        }
        let mut packet = Vec::with_capacity(VIDEO_OCTETS + TAG);
        let fields = Fields { marker, payload_type, sequence, timestamp, ssrc, extensions: &extensions };
        let header = fields.write(&mut packet);
        packet.extend_from_slice(payload);
        srtp.protect(&mut packet, header);
        packet
    }

    fn header_octets(&self) -> usize {
        let mid = self.stream.mid.as_ref().map_or(0, |(_, mid)| 1 + mid.len());
        let octets = mid + self.stream.level.map_or(0, |_| 2) + self.stream.transport.map_or(0, |_| 3);
        12 + if octets > 0 { 4 + octets.next_multiple_of(4) } else { 0 }
    }
}

/// Sends on schedule and answers what it is asked for.
pub struct Publisher {
    video: Medium,
    audio: Medium,
    transport: u16,
    frames: u64,
    next: Option<[u64; 3]>,
    key_frame: bool,
    counts: Counts,
}

impl Publisher {
    /// Silent until `start`.
    pub fn new(video: Stream, audio: Stream) -> Self {
        Self {
            video: Medium::new(video),
            audio: Medium::new(audio),
            transport: 1,
            frames: 0,
            next: None,
            key_frame: true,
            counts: Counts::default(),
        }
    }

    /// Begin to send.
    pub fn start(&mut self) {
        let now = now_ns();
        self.next.get_or_insert([now, now, now]);
    }

    /// Numbers since the last call.
    pub fn take_counts(&mut self) -> Counts {
        std::mem::take(&mut self.counts)
    }

    /// When `turn` has something to do, CLOCK_REALTIME.
    pub fn due_ns(&self) -> Option<u64> {
        self.next.map(|next| next.into_iter().min().expect("three times"))
    }

    /// What is to be sent now.
    pub fn turn(&mut self, srtp: &mut Srtp) -> Vec<Vec<u8>> {
        let now = now_ns();
        let Some([mut video, mut audio, mut report]) = self.next else { return Vec::new() };
        self.counts.late += u64::from(now > video.min(audio) + 5_000_000);
        let mut packets = Vec::new();
        if now >= video {
            self.frame(srtp, &mut packets);
            video += FRAME_NS;
        }
        if now >= audio {
            self.voice(srtp, &mut packets);
            audio += AUDIO_NS;
        }
        if now >= report {
            for medium in [&self.video, &self.audio] {
                let mut packet = feedback::sender_report(
                    medium.stream.ssrc,
                    now,
                    medium.timestamp,
                    medium.packets,
                    medium.octets,
                );
                srtp.protect_rtcp(&mut packet);
                packets.push(packet);
            }
            report += REPORT_NS;
        }
        self.next = Some([video, audio, report]);
        packets
    }

    fn frame(&mut self, srtp: &mut Srtp, packets: &mut Vec<Vec<u8>>) {
        let key = self.key_frame || self.frames.is_multiple_of(KEY_FRAMES_EVERY);
        self.key_frame = false;
        let picture = self.frames as u16 | 0x8000;
        for at in 0..BURST {
            let mut payload = vec![0x5a; VIDEO_OCTETS - self.video.header_octets()];
            let start = if at == 0 { 0x10 } else { 0 };
            payload[0] = 0x80 | start;
            payload[1] = 0x80 | 0x40 | 0x20;
            payload[2..4].copy_from_slice(&picture.to_be_bytes());
            payload[4] = self.frames as u8;
            payload[5] = 0;
            if at == 0 {
                // The uncompressed data chunk of RFC 6386 section 9.1, 640x360 where it is a key frame.
                let chunk: &[u8] =
                    if key { &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 2, 0x68, 1] } else { &[0x11, 0, 0] };
                payload[DESCRIPTOR..DESCRIPTOR + chunk.len()].copy_from_slice(chunk);
            }
            let trailer = Trailer { video: true, counter: self.video.counter, sent_ns: now_ns() };
            trailer.write(&mut payload);
            packets.push(self.video.packet(&mut self.transport, srtp, at + 1 == BURST, payload));
            self.video.counter += 1;
            self.counts.video += 1;
        }
        self.frames += 1;
        self.video.timestamp = self.video.timestamp.wrapping_add((FRAME_NS * 90 / 1_000_000) as u32);
    }

    fn voice(&mut self, srtp: &mut Srtp, packets: &mut Vec<Vec<u8>>) {
        let mut payload = vec![0x78; AUDIO_OCTETS];
        let trailer = Trailer { video: false, counter: self.audio.counter, sent_ns: now_ns() };
        debug_assert!(payload.len() > TRAILER);
        trailer.write(&mut payload);
        packets.push(self.audio.packet(&mut self.transport, srtp, false, payload));
        self.audio.counter += 1;
        self.counts.audio += 1;
        self.audio.timestamp = self.audio.timestamp.wrapping_add((AUDIO_NS * 48 / 1_000_000) as u32);
    }

    /// RTCP came, decrypted. Gives what is to be sent again.
    pub fn rtcp(&mut self, compound: &[u8], srtp: &mut Srtp) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for (format, kind, part) in feedback::parts(compound) {
            match (kind, format) {
                (206, 1 | 4) if !self.key_frame => {
                    self.key_frame = true;
                    self.counts.key_frames_asked += 1;
                }
                (205, 1) if part.len() >= 12 => {
                    for pair in part[12..].chunks_exact(4) {
                        let (first, mask) =
                            (u16::from_be_bytes([pair[0], pair[1]]), u16::from_be_bytes([pair[2], pair[3]]));
                        let others =
                            (0..16).filter(|bit| mask >> bit & 1 == 1).map(|bit| first.wrapping_add(bit + 1));
                        for sequence in std::iter::once(first).chain(others) {
                            packets.extend(self.video.repeated(&mut self.transport, srtp, sequence));
                        }
                    }
                }
                _ => {}
            }
        }
        self.counts.repeated += packets.len() as u64;
        packets
    }
}
