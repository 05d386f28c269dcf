//! The engine with its threads, on real UDP sockets of the loopback interface, with one shard and with several.

mod common;

use common::far::*;
use luokkasilta_engine::command::Command;
use luokkasilta_engine::event::Event;
use luokkasilta_engine::io::engine::{Engine, PostError};
use std::net::{IpAddr, SocketAddr, UdpSocket};

fn forwards(engine: &Engine, shard: usize, base: u64) {
    let to = engine.local()[0];
    let mut publisher = Far::join(engine, shard, base + 1, Line::udp(to));
    let mut receiver = Far::join(engine, shard, base + 2, Line::udp(to));
    publisher.publish(engine, base);
    receiver.play(engine, base);
    flows(&mut publisher, &mut receiver);
}

#[test]
fn one_shard_forwards_over_real_sockets() {
    let engine = engine(&["127.0.0.1:0"], 1);
    forwards(&engine, 0, 10);
    engine.close();
    assert_eq!(engine.post(Command::RemovePeer(11)), Err(PostError::Closed));
}

#[test]
fn three_shards_share_one_port_whichever_thread_receives() {
    let engine = engine(&["127.0.0.1:0"], 3);
    for n in 0..6 {
        forwards(&engine, n % 3, 10 * (n as u64 + 1));
    }
}

#[test]
fn ipv6_is_served_as_ipv4_is() {
    let engine = engine(&["127.0.0.1:0", "[::1]:0"], 2);
    let [v4, v6] = engine.local() else { panic!("two addresses") };
    assert!(v4.is_ipv4() && v6.is_ipv6());
    assert_eq!(v4.port(), v6.port());
    let mut publisher = Far::join(&engine, 1, 1, Line::udp(*v6));
    let mut receiver = Far::join(&engine, 1, 2, Line::udp(*v4));
    publisher.publish(&engine, 5);
    receiver.play(&engine, 5);
    flows(&mut publisher, &mut receiver);
    let mut other = Far::join(&engine, 1, 3, Line::udp(*v6));
    other.play(&engine, 5);
    flows(&mut publisher, &mut other);
}

/// Checks are answered and media comes from the address that was asked, of a server that is bound to all.
fn answers_from(engine: &Engine, peer: u64, asked: IpAddr) {
    let to = SocketAddr::new(asked, engine.local()[0].port());
    // Connected, so that the kernel takes nothing but what comes from the address that was asked.
    let any = if asked.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).expect("a socket");
    socket.connect(to).expect("connected");
    let mut receiver = Far::join(engine, 0, peer, Line::Udp(socket, to));
    let mut publisher = Far::join(engine, 0, peer + 1, Line::udp(to));
    publisher.publish(engine, peer);
    receiver.play(engine, peer);
    flows(&mut publisher, &mut receiver);
}

#[test]
fn answers_and_media_leave_from_the_address_that_was_asked() {
    let v4 = engine(&["0.0.0.0:0"], 1);
    for (n, asked) in ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.3.2.1"].into_iter().enumerate() {
        answers_from(&v4, 10 * (n as u64 + 1), asked.parse().expect("an address"));
    }
    let v6 = engine(&["[::]:0"], 1);
    answers_from(&v6, 10, "::1".parse().expect("an address"));
}

#[test]
fn forty_peers_behind_one_address_are_told_apart() {
    let engine = engine(&["127.0.0.1:0"], 2);
    let to = engine.local()[0];
    let mut publisher = Far::join(&engine, 0, 1, Line::udp(to));
    publisher.publish(&engine, 5);
    let mut pupils: Vec<_> = (0..40).map(|n| Far::join(&engine, 0, 100 + n, Line::udp(to))).collect();
    for pupil in &pupils {
        pupil.play(&engine, 5);
    }
    for pupil in &mut pupils {
        flows(&mut publisher, pupil);
    }
    // Each of them is heard as itself.
    drop(engine.drain());
    for pupil in &mut pupils {
        pupil.line.send(&[22, 254, 253, pupil.peer as u8]);
    }
    let mut heard = Vec::new();
    eventually("all forty are heard", || {
        heard.extend(engine.drain().into_iter().filter_map(|event| match event {
            Event::DtlsReceived { peer, data } => Some((peer, data[3])),
            _ => None,
        }));
        heard.len() == 40
    });
    assert!(heard.iter().all(|&(peer, own)| peer as u8 == own));
}

#[test]
fn a_nat_that_changes_the_port_is_followed_with_the_next_check() {
    let engine = engine(&["127.0.0.1:0"], 3);
    let to = engine.local()[0];
    let mut publisher = Far::join(&engine, 1, 1, Line::udp(to));
    let mut receiver = Far::join(&engine, 1, 2, Line::udp(to));
    publisher.publish(&engine, 5);
    receiver.play(&engine, 5);
    flows(&mut publisher, &mut receiver);
    // With and without USE-CANDIDATE: browsers differ in what their consent checks carry.
    for nominate in [false, true, false] {
        for far in [&mut receiver, &mut publisher] {
            far.line = Line::udp(to);
            far.connect(nominate);
        }
        flows(&mut publisher, &mut receiver);
    }
}

#[test]
fn a_port_in_use_is_an_error_with_several_shards_too() {
    let first = engine(&["127.0.0.1:0"], 2);
    for shards in [1, 2] {
        let second = Engine::start(first.local(), shards);
        assert_eq!(second.err().map(|error| error.kind()), Some(std::io::ErrorKind::AddrInUse));
    }
}

#[test]
fn dtls_goes_to_the_caller_and_back() {
    let engine = engine(&["127.0.0.1:0"], 1);
    let mut far = Far::join(&engine, 0, 1, Line::udp(engine.local()[0]));
    far.line.send(&[22, 254, 253, 9]);
    eventually("the datagram is told", || {
        let events = engine.drain();
        events.iter().any(|event| matches!(event, Event::DtlsReceived { peer: 1, data } if data[3] == 9))
    });
    engine.post(Command::SendDtls(1, vec![22, 254, 253, 8])).expect("room");
    while far.line.receive(PATIENCE).expect("a datagram") != [22, 254, 253, 8] {}
}
