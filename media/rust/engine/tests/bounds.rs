//! What happens beyond the bounds that ARCHITECTURE.md lists in section 5: each rule and its counter, by the shard's own
//! interface and its statistics.

mod common;

use common::*;
use luokkasilta_engine::command::{Command, CommandError};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::output::AddressChange;
use luokkasilta_engine::shard::MAX_PEERS;
use luokkasilta_engine::srtp::MAX_SSRCS;
use luokkasilta_engine::types::Media;

fn peer_of(stats: &serde_json::Value, peer: u64) -> serde_json::Value {
    let peers = stats["peers"].as_array().expect("peers");
    peers.iter().find(|it| it["peer"] == peer).expect("the peer").clone()
}

/// A teacher whose picture a school plays; so many packets of it were sent, of so many octets.
fn lesson(bench: &mut Bench, packets: u64, octets: usize) -> (Remote, Remote, u16) {
    let mut teacher = Remote::join(bench, 1);
    teacher.publish_repairable_picture(bench, 10, 100);
    let mut school = Remote::join(bench, 2);
    school.add_repairable_pair(bench, 0);
    school.route(bench, 0, Media::Video, Some(10));
    for index in 0..packets {
        let payload = vp8(index as u16, index as u8, index == 0, true, &vec![7; octets]);
        let fields = picture_fields(100, index as u16, index as u32 * 900, true);
        teacher.send_rtp(bench, &fields, index, &payload, None, None);
    }
    let newest = school.receive(&bench.sent()).rtp.last().expect("it plays").0.sequence;
    (teacher, school, newest)
}

fn ask(school: &mut Remote, bench: &mut Bench, lost: &[u16]) -> usize {
    school.ask(bench, slot_ssrc(0, Media::Video), lost);
    school.receive(&bench.sent()).rtp.len()
}

#[test]
fn one_question_is_answered_512_times_at_most() {
    let mut bench = Bench::default();
    let (_, mut school, newest) = lesson(&mut bench, 700, 10);
    let all: Vec<u16> = (0..700).map(|back| newest.wrapping_sub(699 - back)).collect();
    let sent = ask(&mut school, &mut bench, &all);
    assert_eq!(peer_of(&bench.stats(), 2)["nacked"], 512);
    // The first 188 of the 512 that are asked for are no longer in the cache.
    assert_eq!(sent, 512 - 188);
}

#[test]
fn a_receiver_that_asks_for_everything_gets_its_share() {
    let mut bench = Bench::default();
    let (_, mut school, newest) = lesson(&mut bench, 400, 1_200);
    let all: Vec<u16> = (0..400).map(|back| newest.wrapping_sub(399 - back)).collect();
    let first = ask(&mut school, &mut bench, &all);
    assert!(first * 1_200 <= 128 * 1024 && first > 100, "{first} packets at once");
    let peer = peer_of(&bench.stats(), 2);
    assert_eq!(peer["resent"], first);
    assert_eq!(peer["not_resent"], 400 - first);
}

#[test]
fn a_packet_is_sent_again_ten_times_at_most() {
    let mut bench = Bench::default();
    let (_, mut school, newest) = lesson(&mut bench, 3, 10);
    let mut sent = 0;
    for _ in 0..40 {
        sent += ask(&mut school, &mut bench, &[newest]);
        bench.now = bench.now.plus(15 * MS);
    }
    assert_eq!(sent, 10);
}

#[test]
fn an_outage_is_given_up_and_counted() {
    let mut bench = Bench::default();
    let (mut teacher, ..) = lesson(&mut bench, 3, 10);
    let later = 3 + 1_000_u64;
    let fields = picture_fields(100, later as u16, 900_000, true);
    teacher.send_rtp(&mut bench, &fields, later, &vp8(9, 9, false, true, b"x"), None, None);
    let layer = peer_of(&bench.stats(), 1)["sources"][0].clone();
    assert_eq!((&layer["given_up"], &layer["asked_again"]), (&1_000.into(), &0.into()));
}

#[test]
fn a_peer_has_so_many_ssrcs_and_the_newest_are_refused() {
    let mut bench = Bench::default();
    let (mut teacher, ..) = lesson(&mut bench, 1, 10);
    for n in 0..MAX_SSRCS as u32 + 50 {
        let fields = picture_fields(5_000 + n, 1, 0, true);
        teacher.send_rtp(&mut bench, &fields, 1, b"of no source", None, None);
    }
    let peer = peer_of(&bench.stats(), 1);
    assert_eq!(peer["unauthenticated"], 51, "the picture has one place");
    assert_eq!(peer["unexpected"], MAX_SSRCS - 1);
    teacher.send_rtp(
        &mut bench,
        &picture_fields(100, 1, 900, true),
        1,
        &vp8(1, 1, false, true, b"x"),
        None,
        None,
    );
    assert_eq!(peer_of(&bench.stats(), 1)["sources"][0]["packets"], 2, "the known ones go on");
}

#[test]
fn a_peer_has_so_many_addresses_and_the_oldest_goes() {
    let mut bench = Bench::default();
    let mut wanderer = Remote::join(&mut bench, 1);
    let mut known = 1_i32;
    bench.out.addresses.clear();
    for _ in 0..100 {
        wanderer.path.remote.set_port(wanderer.path.remote.port() + 1);
        // Another candidate of its own each time, or a NAT is thought to have moved the one there is.
        wanderer.priority += 1;
        wanderer.check(&mut bench, false);
        bench.now = bench.now.plus(10 * MS);
        for change in bench.out.addresses.drain(..) {
            known += if matches!(change, AddressChange::Learnt(_)) { 1 } else { -1 };
        }
    }
    assert_eq!(known, 16);
}

#[test]
fn a_shard_has_so_many_peers() {
    let mut bench = Bench::default();
    for peer in 0..MAX_PEERS as u64 {
        let _ = Remote::add(&mut bench, peer);
    }
    assert!(bench.events().is_empty());
    let _ = Remote::add(&mut bench, 20_000);
    assert_eq!(bench.events(), [Event::CommandFailed { peer: 20_000, error: CommandError::Full }]);
    bench.command(Command::RemovePeer(5));
    let _ = Remote::add(&mut bench, 20_000);
    assert!(bench.events().is_empty());
}

#[test]
fn a_packet_is_worth_a_second() {
    let mut bench = Bench::default();
    let (_, mut school, newest) = lesson(&mut bench, 50, 100);
    assert_eq!(ask(&mut school, &mut bench, &[newest]), 1);
    bench.now = bench.now.plus(1_000_001);
    assert_eq!(ask(&mut school, &mut bench, &[newest.wrapping_sub(1)]), 0, "too late to be played");
}
