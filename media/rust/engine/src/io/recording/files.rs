//! The files of all recordings. Belongs to the writer's thread; every method may wait for the disk.
//!
//! A write that fails (a full disk) leaves the file at its last whole entry, the caller is told once, and the
//! recording is tried again after [`RETRY_US`]; what was lost meanwhile is written down as a hole.

use super::queue::{Batch, RecordQueue};
use crate::event::Event;
use crate::record::format::{write_end, write_head, write_hole, write_packet};
use crate::record::{Opening, Record, RecordingId};
use crate::time::Micros;
use crate::types::{PeerId, SourceId};
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;

/// How often what was written goes on to the disk.
pub const SYNC_EVERY_US: i64 = Micros::SECOND;
/// A full disk is not asked again before this; each try costs the publisher a key frame.
pub const RETRY_US: i64 = 5 * Micros::SECOND;
/// A file's buffer is written when it is longer than this.
const BUFFER: usize = 256 << 10;

struct Recorded {
    file: File,
    peer: PeerId,
    source: SourceId,
    /// Entries that were not written yet.
    buffer: Vec<u8>,
    packets_in_buffer: u64,
    /// What the file holds, in whole entries.
    length: u64,
    unsynced: bool,
    /// Packets that could not be written; they wait to be said in the next hole.
    lost: Option<u64>,
    /// The caller was told of the trouble that is going on.
    told: bool,
}

/// See the module.
pub struct Files<'a> {
    queue: &'a RecordQueue,
    open: HashMap<RecordingId, Recorded>,
    synced_at: Micros,
}

impl<'a> Files<'a> {
    /// None is open yet.
    pub fn new(queue: &'a RecordQueue) -> Self {
        Self { queue, open: HashMap::new(), synced_at: Micros(0) }
    }

    /// Whether there is nothing to do but wait for a record.
    pub fn idle(&self) -> bool {
        self.open.is_empty()
    }

    /// Write what was taken; `events` gets what is to be told.
    pub fn turn(&mut self, mut batch: Batch, now: Micros, events: &mut Vec<Event>) {
        for record in batch.records {
            match record {
                Record::Open(opening) => self.begin(opening, now, events),
                Record::Packet(packet) => {
                    let Some(state) = self.open.get_mut(&packet.recording) else { continue };
                    if let Some(lost) = state.lost.as_mut() {
                        *lost += 1;
                        continue;
                    }
                    write_packet(&mut state.buffer, &packet);
                    state.packets_in_buffer += 1;
                    if state.buffer.len() > BUFFER {
                        self.write(packet.recording, now, events);
                    }
                }
                Record::Hole { recording, dropped } => {
                    let Some(state) = self.open.get_mut(&recording) else { continue };
                    let lost = state.lost.take().unwrap_or(0);
                    write_hole(&mut state.buffer, dropped + lost);
                }
                Record::Close(recording) => self.end(recording, now, events),
                Record::Sync(ticket) => {
                    self.write_all(now, events);
                    self.sync_all(now, events);
                    let shard = batch.shards_of_syncs.pop_front().unwrap_or(0);
                    events.push(Event::RecordingsSynced { ticket, shard });
                }
            }
        }
        self.write_all(now, events);
        if now.since(self.synced_at) >= SYNC_EVERY_US {
            self.sync_all(now, events);
        }
    }

    /// End all that are open: the engine stops.
    pub fn end_all(&mut self, now: Micros, events: &mut Vec<Event>) {
        for recording in self.open.keys().copied().collect::<Vec<_>>() {
            self.end(recording, now, events);
        }
    }

    fn begin(&mut self, opening: Opening, now: Micros, events: &mut Vec<Event>) {
        let Opening { recording, peer, source, path, head } = opening;
        // A fault, for tests.
        #[cfg(test)]
        assert!(head.kind != "panic", "a fault of the writer");
        match create(&path) {
            Ok(file) => {
                let mut buffer = Vec::new();
                write_head(&mut buffer, &head);
                let state = Recorded {
                    file,
                    peer,
                    source,
                    buffer,
                    packets_in_buffer: 0,
                    length: 0,
                    unsynced: true,
                    lost: None,
                    told: false,
                };
                self.open.insert(recording, state);
                // At once, so that what may fail later has a file that can be read.
                self.write(recording, now, events);
            }
            Err(error) => {
                self.queue.forget(recording);
                self.queue.counters.errors.fetch_add(1, Ordering::Relaxed);
                let text = format!("the file can't be made: {error}");
                events.push(Event::RecordingFailed { peer, source, text });
            }
        }
    }

