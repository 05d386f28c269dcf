//! What came of a step, held to what must be true of it.

use super::super::super::stun::MAX_ANSWER;
use super::{Came, World};
use luokkasilta_engine::output::Path;
use luokkasilta_engine::record::Record;
use luokkasilta_engine::wire::demux::{self, Packet};
use luokkasilta_engine::wire::stun::{Class, Message};

/// What one half may cause at once: a packet, a catching up of at most the whole cache, or as many sent again.
const MAX_PER_HALF: usize = 1 + 512;
/// What one far end may cause at once: reports and requests.
const MAX_PER_FAR: usize = 16;
/// An RTCP compound that is longer would be fragmented on some path.
const MAX_COMPOUND: usize = 1_400;

impl World {
    /// What was put out is allowed, bounded, and readable for whom it is.
    pub(super) fn settle(&mut self, came: Option<&Came>) {
        let out = std::mem::take(&mut self.out);
        let halves: usize = self.fars.iter().map(|far| far.slots).sum();
        let most = MAX_PER_HALF * halves + MAX_PER_FAR * self.fars.len();
        assert!(out.datagrams.len() <= most, "{} datagrams at once", out.datagrams.len());
        assert!(out.events.len() <= 8 * (halves + self.fars.len()), "{} events at once", out.events.len());
        if let Some(Came { octets, path, far: None }) = came {
            assert!(out.datagrams.len() <= 1, "more than one answer to nobody");
            for datagram in &out.datagrams {
                assert_eq!(datagram.path, *path, "an answer to somebody else");
                assert!(datagram.end - datagram.start <= MAX_ANSWER, "an answer to {} octets", octets.len());
            }
        }
        self.keep_records(&out.records, came);
        for datagram in &out.datagrams {
            let octets = out.octets(datagram);
            match demux::classify(octets) {
                Packet::Stun => self.receive_answer(octets, datagram.path, came),
                Packet::Dtls => assert_eq!(octets.len(), 3, "only what the command said"),
                Packet::Unknown => panic!("neither STUN, DTLS nor SRTP"),
                kind => {
                    let owner = self.owners.get(&datagram.path.origin());
                    let far = &mut self.fars[*owner.expect("media for an address that nobody proved")];
                    if kind == Packet::Rtcp {
                        assert!(octets.len() <= MAX_COMPOUND, "a compound of {} octets", octets.len());
                        far.receive_rtcp(octets);
                    } else {
                        far.receive_rtp(octets, self.jumps);
                    }
                }
            }
        }
        self.out = out;
        self.out.clear_datagrams();
        self.out.events.clear();
        self.out.addresses.clear();
        self.out.records.clear();
    }

    /// What is recorded belongs to a recording that was begun, and is no more than what came.
    fn keep_records(&mut self, records: &[Record], came: Option<&Came>) {
        let mut packets = 0;
        for record in records {
            match record {
                Record::Open(opening) => assert!(self.recordings.insert(opening.recording), "begun twice"),
                Record::Packet(packet) => {
                    assert!(self.recordings.contains(&packet.recording), "recorded, and nobody asked for it");
                    let came = came.expect("a packet that did not come now");
                    assert!(packet.payload.len() <= came.octets.len());
                    packets += 1;
                }
                Record::Close(recording) => assert!(self.recordings.remove(recording), "ended twice"),
                Record::Sync(_) => {}
                Record::Hole { .. } => panic!("a shard leaves nothing out"),
            }
        }
        assert!(packets <= 1, "one packet was recorded {packets} times");
        self.recorded += packets;
    }

    fn receive_answer(&mut self, answer: &[u8], path: Path, came: Option<&Came>) {
        let came = came.expect("an answer without a question");
        assert_eq!(path, came.path, "an answer goes back to where the question came from");
        let answer = Message::parse(answer).expect("a well-formed answer");
        match answer.class() {
            Class::Success => {
                let far = came.far.expect("accepted, and nobody vouches for it");
                self.owners.insert(path.origin(), far);
            }
            class => assert_eq!(class, Class::Error),
        }
    }
}
