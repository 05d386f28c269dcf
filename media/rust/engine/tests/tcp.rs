//! Lessons over TCP: ICE-TCP passive on the port of UDP (RFC 6544), and what strangers can do to it.

mod common;

use common::far::*;
use common::request_from;
use luokkasilta_engine::command::Command;
use luokkasilta_engine::event::Event;
use luokkasilta_engine::io::admission::MAX_PER_ADDRESS;
use luokkasilta_engine::io::engine::Engine;
use luokkasilta_engine::wire::framing::write_frame;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(50);

fn open(engine: &Engine) -> u64 {
    counter(engine, "tcp_accepted") - counter(engine, "tcp_closed")
}

/// A publisher and a receiver that see each other.
fn lesson(engine: &Engine, shard: usize, base: u64, lines: [Line; 2]) -> [Far; 2] {
    let [publishing, receiving] = lines;
    let mut publisher = Far::join(engine, shard, base + 1, publishing);
    let mut receiver = Far::join(engine, shard, base + 2, receiving);
    publisher.publish(engine, base);
    receiver.play(engine, base);
    flows(&mut publisher, &mut receiver);
    [publisher, receiver]
}

/// A TCP connection from a certain address, and port where one is given.
fn tcp_from(from: SocketAddr, to: SocketAddr) -> Option<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(to), socket2::Type::STREAM, None).ok()?;
    socket.bind(&from.into()).ok()?;
    socket.connect(&to.into()).ok()?;
    Some(socket.into())
}

#[test]
fn a_lesson_over_tcp_by_ipv4_and_ipv6() {
    let engine = engine(&["127.0.0.1:0", "[::1]:0"], 1);
    for (base, &to) in [10, 20].into_iter().zip(engine.local()) {
        lesson(&engine, 0, base, [Line::tcp(to), Line::tcp(to)]);
    }
}

#[test]
fn udp_and_tcp_meet_in_one_lesson_whichever_of_three_shards_it_is_on() {
    let engine = engine(&["127.0.0.1:0", "[::1]:0"], 3);
    let [v4, v6] = [engine.local()[0], engine.local()[1]];
    let mut kept = Vec::new();
    for n in 0..12 {
        let lines = match n % 4 {
            0 => [Line::tcp(v4), Line::udp(v4)],
            1 => [Line::udp(v4), Line::tcp(v4)],
            2 => [Line::tcp(v6), Line::tcp(v4)],
            _ => [Line::tcp(v4), Line::udp(v6)],
        };
        kept.extend(lesson(&engine, n % 3, 10 * (n as u64 + 1), lines));
    }
    assert_eq!(open(&engine), 15);
    assert_eq!(counter(&engine, "handovers_dropped"), 0);
}

#[test]
fn one_address_and_port_over_udp_and_over_tcp_are_two_peers() {
    let engine = engine(&["127.0.0.1:0"], 3);
    let to = engine.local()[0];
    // A free UDP port is not always a free TCP port.
    let (udp, tcp) = (0..50)
        .find_map(|_| {
            let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
            let tcp = tcp_from(udp.local_addr().expect("an address"), to)?;
            Some((udp, tcp))
        })
        .expect("a port that is free for both");
    assert_eq!(tcp.local_addr().expect("an address"), udp.local_addr().expect("an address"));
    let mut pupil = Far::join(&engine, 2, 2, Line::Udp(udp, to));
    let mut other = Far::join(&engine, 2, 3, Line::of(tcp));
    let mut publisher = Far::join(&engine, 2, 1, Line::udp(to));
    publisher.publish(&engine, 5);
    pupil.play(&engine, 5);
    other.play(&engine, 5);
    for _ in 0..3 {
        // Nothing of the one's comes to the other: it would not be authentic there.
        flows(&mut publisher, &mut pupil);
        flows(&mut publisher, &mut other);
    }
    drop(engine.drain());
    for far in [&mut pupil, &mut other] {
        let peer = far.peer;
        far.line.send(&[22, 254, 253, peer as u8]);
        eventually("heard as itself", || {
            engine.drain().iter().any(|event| {
                matches!(event, Event::DtlsReceived { peer: who, data } if *who == peer && data[3] == peer as u8)
            })
        });
    }
}

