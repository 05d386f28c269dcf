//! What a shard gives to be recorded, and the engine's writer behind real commands.

mod common;

use common::{Bench, MS, Remote, picture_fields, voice_fields, vp8};
use luokkasilta_engine::command::{AddPeer, Command, RecordTo};
use luokkasilta_engine::event::Event;
use luokkasilta_engine::io::engine::Engine;
use luokkasilta_engine::record::{Packet, Record};
use luokkasilta_engine::types::Codec;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CAMERA: u64 = 11;
const MIC: u64 = 12;

fn record(bench: &mut Bench, source: u64, path: Option<&str>) {
    let to = path.map(|path| RecordTo { path: PathBuf::from(path), kind: "camera".to_owned() });
    bench.command(Command::Record { peer: 1, source, to });
}

fn taken(bench: &mut Bench) -> Vec<Record> {
    std::mem::take(&mut bench.out.records)
}

fn packets(records: Vec<Record>) -> Vec<Packet> {
    let packet = |record| match record {
        Record::Packet(packet) => packet,
        other => panic!("not a packet: {other:?}"),
    };
    records.into_iter().map(packet).collect()
}

#[test]
fn packets_are_recorded_as_they_came_between_beginning_and_end() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_picture(&mut bench, CAMERA, Some(70));
    teacher.send_rtp(
        &mut bench,
        &picture_fields(70, 9, 900, true),
        9,
        &vp8(1, 1, true, true, b"a"),
        None,
        None,
    );
    assert!(taken(&mut bench).is_empty(), "nothing is kept that nobody asked to keep");

    record(&mut bench, CAMERA, Some("/x/camera.part"));
    let opened = taken(&mut bench);
    let [Record::Open(opening)] = &opened[..] else { panic!("{opened:?}") };
    assert_eq!((opening.peer, opening.source, opening.head.codec), (1, CAMERA, Codec::Vp8));
    assert_eq!((opening.head.clock_rate, opening.head.kind.as_str()), (90_000, "camera"));
    assert_eq!(opening.head.zero_us, 3_900_000_000_000_000 - 2_208_988_800_000_000);

    let payload = vp8(2, 2, true, true, b"picture");
    teacher.send_rtp(&mut bench, &picture_fields(70, 10, 3_900, true), 10, &payload, None, None);
    teacher.send_rtp(&mut bench, &picture_fields(70, 11, 3_900, false), 11, &[], None, None);
    let got = packets(taken(&mut bench));
    assert_eq!((got[0].index, got[0].timestamp, got[0].marker), (10, 3_900, true));
    assert!(got[0].begins_key_frame);
    assert_eq!(got[0].payload, payload);
    assert_eq!((got[1].index, got[1].payload.len()), (11, 0), "padding is kept for its number");
    assert_eq!(got[0].recording, opening.recording);

    record(&mut bench, CAMERA, None);
    assert!(matches!(taken(&mut bench)[..], [Record::Close(recording)] if recording == got[0].recording));
    teacher.send_rtp(&mut bench, &picture_fields(70, 12, 6_900, true), 12, &payload, None, None);
    assert!(taken(&mut bench).is_empty());
}

#[test]
fn the_end_of_a_peer_or_a_source_ends_its_recordings() {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    teacher.publish_picture(&mut bench, CAMERA, Some(70));
    teacher.publish_voice(&mut bench, MIC, Some(71));
    record(&mut bench, CAMERA, Some("/x/camera.part"));
    record(&mut bench, MIC, Some("/x/mic.part"));
    taken(&mut bench);
    bench.command(Command::Unpublish(1, CAMERA));
    assert!(matches!(taken(&mut bench)[..], [Record::Close(_)]));
    bench.command(Command::RemovePeer(1));
    assert!(matches!(taken(&mut bench)[..], [Record::Close(_)]));
}

