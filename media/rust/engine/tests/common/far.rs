//! The far end of a peer on real sockets, over UDP or TCP, against an engine with its threads.

use super::{GCM, MID_EXTENSION, request_from, vp8};
use luokkasilta_engine::command::{AddPeer, AddSlot, Command, LayerSpec, Payload, Publish, SetKeys};
use luokkasilta_engine::io::engine::Engine;
use luokkasilta_engine::srtp::{Inbound, Outbound};
use luokkasilta_engine::types::{Codec, Feed, Media};
use luokkasilta_engine::wire::demux::{self, Packet};
use luokkasilta_engine::wire::framing::{Deframer, write_frame};
use luokkasilta_engine::wire::rtp::{self, Header};
use luokkasilta_engine::wire::stun::{self, Class, Message};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How long a test waits for what must come; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);
const SSRC: u32 = 5;
const SLOT_SSRC: u32 = 6;

/// An engine on these addresses.
pub fn engine(addresses: &[&str], shards: usize) -> Engine {
    let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().expect("an address")).collect();
    Engine::start(&addresses, shards).expect("a port")
}

pub fn counter(engine: &Engine, name: &str) -> u64 {
    let counters = engine.counters().list();
    counters.iter().find(|(other, _)| *other == name).expect("a counter of this name").1
}

/// Wait until the condition holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One way to the engine.
pub enum Line {
    Udp(UdpSocket, SocketAddr),
    Tcp(TcpStream, Deframer),
}

impl Line {
    /// A UDP socket of the address that reaches `to`.
    pub fn udp(to: SocketAddr) -> Self {
        let any = SocketAddr::new(to.ip(), 0);
        Self::Udp(UdpSocket::bind(any).expect("a socket"), to)
    }

    pub fn tcp(to: SocketAddr) -> Self {
        Self::of(TcpStream::connect(to).expect("connected"))
    }

    pub fn of(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("set");
        Self::Tcp(stream, Deframer::new())
    }

    pub fn send(&mut self, data: &[u8]) {
        match self {
            Self::Udp(socket, to) => {
                socket.send_to(data, *to).expect("sent");
            }
            Self::Tcp(stream, _) => {
                let mut frame = Vec::new();
                write_frame(&mut frame, data).expect("not too long");
                stream.write_all(&frame).expect("sent");
            }
        }
    }