#[test]
fn octets_may_come_one_by_one_or_all_at_once() {
    let engine = engine(&["127.0.0.1:0"], 2);
    let mut far = Far::add(&engine, 1, 1, Line::tcp(engine.local()[0]));
    let mut frames = Vec::new();
    write_frame(&mut frames, &far.check(true)).expect("not too long");
    let Line::Tcp(stream, _) = &mut far.line else { panic!("TCP") };
    for octet in &frames {
        stream.write_all(&[*octet]).expect("sent");
    }
    assert!(far.line.receive(PATIENCE).is_some(), "the check is answered");
    // A second connection brings its first check and what follows in one piece; all of it reaches the owner.
    far.line = Line::tcp(engine.local()[0]);
    let mut frames = Vec::new();
    write_frame(&mut frames, &far.check(true)).expect("not too long");
    for n in 0..20 {
        write_frame(&mut frames, &[22, 254, 253, n]).expect("not too long");
    }
    let Line::Tcp(stream, _) = &mut far.line else { panic!("TCP") };
    drop(engine.drain());
    stream.write_all(&frames).expect("sent");
    let mut heard = Vec::new();
    eventually("all twenty are heard", || {
        heard.extend(engine.drain().into_iter().filter_map(|event| match event {
            Event::DtlsReceived { peer: 1, data } => Some(data[3]),
            _ => None,
        }));
        heard.len() >= 20
    });
    assert_eq!(heard, (0..20).collect::<Vec<u8>>());
}

#[test]
fn a_slow_reader_loses_whole_frames_and_slows_nobody() {
    let engine = engine(&["127.0.0.1:0"], 1);
    let to = engine.local()[0];
    let [mut publisher, mut slow] = lesson(&engine, 0, 10, [Line::udp(to), Line::tcp(to)]);
    let mut quick = Far::join(&engine, 0, 13, Line::udp(to));
    let mut other = Far::join(&engine, 0, 14, Line::tcp(to));
    for far in [&quick, &other] {
        far.play(&engine, 10);
    }
    flows(&mut publisher, &mut quick);
    flows(&mut publisher, &mut other);
    while slow.receive_picture(SOON).is_some() {}

    // More than the kernel's buffers of both ends (4 MiB and 6 MiB at most, on Linux) and ours hold.
    let first = publisher.send_picture(1_000);
    let mut sent = 1_u64;
    let started = Instant::now();
    let mut longest = Duration::ZERO;
    while counter(&engine, "tcp_send_buffer_full") < 500 {
        assert!(started.elapsed() < 3 * PATIENCE, "the buffer never fills");
        let number = publisher.send_picture(1_000);
        sent += 1;
        let at = Instant::now();
        for far in [&mut quick, &mut other] {
            while far.receive_picture(PATIENCE).expect("a packet for those who read") != number {}
        }
        longest = longest.max(at.elapsed());
    }
    assert!(longest < PATIENCE / 4, "others waited {longest:?}");

    // The slow one wakes up. Everything it finds is a whole, authentic frame; some are missing.
    let mut numbers = Vec::new();
    while let Some(number) = slow.receive_picture(4 * SOON) {
        numbers.push(number);
    }
    let dropped = counter(&engine, "tcp_send_buffer_full");
    assert_eq!(numbers[0], first);
    assert!(numbers.is_sorted(), "in order");
    let media_dropped = sent - numbers.len() as u64;
    assert!(
        media_dropped <= dropped && media_dropped + 100 > dropped,
        "{media_dropped} of {dropped} dropped"
    );
    // It goes on as if nothing had been.
    flows(&mut publisher, &mut slow);
}

