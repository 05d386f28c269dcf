//! ICE-lite as the other end sees it, and the border of the engine: what is not a peer's is not heard.

mod common;

use common::*;
use luokkasilta_engine::command::{Command, CommandError, RestartIce};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::output::{AddressChange, ConnectionId, Path};
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::stun::{Class, Message, short_term_key};
use std::net::SocketAddr;

fn answer(bench: &mut Bench) -> Vec<u8> {
    let mut sent = bench.sent();
    assert_eq!(sent.len(), 1);
    sent.remove(0).1
}

fn error_code(bench: &mut Bench) -> Option<u16> {
    let octets = answer(bench);
    Message::parse(&octets).expect("well-formed").error_code()
}

#[test]
fn a_check_is_answered_from_where_it_came_and_nomination_is_told_once() {
    let mut bench = Bench::default();
    let mut remote = Remote::add(&mut bench, 1);
    remote.check(&mut bench, false);
    let octets = answer(&mut bench);
    let message = Message::parse(&octets).expect("well-formed");
    assert_eq!(message.class(), Class::Success);
    assert_eq!(message.xor_mapped_address(), Some(remote.path.remote));
    assert!(message.verify_integrity(&remote.key) && message.has_fingerprint());
    assert!(bench.events().is_empty());
    for _ in 0..2 {
        remote.check(&mut bench, true);
    }
    let connected = bench.events();
    assert_eq!(connected.len(), 1);
    assert!(matches!(connected[0], Event::PeerConnected { peer: 1, .. }));
}

#[test]
fn refused_checks_say_why() {
    let mut bench = Bench::default();
    let mut remote = Remote::add(&mut bench, 1);
    let path = remote.path;
    let username = b"local1:far";

    let mut wrong_password = Vec::new();
    request_from(&mut wrong_password, 1, username)
        .ice_controlling(7)
        .finish(Some(&short_term_key("not the password at all")));
    bench.datagram(&wrong_password, path);
    assert_eq!(error_code(&mut bench), Some(401));

    let mut wrong_name = Vec::new();
    request_from(&mut wrong_name, 2, b"local1:other").ice_controlling(7).finish(Some(&remote.key));
    bench.datagram(&wrong_name, path);
    assert_eq!(error_code(&mut bench), Some(401));

    let mut no_integrity = Vec::new();
    request_from(&mut no_integrity, 3, username).ice_controlling(7).finish(None);
    bench.datagram(&no_integrity, path);
    assert_eq!(error_code(&mut bench), Some(400));

    let mut controlled = Vec::new();
    request_from(&mut controlled, 4, username).ice_controlled(7).finish(Some(&remote.key));
    bench.datagram(&controlled, path);
    assert_eq!(error_code(&mut bench), Some(487));

    assert_eq!(bench.stats()["peers"][0]["checks_refused"], 4);
    assert_eq!(bench.shard.path_of(1), None, "none of them made a pair");
    remote.check(&mut bench, true);
    assert_eq!(bench.shard.path_of(1), Some(path));
}

#[test]
fn a_stranger_is_not_answered() {
    let mut bench = Bench::default();
    let mut remote = Remote::add(&mut bench, 1);
    let check = remote.check_octets(true);
    bench.command(Command::RemovePeer(1));
    bench.datagram(&check, remote.path);
    bench.datagram(&[], remote.path);
    bench.datagram(&[22, 254, 253, 0, 0], remote.path);
    bench.datagram(&[0x80; 40], remote.path);
    assert!(bench.sent().is_empty());
    assert!(bench.events().is_empty());
}

#[test]
fn two_peers_behind_one_address_and_a_port_that_changes_hands() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut two = Remote::join(&mut bench, 2);
    assert_eq!(one.path.remote.ip(), two.path.remote.ip());
    bench.datagram(&[22, 1], one.path);
    bench.datagram(&[22, 2], two.path);
    bench.sent();
    let heard: Vec<_> = bench
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::DtlsReceived { peer, data } => Some((peer, data[1])),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [(1, 1), (2, 2)]);
    // The first page reloads, and the second gets its port.
    two.path = one.path;
    two.check(&mut bench, true);
    bench.sent();
    bench.events();
    bench.datagram(&[22, 3], one.path);
    assert_eq!(bench.events(), [Event::DtlsReceived { peer: 2, data: vec![22, 3] }]);
    one.path.remote = SocketAddr::from(([192, 0, 2, 1], 30_000));
    one.check(&mut bench, true);
    assert_eq!(bench.shard.path_of(1), Some(one.path));
}

