//! Property: whatever is forwarded, asked for again, switched, restarted or keyed again, one SRTP index of one SSRC
//! never leaves with two texts. Under AES-GCM two would give both away, and the key that authenticates (RFC 7714
//! section 8.1 leans on it).

mod common;

use common::*;
use luokkasilta_engine::command::{Command, RestartIce};
use luokkasilta_engine::srtp::SrtpError;
use luokkasilta_engine::types::Media;
use luokkasilta_engine::wire::demux::{self, Packet as Kind};
use luokkasilta_engine::wire::rtp::{Header, HeaderFields};
use luokkasilta_engine::wire::stun;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

const SOURCES: u64 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A picture of a source, in so many packets; lost ones come never, or as a retransmission.
    Picture {
        source: u64,
        packets: u16,
        key_frame: bool,
        lost: u16,
    },
    Voice {
        source: u64,
        lost: bool,
    },
    /// The receiver asks for these again, counted back from the newest of the half: once or twice.
    Ask {
        media: Media,
        back: Vec<u16>,
        twice: bool,
    },
    /// The publisher's retransmission of a packet that was lost, or of one that was not.
    Repair {
        source: u64,
        back: u16,
    },
    Switch {
        media: Media,
        to: Option<u64>,
    },
    /// The page's connection was cut and resumed: ICE restarts, the peer and its keys stay.
    Resume {
        other_port: bool,
    },
    /// Keys a second time; they are refused.
    KeysAgain,
    Wait {
        ms: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let source = 0..SOURCES;
    let media = prop::sample::select(vec![Media::Video, Media::Audio]);
    prop_oneof![
        8 => (source.clone(), 1..5_u16, prop::bool::weighted(0.3), 0..8_u16).prop_map(
            |(source, packets, key_frame, lost)| Step::Picture { source, packets, key_frame, lost }
        ),
        6 => (source.clone(), prop::bool::weighted(0.2)).prop_map(|(source, lost)| Step::Voice { source, lost }),
        5 => (media.clone(), prop::collection::vec(0..30_u16, 1..12), any::<bool>())
            .prop_map(|(media, back, twice)| Step::Ask { media, back, twice }),
        3 => (source.clone(), 0..6_u16).prop_map(|(source, back)| Step::Repair { source, back }),
        3 => (media, prop::option::weighted(0.8, source)).prop_map(|(media, to)| Step::Switch { media, to }),
        1 => any::<bool>().prop_map(|other_port| Step::Resume { other_port }),
        1 => Just(Step::KeysAgain),
        3 => (1..300_i64).prop_map(|ms| Step::Wait { ms }),
    ]
}

#[derive(Default)]
struct Published {
    picture_index: u64,
    voice_index: u64,
    rtx_index: u64,
    frame: u16,
    plain: HashMap<u64, (HeaderFields, Vec<u8>)>,
}

/// What the receiver got, as it was on the wire.
#[derive(Default)]
struct Wire {
    octets: HashSet<Vec<u8>>,
    newest: HashMap<u32, u16>,
    rtp: usize,
    retransmitted: usize,
    repeated: usize,
    reports: usize,
}