#[test]
fn garbage_is_closed_and_the_lesson_goes_on() {
    let engine = engine(&["127.0.0.1:0"], 2);
    let to = engine.local()[0];
    let [mut publisher, mut receiver] = lesson(&engine, 1, 10, [Line::tcp(to), Line::tcp(to)]);
    let frame = |data: &[u8]| {
        let mut frame = Vec::new();
        write_frame(&mut frame, data).expect("not too long");
        frame
    };
    let stranger = {
        let mut request = Vec::new();
        request_from(&mut request, 1, b"nobody:far").ice_controlling(1).finish(None);
        frame(&request)
    };
    let malformed: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n".to_vec(),
        vec![0xff; 5_000],
        vec![0; 200],
        // A TLS ClientHello, which looks like a frame of 5,635 octets.
        vec![22, 3, 1, 0, 200, 1, 0],
        frame(&[22, 254, 253, 0]),
        frame(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]),
        [stranger.clone(), frame(&[0x80; 40])].concat(),
    ];
    let count = malformed.len() as u64;
    for octets in &malformed {
        let mut stream = TcpStream::connect(to).expect("connected");
        stream.write_all(octets).expect("sent");
        let mut line = Line::of(stream);
        eventually("closed", || line.is_closed());
        flows(&mut publisher, &mut receiver);
    }
    assert_eq!(counter(&engine, "tcp_malformed"), count);
    // Half a frame and gone; a stranger's check alone is not answered, and waits for its time to run out.
    for octets in [&stranger[..stranger.len() / 2], &stranger[..1]] {
        TcpStream::connect(to).expect("connected").write_all(octets).expect("sent");
    }
    eventually("gone", || open(&engine) == 2);
    let mut line = Line::of(TcpStream::connect(to).expect("connected"));
    let Line::Tcp(stream, _) = &mut line else { panic!("TCP") };
    stream.write_all(&stranger).expect("sent");
    assert_eq!(line.receive(4 * SOON), None);
    assert!(!line.is_closed());
    assert_eq!(counter(&engine, "tcp_malformed"), count);
    flows(&mut publisher, &mut receiver);
}

#[test]
fn garbage_after_a_check_is_dropped_and_a_broken_frame_ends_the_connection() {
    let engine = engine(&["127.0.0.1:0"], 1);
    let to = engine.local()[0];
    let [mut publisher, mut receiver] = lesson(&engine, 0, 10, [Line::tcp(to), Line::tcp(to)]);
    for garbage in [&[0x80; 40][..], &[0; 20], &[77; 300], &[0x90, 200, 0, 0]] {
        publisher.line.send(garbage);
    }
    flows(&mut publisher, &mut receiver);
    assert_eq!(open(&engine), 2);
    let Line::Tcp(stream, _) = &mut publisher.line else { panic!("TCP") };
    stream.write_all(&[0xff; 4]).expect("sent");
    eventually("closed", || publisher.line.is_closed());
    assert_eq!(counter(&engine, "tcp_malformed"), 1);
    // It connects anew and goes on.
    publisher.line = Line::tcp(to);
    publisher.connect(true);
    flows(&mut publisher, &mut receiver);
}

#[test]
fn a_flood_from_one_address_leaves_room_for_others_and_runs_out() {
    let engine = engine(&["127.0.0.1:0"], 2);
    let to = engine.local()[0];
    let from = |last| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0);
    let flood: Vec<_> =
        (0..MAX_PER_ADDRESS + 44).map(|_| tcp_from(from(9), to).expect("connected")).collect();
    eventually("the rest are refused", || counter(&engine, "tcp_refused_address") == 44);
    assert_eq!(open(&engine), MAX_PER_ADDRESS as u64);
    let line = |last| Line::of(tcp_from(from(last), to).expect("connected"));
    let [mut publisher, mut receiver] = lesson(&engine, 0, 10, [line(2), line(3)]);
    // None of them says anything, so all are closed in time, and the address may come again.
    let started = Instant::now();
    eventually("closed", || counter(&engine, "tcp_unauthenticated") == MAX_PER_ADDRESS as u64);
    assert!(started.elapsed() < Duration::from_secs(15));
    assert_eq!(open(&engine), 2);
    let mut again = Far::join(&engine, 1, 20, line(9));
    drop(flood);
    flows(&mut publisher, &mut receiver);
    again.connect(true);
    assert_eq!(counter(&engine, "tcp_refused_full"), 0);
}

