//! The yardstick: what the machine asks for encrypting and sending a lesson's packets, and nothing else.
//!
//! Reads one line of JSON: {"receivers": [{"port", "key", "salt"}], "segments": true}, says {"ready": true}, and
//! sends until its standard input ends. Each frame is copied, given its header, encrypted for every receiver and
//! sent; so is each voice packet. With `segments` the 6 packets of a frame leave in one UDP_SEGMENT message.

use std::io::{self, BufRead, Read};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use luokkasilta_bench_load::net::{self, Outgoing, now_ns};
use luokkasilta_bench_load::publisher::{AUDIO_NS, AUDIO_OCTETS, BURST, FRAME_NS, VIDEO_OCTETS};
use luokkasilta_bench_load::rtp::{Fields, Trailer};
use luokkasilta_bench_load::srtp::{Cipher, Master, TAG};
use serde::Deserialize;

const SEND_BUFFER: i32 = 4 << 20;

#[derive(Deserialize)]
struct Receiver {
    port: u16,
    key: [u8; 16],
    salt: [u8; 12],
}

#[derive(Deserialize)]
struct Plan {
    receivers: Vec<Receiver>,
    segments: bool,
}

struct Bare {
    socket: UdpSocket,
    receivers: Vec<(SocketAddrV4, Cipher)>,
    segments: bool,
    arena: Vec<u8>,
    video: u64,
    audio: u64,
}

impl Bare {
    fn frame(&mut self) -> io::Result<usize> {
        let plain: Vec<(Vec<u8>, usize, u64)> = (0..BURST)
            .map(|at| {
                let packet = packet(true, self.video + at, at + 1 == BURST, VIDEO_OCTETS);
                (packet.0, packet.1, self.video + at)
            })
            .collect();
        self.video += BURST;
        self.send(&plain)
    }

    fn voice(&mut self) -> io::Result<usize> {
        let (packet, header) = packet(false, self.audio, false, 20 + AUDIO_OCTETS);
        self.audio += 1;
        self.send(&[(packet, header, self.audio - 1)])
    }

    fn send(&mut self, plain: &[(Vec<u8>, usize, u64)]) -> io::Result<usize> {
        let octets = plain[0].0.len() + TAG;
        let group = if self.segments { plain.len() } else { 1 };
        self.arena.resize(self.receivers.len() * plain.len() * octets, 0);
        let mut room = self.arena.chunks_exact_mut(octets);
        let mut messages = Vec::with_capacity(self.receivers.len() * plain.len() / group);
        for (number, (to, cipher)) in self.receivers.iter().enumerate() {
            for (packet, header, index) in plain {
                let room = room.next().expect("room for all");
                room[..packet.len()].copy_from_slice(packet);
                cipher.seal(room, *header, *index);
            }
            for at in (0..plain.len()).step_by(group) {
                let begin = (number * plain.len() + at) * octets;
                let segment = (group > 1).then_some(octets as u16);
                messages.push(Outgoing { to: *to, octets: begin..begin + group * octets, segment });
            }
        }
        net::send_all(&self.socket, &self.arena, &messages)
    }
}

/// A plain packet as the publisher of `load` makes it, and its header's octets.
fn packet(video: bool, counter: u64, marker: bool, octets: usize) -> (Vec<u8>, usize) {
    let mut packet = Vec::with_capacity(octets);
    let header = Fields {
        marker,
        payload_type: if video { 96 } else { 111 },
        sequence: counter as u16,
        timestamp: counter as u32,
        ssrc: 2 + u32::from(video),
        extensions: &[(1, b"0")],
    }
    .write(&mut packet);
    packet.resize(octets, 0x5a);
    Trailer { video, counter, sent_ns: now_ns() }.write(&mut packet[header..]);
    (packet, header)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let plan: Plan = serde_json::from_str(&line)?;
    let socket = net::socket()?;
    if net::set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER).is_err() {
        net::set(&socket, libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER)?;
    }
    let receivers = plan.receivers.iter().map(|receiver| {
        let cipher = Cipher::new(Master { key: receiver.key, salt: receiver.salt });
        (SocketAddrV4::new(Ipv4Addr::LOCALHOST, receiver.port), cipher)
    });
    let mut bare = Bare {
        socket,
        receivers: receivers.collect(),
        segments: plan.segments,
        arena: Vec::new(),
        video: 0,
        audio: 0,
    };
    let ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ended);
    std::thread::spawn(move || {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        seen.store(true, Ordering::Relaxed);
    });
    println!("{{\"ready\": true}}");
    let (mut video, mut audio, mut unsent) = (now_ns(), now_ns(), 0);
    while !ended.load(Ordering::Relaxed) {
        let now = now_ns();
        if now >= video {
            let messages = bare.receivers.len() * if bare.segments { 1 } else { BURST as usize };
            unsent += messages - bare.frame()?;
            video += FRAME_NS;
        }
        if now >= audio {
            unsent += bare.receivers.len() - bare.voice()?;
            audio += AUDIO_NS;
        }
        std::thread::sleep(Duration::from_nanos(video.min(audio).saturating_sub(now_ns())));
    }
    println!("{{\"unsent\": {unsent}}}");
    Ok(())
}