    /// The next datagram that comes within the time. Panics where TCP brings anything but whole frames.
    pub fn receive(&mut self, within: Duration) -> Option<Vec<u8>> {
        let until = Instant::now() + within;
        let mut buffer = [0; 4_096];
        loop {
            if let Self::Tcp(_, deframer) = self
                && let Some(frame) = deframer.next_frame()
            {
                return Some(frame.expect("a frame").to_vec());
            }
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
            let received = match self {
                Self::Udp(socket, _) => {
                    socket.set_read_timeout(Some(left)).expect("set");
                    socket.recv(&mut buffer)
                }
                Self::Tcp(stream, _) => {
                    stream.set_read_timeout(Some(left)).expect("set");
                    stream.read(&mut buffer)
                }
            };
            match (received, &mut *self) {
                (Ok(len), Self::Udp(..)) => return Some(buffer[..len].to_vec()),
                (Ok(0), Self::Tcp(..)) => return None,
                (Ok(len), Self::Tcp(_, deframer)) => deframer.push(&buffer[..len]),
                (Err(error), _) => {
                    let late = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted];
                    if !late.contains(&error.kind()) || Instant::now() >= until {
                        return None;
                    }
                }
            }
        }
    }

    /// The engine has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        let Self::Tcp(stream, _) = self else { return false };
        stream.set_read_timeout(Some(Duration::from_millis(5))).expect("set");
        match stream.read(&mut [0; 4_096]) {
            Ok(len) => len == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// The far end of a peer.
pub struct Far {
    pub peer: u64,
    pub line: Line,
    pub key: aws_lc_rs::hmac::Key,
    pub priority: u32,
    outbound: Outbound,
    inbound: Inbound,
    transaction: u8,
    sequence: u16,
}

impl Far {
    /// Add the peer to the engine and give it keys; it is not connected yet.
    pub fn add(engine: &Engine, shard: usize, peer: u64, line: Line) -> Self {
        let pwd = format!("password-of-local-{peer}-0123");
        let (local_ufrag, remote_ufrag) = (format!("local{peer}"), "far".to_owned());
        let spec =
            AddPeer { peer, local_ufrag, local_pwd: pwd.clone(), remote_ufrag, receive_bitrate: 1_000_000 };
        engine.add_peer(shard, spec).expect("room");
        let theirs = (vec![peer as u8; 16], vec![1; 12]);
        let ours = (vec![peer as u8; 16], vec![2; 12]);
        engine
            .post(Command::SetKeys(SetKeys {
                peer,
                profile: GCM,
                receive_key: theirs.0.clone(),
                receive_salt: theirs.1.clone(),
                send_key: ours.0.clone(),
                send_salt: ours.1.clone(),
            }))
            .expect("room");
        Self {
            peer,
            line,
            key: stun::short_term_key(&pwd),
            priority: 1,
            outbound: Outbound::new(GCM, &theirs.0, &theirs.1).expect("keys"),
            inbound: Inbound::new(GCM, &ours.0, &ours.1).expect("keys"),
            transaction: 0,
            sequence: 0,
        }
    }

    /// Add it and connect.
    pub fn join(engine: &Engine, shard: usize, peer: u64, line: Line) -> Self {
        let mut far = Self::add(engine, shard, peer, line);
        far.connect(true);
        far
    }

    pub fn check(&mut self, nominate: bool) -> Vec<u8> {
        self.transaction += 1;
        let mut request = Vec::new();
        let username = format!("local{}:far", self.peer);
        let mut builder =
            request_from(&mut request, self.transaction, username.as_bytes()).ice_controlling(1);
        if nominate {
            builder = builder.use_candidate();
        }
        builder.finish(Some(&self.key));
        request
    }

    /// Check until it is answered.
    pub fn connect(&mut self, nominate: bool) {
        let check = self.check(nominate);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            self.line.send(&check);
            let answered = Instant::now() + Duration::from_millis(500);
            while let Some(data) = self.line.receive(answered.saturating_duration_since(Instant::now())) {
                if let Ok(message) = Message::parse(&data)
                    && message.transaction_id() == [self.transaction; 12]
                {
                    assert_eq!(message.class(), Class::Success);
                    assert!(message.verify_integrity(&self.key));
                    return;
                }
            }
        }
        panic!("peer {} had no answer", self.peer);
    }

    /// Publish a picture as `source`.
    pub fn publish(&self, engine: &Engine, source: u64) {
        self.publish_as(engine, source, SSRC);
    }

    /// Publish a picture with this SSRC, of which nothing will come.
    pub fn publish_as(&self, engine: &Engine, source: u64, ssrc: u32) {
        engine
            .post(Command::Publish(Publish {
                peer: self.peer,
                source,
                media: Media::Video,
                codec: Codec::Vp8,
                mid: "0".to_owned(),
                payload_type: 96,
                rtx_payload_type: None,
                nack: false,
                clock_rate: 90_000,
                layers: vec![LayerSpec { rid: None, ssrc: Some(ssrc), rtx_ssrc: None }],
                mid_extension: None,
                rid_extension: None,
                repaired_rid_extension: None,
                level_extension: None,
                dependency_extension: None,
                red_payload_type: None,
            }))
            .expect("room");
    }

    /// Play `source` in slot 0.
    pub fn play(&self, engine: &Engine, source: u64) {
        let media = Media::Video;
        engine
            .post(Command::AddSlot(AddSlot {
                peer: self.peer,
                slot: 0,
                media,
                payloads: vec![Payload { codec: Codec::Vp8, payload_type: 120, rtx_payload_type: None }],
                mid: "0".to_owned(),
                clock_rate: 90_000,
                ssrc: SLOT_SSRC,
                rtx_ssrc: None,
                nack: false,
                mid_extension: Some(MID_EXTENSION),
                level_extension: None,
                send_time_extension: None,
                dependency_extension: None,
                red_payload_type: None,
            }))
            .expect("room");
        let feed = Some(Feed { source, layer: 0 });
        engine.post(Command::Route { peer: self.peer, slot: 0, media, feed }).expect("room");
    }

    /// Send one packet of the picture, a key frame of `len` octets and more; gives its number.
    pub fn send_picture(&mut self, len: usize) -> u16 {
        let sequence = self.sequence;
        self.sequence += 1;
        let mut packet = Vec::new();
        let fields = rtp::HeaderFields {
            marker: true,
            payload_type: 96,
            sequence,
            timestamp: u32::from(sequence) * 3_000,
            ssrc: SSRC,
        };
        rtp::write_header(&mut packet, &fields, &[]).expect("a header");
        let header_len = packet.len();
        packet.extend_from_slice(&vp8(sequence & 0x7fff, 0, true, true, &vec![0x55; len]));
        packet.extend_from_slice(&sequence.to_be_bytes());
        self.outbound.protect_rtp(&mut packet, 0, header_len, SSRC, u64::from(sequence)).expect("fresh");
        self.line.send(&packet);
        sequence
    }

    /// The next packet of the slot that comes within the time: the number that its publisher gave it. Panics where
    /// a packet is not authentic.
    pub fn receive_picture(&mut self, within: Duration) -> Option<u16> {
        let until = Instant::now() + within;
        while let Some(mut data) = self.line.receive(until.saturating_duration_since(Instant::now())) {
            if demux::classify(&data) != Packet::Rtp {
                continue;
            }
            let header = Header::parse(&data).expect("a header");
            let plain = self.inbound.unprotect_rtp(&header, &mut data).expect("authentic");
            assert_eq!((header.payload_type, header.ssrc), (120, SLOT_SSRC));
            return Some(u16::from_be_bytes([data[plain.len - 2], data[plain.len - 1]]));
        }
        None
    }
}

/// Send packets of `publisher` until one of them reaches `receiver`.
pub fn flows(publisher: &mut Far, receiver: &mut Far) {
    let first = publisher.sequence;
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        publisher.send_picture(100);
        let soon = Instant::now() + Duration::from_millis(50);
        while let Some(number) = receiver.receive_picture(soon.saturating_duration_since(Instant::now())) {
            if number >= first {
                return;
            }
        }
    }
    panic!("nothing of peer {} reached peer {}", publisher.peer, receiver.peer);
}
