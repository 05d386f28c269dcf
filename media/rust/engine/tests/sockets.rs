//! The engine with its threads, on real sockets of the loopback interface, with one shard and with several.

mod common;

use common::{GCM, MID_EXTENSION, request_from, vp8};
use luokkasilta_engine::command::{AddPeer, AddSlot, Command, LayerSpec, Payload, Publish, SetKeys};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::io::engine::{Engine, PostError};
use luokkasilta_engine::srtp::{Inbound, Outbound};
use luokkasilta_engine::types::{Codec, Feed, Media};
use luokkasilta_engine::wire::demux::{self, Packet};
use luokkasilta_engine::wire::rtp::{self, Header};
use luokkasilta_engine::wire::stun;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

fn add(engine: &Engine, shard: usize, peer: u64) -> aws_lc_rs::hmac::Key {
    let pwd = format!("password-of-local-{peer}-0123");
    engine
        .add_peer(
            shard,
            AddPeer {
                peer,
                local_ufrag: format!("local{peer}"),
                local_pwd: pwd.clone(),
                remote_ufrag: "far".to_owned(),
                receive_bitrate: 1_000_000,
            },
        )
        .expect("room");
    let key = |octet: u8| (vec![octet; 16], vec![octet; 12]);
    let (theirs, ours) = (key(peer as u8), key(peer as u8 | 0x80));
    engine
        .post(Command::SetKeys(SetKeys {
            peer,
            profile: GCM,
            receive_key: theirs.0,
            receive_salt: theirs.1,
            send_key: ours.0,
            send_salt: ours.1,
        }))
        .expect("room");
    stun::short_term_key(&pwd)
}

/// Check until it is answered; gives the address that the answer came from.
fn connect(socket: &UdpSocket, to: SocketAddr, peer: u64, key: &aws_lc_rs::hmac::Key) -> SocketAddr {
    let mut request = Vec::new();
    request_from(&mut request, 1, format!("local{peer}:far").as_bytes())
        .ice_controlling(1)
        .use_candidate()
        .finish(Some(key));
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let mut buffer = [0; 2048];
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        socket.send_to(&request, to).expect("sent");
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            if demux::classify(&buffer[..len]) == Packet::Stun {
                return from;
            }
        }
    }
    panic!("no answer from {to}");
}

fn forwards(engine: &Engine, shard: usize, base: u64) {
    let to = engine.local()[0];
    let publisher = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (one, two) = (base + 1, base + 2);
    for (socket, peer) in [(&publisher, one), (&receiver, two)] {
        let key = add(engine, shard, peer);
        assert_eq!(connect(socket, to, peer, &key), to);
    }
    let codec = (Media::Video, Codec::Vp8);
    engine
        .post(Command::Publish(Publish {
            peer: one,
            source: base,
            media: codec.0,
            codec: codec.1,
            mid: "0".to_owned(),
            payload_type: 96,
            rtx_payload_type: None,
            nack: false,
            clock_rate: 90_000,
            layers: vec![LayerSpec { rid: None, ssrc: Some(5), rtx_ssrc: None }],
            mid_extension: None,
            rid_extension: None,
            repaired_rid_extension: None,
            level_extension: None,
        }))
        .expect("room");
    engine
        .post(Command::AddSlot(AddSlot {
            peer: two,
            slot: 0,
            media: codec.0,
            payloads: vec![Payload { codec: codec.1, payload_type: 120, rtx_payload_type: None }],
            mid: "0".to_owned(),
            clock_rate: 90_000,
            ssrc: 6,
            rtx_ssrc: None,
            nack: false,
            mid_extension: Some(MID_EXTENSION),
            level_extension: None,
            send_time_extension: None,
        }))
        .expect("room");
    let feed = Some(Feed { source: base, layer: 0 });
    engine.post(Command::Route { peer: two, slot: 0, media: codec.0, feed }).expect("room");

    let theirs = [one as u8; 16];
    let mut outbound = Outbound::new(GCM, &theirs, &theirs[..12]).expect("keys");
    let ours = [two as u8 | 0x80; 16];
    let mut inbound = Inbound::new(GCM, &ours, &ours[..12]).expect("keys");
    let mut buffer = [0; 2048];
    let until = Instant::now() + PATIENCE;
    for sequence in 0_u16.. {
        assert!(Instant::now() < until, "nothing was forwarded");
        let mut packet = Vec::new();
        let fields = rtp::HeaderFields {
            marker: true,
            payload_type: 96,
            sequence,
            timestamp: u32::from(sequence) * 3_000,
            ssrc: 5,
        };
        rtp::write_header(&mut packet, &fields, &[]).expect("a header");
        let header_len = packet.len();
        packet.extend_from_slice(&vp8(sequence, 0, true, true, &sequence.to_be_bytes()));
        outbound.protect_rtp(&mut packet, 0, header_len, 5, u64::from(sequence)).expect("fresh");
        publisher.send_to(&packet, to).expect("sent");
        let Ok((len, _)) = receiver.recv_from(&mut buffer) else { continue };
        let data = &mut buffer[..len];
        if demux::classify(data) != Packet::Rtp {
            continue;
        }
        let header = Header::parse(data).expect("a header");
        inbound.unprotect_rtp(&header, data).expect("authentic");
        assert_eq!((header.payload_type, header.ssrc), (120, 6));
        return;
    }
}