    fn end(&mut self, recording: RecordingId, now: Micros, events: &mut Vec<Event>) {
        let Some(state) = self.open.get_mut(&recording) else { return };
        if let Some(lost) = state.lost.take() {
            write_hole(&mut state.buffer, lost);
        }
        write_end(&mut state.buffer);
        self.write(recording, now, events);
        self.sync(recording, events);
        self.open.remove(&recording);
    }

    fn write_all(&mut self, now: Micros, events: &mut Vec<Event>) {
        for recording in self.open.keys().copied().collect::<Vec<_>>() {
            self.write(recording, now, events);
        }
    }

    fn sync_all(&mut self, now: Micros, events: &mut Vec<Event>) {
        self.synced_at = now;
        for recording in self.open.keys().copied().collect::<Vec<_>>() {
            self.sync(recording, events);
        }
    }

    fn write(&mut self, recording: RecordingId, now: Micros, events: &mut Vec<Event>) {
        let Some(state) = self.open.get_mut(&recording) else { return };
        if state.buffer.is_empty() {
            return;
        }
        let outcome = state.file.write_all(&state.buffer);
        let octets = state.buffer.len() as u64;
        state.buffer.clear();
        let packets = std::mem::take(&mut state.packets_in_buffer);
        match outcome {
            Ok(()) => {
                state.length += octets;
                state.unsynced = true;
                state.told = false;
                self.queue.counters.written.fetch_add(octets, Ordering::Relaxed);
            }
            Err(error) => {
                *state.lost.get_or_insert(0) += packets;
                self.queue.counters.errors.fetch_add(1, Ordering::Relaxed);
                self.queue.counters.dropped.fetch_add(packets, Ordering::Relaxed);
                // A file without its head, or with an entry torn in the middle that can't be cut off, is over:
                // what followed could not be read.
                let over = state.length == 0 || state.file.set_len(state.length).is_err();
                if over {
                    self.queue.forget(recording);
                } else {
                    self.queue.interrupt(recording, now.plus(RETRY_US));
                }
                if over || !std::mem::replace(&mut state.told, true) {
                    let text = format!("the file can't be written: {error}");
                    events.push(Event::RecordingFailed { peer: state.peer, source: state.source, text });
                }
                if over {
                    self.open.remove(&recording);
                }
            }
        }
    }

    fn sync(&mut self, recording: RecordingId, events: &mut Vec<Event>) {
        let Some(state) = self.open.get_mut(&recording) else { return };
        if !std::mem::take(&mut state.unsynced) {
            return;
        }
        if let Err(error) = state.file.sync_data() {
            self.queue.counters.errors.fetch_add(1, Ordering::Relaxed);
            let text = format!("the file is perhaps not on the disk: {error}");
            events.push(Event::RecordingFailed { peer: state.peer, source: state.source, text });
        }
    }
}

