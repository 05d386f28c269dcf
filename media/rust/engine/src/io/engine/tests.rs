//! Faults in the engine's threads, on real sockets. The panics are injected; no released engine has the means.

#[path = "../../../tests/common/mod.rs"]
mod common;

use super::*;
use crate::command::RecordTo;
use common::far::{Far, Line, counter, eventually, flows};
use std::path::PathBuf;

const ANY: &[&str] = &["127.0.0.1:0"];

/// Wait for an event; what comes before it is dropped.
fn event(engine: &Engine, wanted: impl Fn(&Event) -> bool) -> Event {
    let mut found = None;
    eventually("the event", || {
        found = engine.drain().into_iter().find(|event| wanted(event));
        found.is_some()
    });
    found.expect("found")
}

fn lesson(engine: &Engine, shard: usize, first: u64) -> (Far, Far) {
    let to = engine.local()[0];
    let teacher = Far::join(engine, shard, first, Line::udp(to));
    teacher.publish(engine, 10 * first);
    let school = Far::join(engine, shard, first + 1, Line::udp(to));
    school.play(engine, 10 * first);
    (teacher, school)
}

fn fail(engine: &Engine, shard: usize) {
    engine.push(shard, Command::Panic).expect("room");
    let failed = event(engine, |event| matches!(event, Event::ShardFailed { .. }));
    let Event::ShardFailed { shard: which, text } = failed else { unreachable!("asked for") };
    assert_eq!(which, shard);
    assert!(text.starts_with("a fault of a shard (") && text.contains("commands.rs:"), "{text}");
}

#[test]
fn a_shard_that_panics_is_told_of_and_begins_anew_while_the_other_goes_on() {
    let engine = common::far::engine(ANY, 2);
    let (mut teacher, mut school) = lesson(&engine, 0, 1);
    let (mut other_teacher, mut other_school) = lesson(&engine, 1, 3);
    let mut home = Far::join(&engine, 0, 5, Line::tcp(engine.local()[0]));
    flows(&mut teacher, &mut school);
    flows(&mut other_teacher, &mut other_school);
    for again in 0..2 {
        fail(&engine, 0);
        flows(&mut other_teacher, &mut other_school);
        eventually("the connection of a peer that is gone is closed", || home.line.is_closed());
        // Its keys and numbers are gone for good: who is still there must join anew.
        let unknown = crate::command::CommandError::UnknownPeer;
        engine.post(Command::Unpublish(1, 10)).expect("room");
        event(&engine, |event| *event == Event::CommandFailed { peer: 1, error: unknown });
        let first = 10 + 2 * again;
        (teacher, school) = lesson(&engine, 0, first);
        flows(&mut teacher, &mut school);
        home = Far::join(&engine, 0, 20 + again, Line::tcp(engine.local()[0]));
    }
    assert_eq!(counter(&engine, "tcp_accepted") - counter(&engine, "tcp_closed"), 1);
}

#[test]
fn commands_behind_the_one_that_panics_are_carried_out() {
    let engine = common::far::engine(ANY, 1);
    engine.push(0, Command::Panic).expect("room");
    engine.post(Command::RequestStats(7)).expect("room");
    event(&engine, |event| matches!(event, Event::ShardFailed { shard: 0, .. }));
    event(&engine, |event| matches!(event, Event::Stats { ticket: 7, shard: 0, .. }));
}

/// A folder of this test, removed at its end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn record(engine: &Engine, source: u64, path: PathBuf, kind: &str) {
    let to = Some(RecordTo { path, kind: kind.to_owned() });
    engine.post(Command::Record { peer: 1, source, to }).expect("room");
}

fn synced(engine: &Engine, ticket: u64) {
    engine.post(Command::SyncRecordings(ticket)).expect("room");
    event(engine, |event| *event == Event::RecordingsSynced { ticket, shard: 0 });
}

#[test]
fn a_writer_that_panics_is_told_of_ends_what_it_wrote_and_goes_on() {
    let folder = Folder(std::env::temp_dir().join(format!("luokkasilta-{}-writer", std::process::id())));
    let engine = common::far::engine(ANY, 1);
    let (mut teacher, mut school) = lesson(&engine, 0, 1);
    record(&engine, 10, folder.0.join("first.part"), "camera");
    flows(&mut teacher, &mut school);
    synced(&engine, 1);
    teacher.publish_as(&engine, 11, 77);
    record(&engine, 11, folder.0.join("second.part"), "panic");
    let mut events = Vec::new();
    eventually("the fault and the end of both are told", || {
        events.extend(engine.drain());
        let failed =
            |of| move |event: &Event| matches!(event, Event::RecordingFailed { source, .. } if *source == of);
        events.iter().any(|event| matches!(event, Event::WriterFailed { text } if text.contains("files.rs:")))
            && events.iter().any(failed(10))
            && events.iter().any(failed(11))
    });
    flows(&mut teacher, &mut school);
    record(&engine, 10, folder.0.join("third.part"), "camera");
    flows(&mut teacher, &mut school);
    synced(&engine, 2);
    engine.close();
    let octets = |name: &str| std::fs::metadata(folder.0.join(name)).map_or(0, |file| file.len());
    assert!(octets("first.part") > 100 && octets("third.part") > 100);
}

#[test]
fn a_shard_that_panics_ends_its_recordings() {
    let folder = Folder(std::env::temp_dir().join(format!("luokkasilta-{}-ended", std::process::id())));
    let engine = common::far::engine(ANY, 1);
    let (mut teacher, mut school) = lesson(&engine, 0, 1);
    record(&engine, 10, folder.0.join("first.part"), "camera");
    flows(&mut teacher, &mut school);
    synced(&engine, 1);
    fail(&engine, 0);
    synced(&engine, 2);
    let octets = std::fs::read(folder.0.join("first.part")).expect("a file");
    let entries = crate::record::format::tests::read(&octets);
    let kinds: Vec<u8> = entries.iter().map(|(kind, _)| *kind).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&1), Some(&4)), "from its head to its end: {kinds:?}");
}

#[test]
fn a_peer_that_finds_no_room_in_the_queue_leaves_nothing_behind_and_one_that_leaves_is_let_go() {
    let engine = common::far::engine(ANY, 1);
    let (mut teacher, mut school) = lesson(&engine, 0, 1);
    flows(&mut teacher, &mut school);
    // While the shard rests, nobody takes from its queue.
    fail(&engine, 0);
    while engine.post(Command::RequestStats(1)).is_ok() {}
    let spec = || crate::command::AddPeer {
        peer: 50,
        local_ufrag: "local50".to_owned(),
        local_pwd: "password-of-local-50-0123".to_owned(),
        remote_ufrag: "far".to_owned(),
        receive_bitrate: 1_000_000,
    };
    assert_eq!(engine.add_peer(0, spec()), Err(PostError::Full));
    assert_eq!(engine.post(Command::Unpublish(50, 1)), Err(PostError::UnknownPeer));
    assert_eq!(engine.post(Command::RemovePeer(1)), Ok(()));
    eventually("there is room again", || engine.add_peer(0, spec()).is_ok());
}