#[test]
fn one_shard_forwards_over_real_sockets() {
    let engine = Engine::start(&["127.0.0.1:0".parse().expect("an address")], 1).expect("a port");
    forwards(&engine, 0, 10);
    engine.close();
    assert_eq!(engine.post(Command::RemovePeer(11)), Err(PostError::Closed));
}

#[test]
fn three_shards_share_one_port_whichever_thread_receives() {
    let engine = Engine::start(&["127.0.0.1:0".parse().expect("an address")], 3).expect("a port");
    for n in 0..6 {
        forwards(&engine, n % 3, 10 * (n as u64 + 1));
    }
}

#[test]
fn answers_leave_from_the_address_that_was_asked() {
    let engine = Engine::start(&["0.0.0.0:0".parse().expect("an address")], 1).expect("a port");
    let key = add(&engine, 0, 1);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for asked in ["127.0.0.1", "127.0.0.2", "127.3.2.1"] {
        let to = SocketAddr::new(asked.parse().expect("an address"), engine.local()[0].port());
        assert_eq!(connect(&socket, to, 1, &key), to);
    }
}

#[test]
fn a_port_in_use_is_an_error_with_several_shards_too() {
    let first = Engine::start(&["127.0.0.1:0".parse().expect("an address")], 2).expect("a port");
    for shards in [1, 2] {
        let second = Engine::start(first.local(), shards);
        assert_eq!(second.err().map(|error| error.kind()), Some(std::io::ErrorKind::AddrInUse));
    }
}

#[test]
fn dtls_goes_to_the_caller_and_back() {
    let engine = Engine::start(&["127.0.0.1:0".parse().expect("an address")], 1).expect("a port");
    let key = add(&engine, 0, 1);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    connect(&socket, engine.local()[0], 1, &key);
    socket.send_to(&[22, 254, 253, 9], engine.local()[0]).expect("sent");
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < until, "no event");
        let found = engine
            .drain()
            .into_iter()
            .any(|event| matches!(event, Event::DtlsReceived { peer: 1, ref data } if data[3] == 9));
        if found {
            break;
        }
        std::thread::yield_now();
    }
    engine.post(Command::SendDtls(1, vec![22, 254, 253, 8])).expect("room");
    let mut buffer = [0; 64];
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Ok((len, _)) = socket.recv_from(&mut buffer)
            && buffer[..len] == [22, 254, 253, 8]
        {
            return;
        }
    }
    panic!("no datagram");
}