/// A new file for appending, and its folder; the folder is synced, so that the name survives a power cut.
fn create(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::tests::{head, packet, read};
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    use std::fs;
    use std::path::PathBuf;

    /// A folder of this test, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("luokkasilta-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn opening(path: PathBuf) -> Record {
        Record::Open(Opening { recording: 1, peer: 5, source: 101, path, head: head() })
    }

    fn batch(records: Vec<Record>) -> Batch {
        Batch { records: records.into(), ..Batch::default() }
    }

    fn kinds(path: &Path) -> Vec<u8> {
        read(&fs::read(path).expect("a file")).iter().map(|(kind, _)| *kind).collect()
    }

    #[test]
    fn a_recording_from_its_beginning_to_its_end() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("whole");
        let path = folder.0.join("lesson").join("a.part");
        let queue = RecordQueue::default();
        let mut files = Files::new(&queue);
        let mut events = Vec::new();
        files.turn(batch(vec![opening(path.clone())]), Micros(0), &mut events);
        assert_eq!(kinds(&path), [1], "the head is there at once");
        files.turn(batch(vec![Record::Packet(packet(1, 7, b"seven"))]), Micros(1), &mut events);
        assert_eq!(kinds(&path), [1, 2], "every turn is given to the kernel");
        let mut last = batch(vec![Record::Sync(9), Record::Close(1), Record::Packet(packet(1, 8, b"late"))]);
        last.shards_of_syncs.push_back(3);
        files.turn(last, Micros(2), &mut events);
        assert_eq!(kinds(&path), [1, 2, 4]);
        assert_eq!(events, [Event::RecordingsSynced { ticket: 9, shard: 3 }]);
        assert!(files.idle());
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    }

    #[test]
    fn a_file_that_is_there_is_never_touched() {
        let folder = Folder::new("exists");
        fs::create_dir_all(&folder.0).expect("a folder");
        let path = folder.0.join("a.part");
        fs::write(&path, b"precious").expect("a file");
        let queue = RecordQueue::default();
        let mut files = Files::new(&queue);
        let mut events = Vec::new();
        files.turn(batch(vec![opening(path.clone())]), Micros(0), &mut events);
        assert!(matches!(&events[..], [Event::RecordingFailed { peer: 5, source: 101, .. }]));
        assert_eq!(fs::read(&path).expect("there"), b"precious");
        assert_eq!(queue.counters.errors.load(Ordering::Relaxed), 1);
    }

    /// A file that was opened for reading stands for a disk that has gone.
    #[test]
    fn a_file_that_can_be_neither_written_nor_cut_is_over() {
        let folder = Folder::new("over");
        let path = folder.0.join("a.part");
        let queue = RecordQueue::default();
        let mut files = Files::new(&queue);
        let mut events = Vec::new();
        files.turn(batch(vec![opening(path.clone())]), Micros(0), &mut events);
        files.open.get_mut(&1).expect("open").file = File::open(&path).expect("for reading");
        files.turn(batch(vec![Record::Packet(packet(1, 1, b"x"))]), Micros(1), &mut events);
        assert_eq!(events.len(), 1);
        assert!(files.idle());
        files.turn(batch(vec![Record::Packet(packet(1, 2, b"x")), Record::Close(1)]), Micros(2), &mut events);
        assert_eq!(events.len(), 1, "told once");
        assert_eq!(kinds(&path), [1]);
    }

    /// A file in memory that may not grow stands for a disk without room: what is there stays, and it can be cut.
    #[test]
    fn a_full_disk_makes_a_hole_and_the_recording_goes_on() {
        let folder = Folder::new("full");
        let path = folder.0.join("a.part");
        let queue = RecordQueue::default();
        let mut told = Vec::new();
        let mut files = Files::new(&queue);
        queue.append(0, &mut vec![opening(path.clone())], Micros(0), &mut told);
        files.turn(queue.take(std::time::Duration::ZERO), Micros(0), &mut told);
        let mut full = File::from(memfd_create("full", MemfdFlags::ALLOW_SEALING).expect("a file in memory"));
        full.write_all(&fs::read(&path).expect("the head")).expect("room for the head");
        fcntl_add_seals(&full, SealFlags::GROW).expect("sealed");
        let good = std::mem::replace(&mut files.open.get_mut(&1).expect("open").file, full);
        let key = |index| {
            let mut packet = packet(1, index, b"k");
            packet.begins_key_frame = true;
            Record::Packet(packet)
        };
        for index in 1..4 {
            queue.append(0, &mut vec![key(index)], Micros(index as i64), &mut told);
            files.turn(queue.take(std::time::Duration::ZERO), Micros(index as i64), &mut told);
        }
        assert_eq!(told.len(), 1, "told once: {told:?}");
        files.open.get_mut(&1).expect("still open").file = good;
        let later = Micros(1 + RETRY_US);
        queue.append(0, &mut vec![key(4), Record::Close(1)], later, &mut told);
        files.turn(queue.take(std::time::Duration::ZERO), later, &mut told);
        let entries = read(&fs::read(&path).expect("a file"));
        assert_eq!(entries.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [1, 3, 2, 4]);
        assert_eq!(
            entries[1].1,
            3_u64.to_be_bytes(),
            "one that could not be written, two that were held back"
        );
        assert_eq!(told.len(), 1);
    }
}