#[test]
fn a_proven_connection_stays_and_a_silent_one_does_not() {
    let engine = engine(&["127.0.0.1:0"], 1);
    let to = engine.local()[0];
    let [mut publisher, mut receiver] = lesson(&engine, 0, 10, [Line::tcp(to), Line::tcp(to)]);
    let mut silent = Line::tcp(to);
    std::thread::sleep(Duration::from_secs(4));
    assert!(!silent.is_closed(), "it has five seconds");
    eventually("closed", || silent.is_closed());
    assert_eq!(counter(&engine, "tcp_unauthenticated"), 1);
    flows(&mut publisher, &mut receiver);
}

#[test]
fn a_half_closed_connection_is_closed_and_the_peer_goes_on_over_udp() {
    let engine = engine(&["127.0.0.1:0"], 2);
    let to = engine.local()[0];
    let [mut publisher, mut receiver] = lesson(&engine, 0, 10, [Line::tcp(to), Line::udp(to)]);
    // The receiver's browser has tried UDP, and prefers TCP for some reason; media goes there.
    let udp = std::mem::replace(&mut receiver.line, Line::tcp(to));
    receiver.connect(true);
    flows(&mut publisher, &mut receiver);
    let mut tcp = std::mem::replace(&mut receiver.line, udp);
    while receiver.receive_picture(SOON).is_some() {}
    let Line::Tcp(stream, _) = &tcp else { panic!("TCP") };
    stream.shutdown(Shutdown::Write).expect("half-closed");
    eventually("closed", || tcp.is_closed());
    // Over UDP at once: no check has come since.
    flows(&mut publisher, &mut receiver);
}

#[test]
fn a_connection_that_breaks_is_followed_by_the_next() {
    let engine = engine(&["127.0.0.1:0"], 3);
    let to = engine.local()[0];
    let [mut publisher, mut receiver] = lesson(&engine, 2, 10, [Line::tcp(to), Line::tcp(to)]);
    for _ in 0..5 {
        for far in [&mut publisher, &mut receiver] {
            // Dropped with octets unread, so that the engine sees a reset.
            far.line = Line::tcp(to);
            far.connect(true);
        }
        flows(&mut publisher, &mut receiver);
    }
    eventually("only the last are open", || open(&engine) == 2);
    assert_eq!(counter(&engine, "tcp_unauthenticated"), 0);
}

#[test]
fn with_a_peer_go_its_connections() {
    let engine = engine(&["127.0.0.1:0"], 2);
    let to = engine.local()[0];
    let mut far = Far::join(&engine, 1, 1, Line::tcp(to));
    engine.post(Command::SendDtls(1, vec![21, 254, 253, 1])).expect("room");
    engine.post(Command::RemovePeer(1)).expect("room");
    let mut last = None;
    while let Some(data) = far.line.receive(PATIENCE) {
        last = Some(data);
    }
    assert_eq!(last, Some(vec![21, 254, 253, 1]), "what was sent before still comes");
    eventually("closed", || far.line.is_closed() && open(&engine) == 0);
}

#[test]
fn a_peer_has_a_bounded_number_of_connections() {
    let engine = engine(&["127.0.0.1:0"], 1);
    let to = engine.local()[0];
    let mut far = Far::join(&engine, 0, 1, Line::tcp(to));
    let mut lines = Vec::new();
    for _ in 0..40 {
        lines.push(std::mem::replace(&mut far.line, Line::tcp(to)));
        far.connect(true);
    }
    eventually("the oldest are closed", || open(&engine) == 16);
    assert!(lines[0].is_closed());
    far.connect(true);
}

#[test]
fn closing_the_engine_closes_the_port_and_the_connections() {
    let engine = engine(&["127.0.0.1:0"], 2);
    let to = engine.local()[0];
    let mut far = Far::join(&engine, 1, 1, Line::tcp(to));
    engine.close();
    eventually("closed", || far.line.is_closed());
    assert!(TcpStream::connect(to).is_err());
    // The port can be had again at once, whatever TCP remembers of it.
    let again = Engine::start(&[to], 1).expect("the same port");
    Far::join(&again, 0, 1, Line::tcp(to));
}