/// What a peer receives now, by the port that it is sent to.
fn port_of_media(bench: &mut Bench, remote: &Remote) -> u16 {
    bench.sent();
    bench.command(Command::SendDtls(remote.peer, vec![22]));
    bench.sent().last().expect("sent").0.port()
}

#[test]
fn a_nat_that_changes_the_port_is_followed_with_the_next_check() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    bench.events();
    let before = remote.path.remote.port();
    for (port, nominate) in [(40_001, false), (40_002, true), (40_003, false)] {
        remote.path.remote.set_port(port);
        remote.check(&mut bench, nominate);
        assert_eq!(port_of_media(&mut bench, &remote), port);
        assert!(matches!(bench.events()[..], [Event::PeerConnected { remote, .. }] if remote.port() == port));
        remote.check(&mut bench, false);
        assert!(bench.events().is_empty(), "told once");
    }
    // A packet that was on its way is still the peer's, and changes nothing.
    let mut late = remote.path;
    late.remote.set_port(before);
    bench.datagram(&[22, 1], late);
    assert_eq!(bench.events(), [Event::DtlsReceived { peer: 1, data: vec![22, 1] }]);
    assert_eq!(port_of_media(&mut bench, &remote), 40_003);
}

#[test]
fn a_nat_that_changes_the_address_too_is_followed() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    remote.path.remote = SocketAddr::from(([198, 51, 100, 9], 5_000));
    remote.check(&mut bench, false);
    assert_eq!(bench.shard.path_of(1), Some(remote.path));
}

#[test]
fn a_check_of_another_pair_is_no_change_of_port() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    let first = remote.path;
    // Another interface of the browser, another address of ours, another of our sockets, and TCP.
    remote.priority = 2;
    remote.path.remote.set_port(40_001);
    remote.check(&mut bench, false);
    remote.priority = 1;
    remote.path.local = "127.0.0.9".parse().expect("an address");
    remote.check(&mut bench, false);
    remote.path = Path { socket: 1, ..first };
    remote.path.remote.set_port(40_002);
    remote.check(&mut bench, false);
    remote.path = Path { connection: ConnectionId::new(1), ..first };
    remote.check(&mut bench, false);
    assert_eq!(bench.shard.path_of(1), Some(first));
    remote.check(&mut bench, true);
    assert_eq!(bench.shard.path_of(1), Some(remote.path));
}

#[test]
fn before_a_nomination_no_check_is_taken_for_another() {
    let mut bench = Bench::default();
    let mut remote = Remote::add(&mut bench, 1);
    remote.check(&mut bench, false);
    bench.advance(MS);
    remote.path.remote.set_port(40_001);
    remote.check(&mut bench, false);
    assert!(bench.events().is_empty());
}

#[test]
fn one_address_and_port_over_udp_and_over_tcp_are_two() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let mut two = Remote::add(&mut bench, 2);
    two.path = Path { connection: ConnectionId::new(7), ..one.path };
    two.check(&mut bench, true);
    // The same again in another connection, which is a third.
    let mut three = Remote::add(&mut bench, 3);
    three.path = Path { connection: ConnectionId::new(8), ..one.path };
    three.check(&mut bench, true);
    bench.events();
    for remote in [&one, &two, &three] {
        bench.datagram(&[22, remote.peer as u8], remote.path);
        assert_eq!(
            bench.events(),
            [Event::DtlsReceived { peer: remote.peer, data: vec![22, remote.peer as u8] }]
        );
        assert_eq!(bench.shard.path_of(remote.peer), Some(remote.path));
    }
    let transports: Vec<_> = bench.stats()["peers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|peer| peer["transport"].clone())
        .collect();
    assert_eq!(transports, ["udp", "tcp", "tcp"]);
    one.check(&mut bench, true);
    assert_eq!(bench.shard.path_of(2), Some(two.path), "the UDP peer has taken nothing");
}

#[test]
fn a_closed_connection_is_forgotten_and_another_pair_goes_on() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    let udp = remote.path;
    let connection = ConnectionId::new(7).expect("not zero");
    remote.path = Path { connection: Some(connection), ..udp };
    assert!(!bench.shard.knows_connection(connection));
    remote.check(&mut bench, true);
    assert!(bench.shard.knows_connection(connection));
    assert_eq!(bench.shard.path_of(1), Some(remote.path));
    bench.shard.connection_closed(connection, bench.now, &mut bench.out);
    assert!(!bench.shard.knows_connection(connection));
    assert_eq!(bench.shard.path_of(1), Some(udp));
    // The next check over UDP makes it official.
    bench.events();
    remote.path = udp;
    remote.check(&mut bench, true);
    assert!(matches!(bench.events()[..], [Event::PeerConnected { peer: 1, .. }]));
}