#[test]
fn a_new_recording_ends_the_one_before() {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    teacher.publish_voice(&mut bench, MIC, Some(71));
    record(&mut bench, MIC, Some("/x/a.part"));
    record(&mut bench, MIC, Some("/x/b.part"));
    let records = taken(&mut bench);
    let [Record::Open(first), Record::Close(ended), Record::Open(second)] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(first.recording, *ended);
    assert_ne!(first.recording, second.recording);
}

#[test]
fn commands_for_what_is_not_there_fail() {
    let mut bench = Bench::default();
    let teacher = Remote::join(&mut bench, 1);
    Remote::join(&mut bench, 2);
    teacher.publish_voice(&mut bench, MIC, Some(71));
    bench.events();
    record(&mut bench, 99, Some("/x/a.part"));
    let to = Some(RecordTo { path: PathBuf::from("/x/b.part"), kind: String::new() });
    bench.command(Command::Record { peer: 2, source: MIC, to });
    let failed = bench.events();
    assert_eq!(failed.len(), 2);
    assert!(failed.iter().all(|event| matches!(event, Event::CommandFailed { .. })), "{failed:?}");
    assert!(taken(&mut bench).is_empty());
}

/// Nobody watches this layer, so nobody but the recording can ask for a key frame after a loss.
#[test]
fn an_unrepaired_loss_makes_the_recording_ask_for_a_key_frame() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_picture(&mut bench, CAMERA, Some(70));
    record(&mut bench, CAMERA, Some("/x/camera.part"));
    let mut asked = Vec::new();
    let mut sequence = 10_u16;
    for frame in 0..40_u32 {
        let payload = vp8(frame as u16, 1, frame == 0, true, b"picture");
        let fields = picture_fields(70, sequence, frame * 9_000, true);
        teacher.send_rtp(&mut bench, &fields, u64::from(sequence), &payload, None, None);
        sequence += if frame == 9 { 2 } else { 1 };
        bench.advance(100 * MS);
        let sent = bench.sent();
        let received = teacher.receive(&sent);
        let wants = common::packets(&received.rtcp).iter().any(|packet| {
            matches!(packet, luokkasilta_engine::wire::rtcp::Packet::PictureLossIndication { media: 70, .. })
        });
        if wants {
            asked.push(frame);
        }
    }
    assert!(!asked.is_empty() && asked[0] > 10 && asked[0] < 20, "{asked:?}");
}

#[test]
fn another_stream_of_the_same_source_begins_a_run() {
    let mut bench = Bench::default();
    let mut teacher = Remote::join(&mut bench, 1);
    teacher.publish_voice(&mut bench, MIC, Some(71));
    record(&mut bench, MIC, Some("/x/mic.part"));
    taken(&mut bench);
    teacher.send_rtp(&mut bench, &voice_fields(71, 1, 960), 1, b"one", None, None);
    teacher.send_rtp(&mut bench, &voice_fields(72, 7_000, 5), 7_000, b"two", None, Some("1"));
    let got = packets(taken(&mut bench));
    assert_eq!(got.iter().map(|packet| packet.run).collect::<Vec<_>>(), [0, 1]);
}

/// The whole engine: what its writer answers, and that closing it loses nothing.
#[test]
fn an_engine_says_when_all_is_on_disk() {
    let engine = Engine::start(&["127.0.0.1:0".parse().expect("an address")], 2).expect("an engine");
    engine
        .add_peer(
            1,
            AddPeer {
                peer: 1,
                local_ufrag: "us".to_owned(),
                local_pwd: "password-of-ours-0123456".to_owned(),
                remote_ufrag: "them".to_owned(),
                receive_bitrate: 1,
            },
        )
        .expect("posted");
    engine.post(Command::SyncRecordings(5)).expect("posted");
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut shards = Vec::new();
    while shards.len() < 2 && Instant::now() < deadline {
        for event in engine.drain() {
            if let Event::RecordingsSynced { ticket: 5, shard } = event {
                shards.push(shard);
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    shards.sort_unstable();
    assert_eq!(shards, [0, 1]);
    engine.close();
}