impl Wire {
    fn look(&mut self, remote: &mut Remote, sent: &[(SocketAddr, Vec<u8>)]) -> Result<(), TestCaseError> {
        for (_, data) in sent.iter().filter(|(to, _)| *to == remote.path.remote) {
            let mut plain = data.clone();
            match demux::classify(data) {
                Kind::Rtp => {
                    let header = Header::parse(data).expect("a header");
                    match remote.inbound.unprotect_rtp(&header, &mut plain) {
                        Ok(_) => {
                            self.rtp += 1;
                            self.retransmitted += usize::from(header.payload_type == 121);
                            self.newest.insert(header.ssrc, header.sequence);
                            prop_assert!(self.octets.insert(data.clone()));
                        }
                        Err(SrtpError::Replayed) => {
                            self.repeated += 1;
                            prop_assert!(
                                self.octets.contains(data),
                                "an index with another text: {header:?}"
                            );
                        }
                        Err(error) => prop_assert!(false, "{error}"),
                    }
                }
                Kind::Rtcp => {
                    self.reports += 1;
                    prop_assert!(remote.inbound.unprotect_rtcp(&mut plain).is_ok(), "an index of RTCP twice");
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn ask(school: &mut Remote, bench: &mut Bench, wire: &Wire, media: Media, back: &[u16]) {
    let ssrc = slot_ssrc(0, media);
    let newest = wire.newest.get(&ssrc).copied().unwrap_or(0);
    let mut lost: Vec<u16> = back.iter().map(|back| newest.wrapping_sub(*back)).collect();
    lost.sort_unstable();
    school.ask(bench, ssrc, &lost);
}

proptest! {
    #![proptest_config(Config {
        cases: 128,
        rng_seed: RngSeed::Fixed(20_261_124),
        failure_persistence: None,
        ..Config::default()
    })]
    fn whatever_is_done(
        steps in prop::collection::vec(step(), 1..200),
        start in 65_480_u64..65_536,
    ) {
        let mut bench = Bench::default();
        let mut publishers: Vec<(Remote, Published)> = (0..SOURCES)
            .map(|n| {
                let remote = Remote::join(&mut bench, n + 1);
                remote.publish_repairable_picture(&mut bench, 10 + n, 100);
                remote.publish_audio(&mut bench, 20 + n, Some(200), true);
                let published = Published { picture_index: start, voice_index: start, ..Published::default() };
                (remote, published)
            })
            .collect();
        let mut school = Remote::join(&mut bench, 9);
        school.add_repairable_pair(&mut bench, 0);
        school.route(&mut bench, 0, Media::Video, Some(10));
        school.route(&mut bench, 0, Media::Audio, Some(20));
        let mut wire = Wire::default();
        let mut restarts = 0;
        for step in steps {
            match step {
                Step::Picture { source, packets, key_frame, lost } => {
                    let (remote, it) = &mut publishers[source as usize];
                    for part in 0..packets {
                        let payload = vp8(it.frame, it.frame as u8, key_frame, part == 0, &[source as u8, part as u8]);
                        let fields =
                            picture_fields(100, it.picture_index as u16, u32::from(it.frame) * 9_000, part + 1 == packets);
                        let packet = remote.protect(&fields, it.picture_index, &payload, None, None);
                        it.plain.insert(it.picture_index, (fields, payload));
                        it.picture_index += 1;
                        if part != lost {
                            bench.datagram(&packet, remote.path);
                        }
                    }
                    it.frame = (it.frame + 1) & 0x7fff;
                }
                Step::Voice { source, lost } => {
                    let (remote, it) = &mut publishers[source as usize];
                    let fields = voice_fields(200, it.voice_index as u16, (it.voice_index * 960) as u32);
                    let packet = remote.protect(&fields, it.voice_index, &[source as u8; 9], Some(20), None);
                    it.voice_index += 1;
                    if !lost {
                        bench.datagram(&packet, remote.path);
                    }
                }
                Step::Repair { source, back } => {
                    let (remote, it) = &mut publishers[source as usize];
                    let index = it.picture_index.saturating_sub(1 + u64::from(back));
                    let Some((fields, plain)) = it.plain.get(&index) else { continue };
                    let payload = [&(index as u16).to_be_bytes()[..], plain].concat();
                    let mut fields = *fields;
                    (fields.payload_type, fields.ssrc, fields.sequence) = (97, 101, it.rtx_index as u16);
                    let packet = remote.protect(&fields, it.rtx_index, &payload, None, None);
                    it.rtx_index += 1;
                    bench.datagram(&packet, remote.path);
                }
                Step::Ask { media, back, twice } => {
                    ask(&mut school, &mut bench, &wire, media, &back);
                    if twice {
                        bench.advance(15 * MS);
                        ask(&mut school, &mut bench, &wire, media, &back);
                    }
                }
                Step::Switch { media, to } => {
                    let first = if media == Media::Video { 10 } else { 20 };
                    school.route(&mut bench, 0, media, to.map(|source| first + source));
                }
                Step::Resume { other_port } => {
                    restarts += 1;
                    let (local_ufrag, local_pwd) = (format!("again{restarts}"), "one-more-password-of-9-012".to_owned());
                    school.ufrag.clone_from(&local_ufrag);
                    school.key = stun::short_term_key(&local_pwd);
                    let remote_ufrag = "far".to_owned();
                    bench.command(Command::RestartIce(RestartIce { peer: 9, local_ufrag, local_pwd, remote_ufrag }));
                    if other_port {
                        // What is still under way to the old port is looked at there.
                        let sent = bench.sent();
                        wire.look(&mut school, &sent)?;
                        school.path.remote.set_port(school.path.remote.port() + 1);
                    }
                    school.check(&mut bench, true);
                }
                Step::KeysAgain => school.set_keys(&mut bench),
                Step::Wait { ms } => bench.advance(ms * MS),
            }
            let sent = bench.sent();
            wire.look(&mut school, &sent)?;
        }
        let stats = bench.stats();
        prop_assert_eq!(stats["counters"]["refused"].as_u64(), Some(0), "the guard is not what it leans on");
        REACHED.with_borrow_mut(|reached| {
            for (all, here) in reached.iter_mut().zip([wire.rtp, wire.retransmitted, wire.repeated, wire.reports]) {
                *all += here;
            }
        });
    }
}

thread_local! {
    /// Packets, retransmissions, repetitions and reports that all cases looked at.
    static REACHED: RefCell<[usize; 4]> = const { RefCell::new([0; 4]) };
}

#[test]
fn an_index_never_leaves_with_two_texts() {
    whatever_is_done();
    let reached = REACHED.take();
    let enough = reached.iter().zip([2_000, 500, 200, 300]).all(|(all, least)| *all > least);
    assert!(enough, "it hardly looked at anything: {reached:?}");
}