#[test]
fn no_media_falls_back_on_a_pair_whose_consent_has_expired() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    let udp = remote.path;
    let connection = ConnectionId::new(7).expect("not zero");
    remote.path = Path { connection: Some(connection), ..udp };
    for _ in 0..10 {
        remote.check(&mut bench, true);
        bench.advance(3_000 * MS);
    }
    bench.events();
    bench.out.addresses.clear();
    bench.shard.connection_closed(connection, bench.now, &mut bench.out);
    assert_eq!(bench.shard.path_of(1), None);
    assert_eq!(bench.out.addresses, [AddressChange::Forgotten(udp.origin())]);
    bench.datagram(&[22, 1], udp);
    assert!(bench.events().is_empty(), "nor is it heard from there");
    remote.path = udp;
    remote.check(&mut bench, false);
    assert_eq!(bench.shard.path_of(1), Some(udp), "until it checks again");
}

#[test]
fn a_peer_that_goes_takes_its_connections_along() {
    let mut bench = Bench::default();
    let mut remote = Remote::add(&mut bench, 1);
    remote.path.connection = ConnectionId::new(7);
    remote.check(&mut bench, true);
    assert_eq!(bench.out.addresses, [AddressChange::Learnt(remote.path.origin())]);
    bench.out.addresses.clear();
    bench.command(Command::RemovePeer(1));
    assert_eq!(bench.out.addresses, [AddressChange::Forgotten(remote.path.origin())]);
}

#[test]
fn pairs_of_one_peer_are_bounded() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    let first = remote.path;
    for port in 1..100 {
        remote.path.remote.set_port(40_000 + port);
        remote.priority = 2;
        bench.advance(MS);
        remote.check(&mut bench, false);
    }
    assert_eq!(bench.shard.path_of(1), Some(first), "the nominated pair stays");
    bench.events();
    let mut old = first;
    old.remote.set_port(40_001);
    bench.datagram(&[22, 1], old);
    assert!(bench.events().is_empty(), "the oldest were forgotten");
}

#[test]
fn silence_is_told_once_and_ends_with_the_next_check() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    bench.events();
    let quiet = |quiet| Event::PeerQuiet { peer: 1, quiet };
    let after = |bench: &mut Bench, seconds| {
        for _ in 0..seconds {
            bench.advance(1_000 * MS);
        }
        bench.events()
    };
    assert_eq!(after(&mut bench, 29), [quiet(true)]);
    assert_eq!(after(&mut bench, 60), [Event::PeerSilent { peer: 1 }]);
    remote.check(&mut bench, true);
    bench.sent();
    bench.events();
    assert_eq!(after(&mut bench, 40), [quiet(false), quiet(true), Event::PeerSilent { peer: 1 }]);
}

