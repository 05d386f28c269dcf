//! Records on their way from the shards to the writer. Bounded in number and in octets; what is left out when it
//! is full is decided by [`Flow`], counted, and told to the caller as the hole begins.

use crate::event::Event;
use crate::record::flow::{Admitted, Flow};
use crate::record::{Opening, Packet, Record, RecordingId};
use crate::time::Micros;
use crate::types::{PeerId, SourceId};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Packets that may wait.
pub const MAX_RECORDS: usize = 16_384;
/// Octets of payload that may wait: some 20 s of a teacher's sources on a disk that does nothing.
pub const MAX_OCTETS: usize = 8 << 20;
/// Files that may be open at once; further recordings are refused.
pub const MAX_RECORDINGS: usize = 512;
/// Beginnings, ends and requests may wait beyond the packets, up to this many records in all.
const MAX_WAITING: usize = 2 * MAX_RECORDS;

/// Counters of all recordings.
#[derive(Debug, Default)]
pub struct RecordingCounters {
    /// Octets given to the kernel.
    pub written: AtomicU64,
    /// Packets left out: the queue was full, or a hole was open.
    pub dropped: AtomicU64,
    /// Opening, writing or syncing that failed.
    pub errors: AtomicU64,
}

impl RecordingCounters {
    /// All of them, by name.
    #[must_use]
    pub fn list(&self) -> [(&'static str, u64); 3] {
        [
            ("recording_octets", self.written.load(Ordering::Relaxed)),
            ("recording_dropped", self.dropped.load(Ordering::Relaxed)),
            ("recording_errors", self.errors.load(Ordering::Relaxed)),
        ]
    }
}

struct Known {
    shard: usize,
    peer: PeerId,
    source: SourceId,
    flow: Flow,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Record>,
    shards_of_syncs: VecDeque<usize>,
    octets: usize,
    known: HashMap<RecordingId, Known>,
    /// Something waits that is to be done now.
    urgent: bool,
    stopping: bool,
}

/// What the writer took.
#[derive(Debug, Default)]
pub struct Batch {
    /// Oldest first.
    pub records: VecDeque<Record>,
    /// The shards of the [`Record::Sync`]s among them, in order.
    pub shards_of_syncs: VecDeque<usize>,
    /// Nothing comes after this.
    pub last: bool,
}

/// See the module.
#[derive(Default)]
pub struct RecordQueue {
    state: Mutex<State>,
    wake: Condvar,
    /// Counters of all recordings.
    pub counters: RecordingCounters,
}

impl RecordQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere while the lock was held leaves a queue that is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Move a shard's records in; `events` gets what is to be told. Returns the sources that can go on at a key
    /// frame only; the list has doubles, but none on a good day.
    pub fn append(
        &self,
        shard: usize,
        records: &mut Vec<Record>,
        now: Micros,
        events: &mut Vec<Event>,
    ) -> Vec<SourceId> {
        let mut wanted = Vec::new();
        if records.is_empty() {
            return wanted;
        }
        let mut state = self.lock();
        for record in records.drain(..) {
            match record {
                Record::Packet(packet) => {
                    if !state.packet(packet, now, events, &mut wanted) {
                        self.counters.dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Record::Open(opening) => state.open(shard, opening, events),
                Record::Close(recording) => state.close(recording),
                Record::Sync(_) => {
                    // Beyond all measure the caller is left to its time-out.
                    if state.waiting.len() < MAX_WAITING {
                        state.waiting.push_back(record);
                        state.shards_of_syncs.push_back(shard);
                        state.urgent = true;
                    }
                }
                Record::Hole { .. } => {}
            }
        }
        state.urgent |= state.octets > MAX_OCTETS / 2 || state.waiting.len() > MAX_RECORDS / 2;
        let wake = state.urgent;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        wanted
    }

    /// All that waits, as soon as there is something urgent or `at_most` has passed.
    pub fn take(&self, at_most: Duration) -> Batch {
        let mut state = self.lock();
        if !state.stopping && !state.urgent {
            let waited = self.wake.wait_timeout(state, at_most);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.octets = 0;
        state.urgent = false;
        Batch {
            records: std::mem::take(&mut state.waiting),
            shards_of_syncs: std::mem::take(&mut state.shards_of_syncs),
            last: state.stopping,
        }
    }

    /// The writer could not write: the recording has a hole from now on, and nothing is taken before `until`.
    pub fn interrupt(&self, recording: RecordingId, until: Micros) {
        if let Some(known) = self.lock().known.get_mut(&recording) {
            known.flow.interrupt(until);
        }
    }

    /// The recording's file is no more: what comes for it is dropped and counted.
    pub fn forget(&self, recording: RecordingId) {
        self.lock().known.remove(&recording);
    }

    /// The shard failed: end what it recorded.
    pub fn end_of_shard(&self, shard: usize) {
        let mut state = self.lock();
        let ended: Vec<_> =
            state.known.iter().filter(|(_, known)| known.shard == shard).map(|(&id, _)| id).collect();
        for recording in ended {
            state.close(recording);
        }
        drop(state);
        self.wake.notify_one();
    }

    /// The writer failed and has lost its files: what comes for them is dropped and counted, and told of each.
    pub fn forget_all(&self, text: &str, events: &mut Vec<Event>) {
        let known = std::mem::take(&mut self.lock().known);
        events.extend(known.into_values().map(|known| Event::RecordingFailed {
            peer: known.peer,
            source: known.source,
            text: text.to_owned(),
        }));
    }

    /// Nothing will be appended any more.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.wake.notify_one();
    }
}

impl State {
    fn open(&mut self, shard: usize, opening: Opening, events: &mut Vec<Event>) {
        let Opening { recording, peer, source, .. } = opening;
        if self.known.len() >= MAX_RECORDINGS || self.waiting.len() >= MAX_WAITING {
            let text = "too many recordings at once".to_owned();
            events.push(Event::RecordingFailed { peer, source, text });
            return;
        }
        let is_video = opening.head.codec.media() == crate::types::Media::Video;
        self.known.insert(recording, Known { shard, peer, source, flow: Flow::new(is_video) });
        self.waiting.push_back(Record::Open(opening));
        self.urgent = true;
    }

    /// Bounded, because every end answers a beginning.
    fn close(&mut self, recording: RecordingId) {
        let Some(known) = self.known.remove(&recording) else { return };
        if let Some(dropped) = known.flow.end() {
            self.waiting.push_back(Record::Hole { recording, dropped });
        }
        self.waiting.push_back(Record::Close(recording));
        self.urgent = true;
    }

    /// False when it was left out.
    fn packet(
        &mut self,
        packet: Packet,
        now: Micros,
        events: &mut Vec<Event>,
        wanted: &mut Vec<SourceId>,
    ) -> bool {
        let room = self.waiting.len() < MAX_RECORDS && self.octets + packet.payload.len() <= MAX_OCTETS;
        let recording = packet.recording;
        let Some(known) = self.known.get_mut(&recording) else { return false };
        match known.flow.offer(packet.begins_key_frame, room, now) {
            Admitted::Taken(hole) => {
                if let Some(dropped) = hole {
                    self.waiting.push_back(Record::Hole { recording, dropped });
                }
                self.octets += packet.payload.len();
                self.waiting.push_back(Record::Packet(packet));
                true
            }
            Admitted::Dropped { begins, key_frame_wanted } => {
                if begins {
                    let (peer, source) = (known.peer, known.source);
                    let text = format!("the disk is too slow: the queue of shard {} is full", known.shard);
                    events.push(Event::RecordingFailed { peer, source, text });
                }
                if key_frame_wanted {
                    wanted.push(known.source);
                }
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::tests::{head, packet};

    fn opening(recording: u64) -> Record {
        let path = format!("/never-opened/{recording}").into();
        Record::Open(Opening { recording, peer: 5, source: 100 + recording, path, head: head() })
    }

    fn append(queue: &RecordQueue, record: Record, now: i64) -> (Vec<Event>, Vec<SourceId>) {
        let mut events = Vec::new();
        let wanted = queue.append(0, &mut vec![record], Micros(now), &mut events);
        (events, wanted)
    }

    fn kinds(batch: &Batch) -> Vec<&'static str> {
        let name = |record: &Record| match record {
            Record::Open(_) => "open",
            Record::Packet(_) => "packet",
            Record::Hole { .. } => "hole",
            Record::Close(_) => "close",
            Record::Sync(_) => "sync",
        };
        batch.records.iter().map(name).collect()
    }

    fn key(index: u64) -> Record {
        let mut packet = packet(1, index, b"k");
        packet.begins_key_frame = true;
        Record::Packet(packet)
    }

    #[test]
    fn full_in_octets_a_picture_has_a_hole_up_to_its_next_key_frame() {
        let queue = RecordQueue::default();
        append(&queue, opening(1), 0);
        let big = vec![0; 60_000];
        let fitting = MAX_OCTETS / big.len();
        for index in 0..fitting as u64 {
            let (events, wanted) = append(&queue, Record::Packet(packet(1, index, &big)), 0);
            assert!(events.is_empty() && wanted.is_empty());
        }
        let (events, wanted) = append(&queue, Record::Packet(packet(1, 900, &big)), 0);
        assert!(matches!(&events[..], [Event::RecordingFailed { peer: 5, source: 101, .. }]), "{events:?}");
        assert!(wanted.is_empty(), "a key frame now would find no room");
        assert!(append(&queue, Record::Packet(packet(1, 901, &big)), 0).0.is_empty(), "told once");
        assert_eq!(queue.take(Duration::ZERO).records.len(), 1 + fitting);

        assert_eq!(append(&queue, Record::Packet(packet(1, 902, b"p")), 0).1, [101], "there is room again");
        append(&queue, key(903), 0);
        append(&queue, Record::Packet(packet(1, 904, b"p")), 0);
        let batch = queue.take(Duration::ZERO);
        assert_eq!(kinds(&batch), ["hole", "packet", "packet"]);
        assert!(matches!(batch.records[0], Record::Hole { recording: 1, dropped: 3 }));
        assert_eq!(queue.counters.dropped.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn full_in_records_ends_are_still_taken() {
        let queue = RecordQueue::default();
        append(&queue, opening(1), 0);
        for index in 0..2 * MAX_RECORDS as u64 {
            append(&queue, Record::Packet(packet(1, index, b"")), 0);
        }
        append(&queue, Record::Close(1), 0);
        append(&queue, Record::Packet(packet(1, 5, b"too late")), 0);
        append(&queue, Record::Close(1), 0);
        let batch = queue.take(Duration::ZERO);
        assert_eq!(batch.records.len(), MAX_RECORDS + 2);
        assert_eq!(kinds(&batch)[MAX_RECORDS..], ["hole", "close"]);
    }

    #[test]
    fn a_failed_write_holds_the_recording_back_for_a_while() {
        let queue = RecordQueue::default();
        append(&queue, opening(1), 0);
        queue.interrupt(1, Micros(100));
        assert_eq!(append(&queue, key(1), 99), (vec![], vec![]));
        assert_eq!(append(&queue, Record::Packet(packet(1, 2, b"p")), 100).1, [101]);
        append(&queue, key(3), 101);
        assert_eq!(kinds(&queue.take(Duration::ZERO)), ["open", "hole", "packet"]);
        queue.forget(1);
        append(&queue, key(4), 102);
        assert!(queue.take(Duration::ZERO).records.is_empty());
    }

    #[test]
    fn a_beginning_an_end_and_a_request_do_not_wait() {
        let queue = RecordQueue::default();
        let long = Duration::from_secs(3_600);
        for record in [opening(1), Record::Sync(7), Record::Close(1)] {
            append(&queue, record, 0);
            assert_eq!(queue.take(long).records.len(), 1);
        }
        append(&queue, Record::Packet(packet(1, 5, b"of none")), 0);
        assert!(queue.take(Duration::ZERO).records.is_empty());
        queue.stop();
        assert!(queue.take(long).last);
    }

    #[test]
    fn too_many_recordings_are_refused() {
        let queue = RecordQueue::default();
        for recording in 0..MAX_RECORDINGS as u64 {
            assert!(append(&queue, opening(recording), 0).0.is_empty());
        }
        assert_eq!(append(&queue, opening(9_999), 0).0.len(), 1);
        append(&queue, Record::Close(0), 0);
        assert!(append(&queue, opening(10_000), 0).0.is_empty());
    }
}