#[test]
fn commands_that_cannot_be_carried_out_say_so() {
    let mut bench = Bench::default();
    let one = Remote::join(&mut bench, 1);
    one.publish_voice(&mut bench, 11, Some(81));
    one.add_pair(&mut bench, 0);
    bench.events();
    let mut failed = |command: &mut dyn FnMut(&mut Bench)| {
        command(&mut bench);
        bench
            .events()
            .into_iter()
            .map(|event| match event {
                Event::CommandFailed { error, .. } => error,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(failed(&mut |bench| one.set_keys(bench)), [CommandError::KeysAlreadySet]);
    assert_eq!(failed(&mut |bench| one.publish_voice(bench, 11, Some(90))), [CommandError::Duplicate]);
    assert_eq!(failed(&mut |bench| one.publish_voice(bench, 12, Some(81))), [CommandError::SsrcUsed]);
    assert_eq!(failed(&mut |bench| one.add_pair(bench, 0)), [CommandError::Duplicate; 2]);
    assert_eq!(failed(&mut |bench| one.route(bench, 0, Media::Video, Some(11))), [CommandError::Mismatch]);
    assert_eq!(
        failed(&mut |bench| one.route(bench, 0, Media::Audio, Some(99))),
        [CommandError::UnknownSource]
    );
    assert_eq!(failed(&mut |bench| one.route(bench, 7, Media::Audio, None)), [CommandError::UnknownSlot]);
    assert_eq!(failed(&mut |bench| bench.command(Command::RemovePeer(5))), [CommandError::UnknownPeer]);
    assert_eq!(
        failed(&mut |bench| {
            Remote::add(bench, 6);
            bench.command(Command::SendDtls(6, vec![22]));
        }),
        [CommandError::NoPath]
    );
}

/// The same peer under the credentials of a restart.
fn restarted(bench: &mut Bench, remote: &mut Remote, ufrag: &str) {
    let pwd = format!("password-after-{ufrag}");
    bench.command(Command::RestartIce(RestartIce {
        peer: remote.peer,
        local_ufrag: ufrag.to_owned(),
        local_pwd: pwd.clone(),
        remote_ufrag: "far".to_owned(),
    }));
    remote.ufrag = ufrag.to_owned();
    remote.key = short_term_key(&pwd);
}

#[test]
fn a_restart_keeps_the_old_path_until_the_new_credentials_nominate_one() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    let old = remote.path;
    let old_check = remote.check_octets(true);
    restarted(&mut bench, &mut remote, "again");
    bench.datagram(&old_check, old);
    assert_eq!(error_code(&mut bench), None, "the old credentials are good until then");

    remote.path.remote = "198.51.100.9:4000".parse().expect("an address");
    remote.check(&mut bench, false);
    answer(&mut bench);
    assert_eq!(bench.shard.path_of(1), Some(old), "not nominated yet");
    remote.check(&mut bench, true);
    answer(&mut bench);
    assert_eq!(bench.shard.path_of(1), Some(remote.path));

    bench.datagram(&old_check, old);
    assert_eq!(error_code(&mut bench), Some(401), "and no longer");
    assert_eq!(bench.shard.path_of(1), Some(remote.path));
    bench.events();
    bench.command(Command::RemovePeer(1));
    remote.check(&mut bench, true);
    assert!(bench.sent().is_empty() && bench.events().is_empty(), "nothing of it is left");
}

#[test]
fn a_check_that_somebody_recorded_moves_nothing() {
    let mut bench = Bench::default();
    let mut remote = Remote::join(&mut bench, 1);
    let recorded = remote.check_octets(true);
    bench.datagram(&recorded, remote.path);
    bench.datagram(&recorded, remote.path);
    assert_eq!(bench.sent().len(), 2, "a repetition on its own path is answered again");
    let thief = Path { remote: "203.0.113.66:4000".parse().expect("an address"), ..remote.path };
    bench.datagram(&recorded, thief);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.shard.path_of(1), Some(remote.path));
    assert_eq!(bench.stats()["peers"][0]["checks_refused"], 1);
}

#[test]
fn restarts_leave_nothing_behind_and_take_no_name_twice() {
    let mut bench = Bench::default();
    let mut one = Remote::join(&mut bench, 1);
    let two = Remote::join(&mut bench, 2);
    let first = one.check_octets(true);
    for ufrag in ["second", "third"] {
        restarted(&mut bench, &mut one, ufrag);
    }
    bench.datagram(&first, one.path);
    assert!(bench.sent().is_empty(), "two restarts ago is a stranger");
    bench.events();
    for name in [two.ufrag.as_str(), "third"] {
        bench.command(Command::RestartIce(RestartIce {
            peer: 1,
            local_ufrag: name.to_owned(),
            local_pwd: "another-password-of-22-ch".to_owned(),
            remote_ufrag: "far".to_owned(),
        }));
        let refused = Event::CommandFailed { peer: 1, error: CommandError::Duplicate };
        assert_eq!(bench.events(), [refused]);
    }
    one.check(&mut bench, true);
    assert_eq!(error_code(&mut bench), None, "the peer goes on with what it had");
}

#[test]
fn a_peer_that_was_sending_is_missed_after_three_seconds_and_an_idle_one_after_seven() {
    let mut bench = Bench::default();
    let mut speaker = Remote::join(&mut bench, 1);
    Remote::join(&mut bench, 2);
    speaker.publish_voice(&mut bench, 10, Some(5));
    bench.now = bench.now.plus(30_000 * MS);
    for peer in [&mut speaker, &mut Remote::add(&mut Bench::default(), 2)] {
        peer.check(&mut bench, true);
    }
    speaker.send_rtp(&mut bench, &voice_fields(5, 0, 0), 0, b"word", None, None);
    bench.events();
    let mut told = Vec::new();
    for tick in 0..200_i64 {
        bench.advance(50 * MS);
        for event in bench.events() {
            if let Event::PeerQuiet { peer, quiet } = event {
                told.push((peer, quiet, tick * 50));
            }
        }
    }
    assert!(matches!(told[..], [(1, true, 2_900..3_200), (2, true, 6_900..7_200)]), "{told:?}");
    speaker.check(&mut bench, true);
    bench.advance(50 * MS);
    assert!(bench.events().contains(&Event::PeerQuiet { peer: 1, quiet: false }));
}
