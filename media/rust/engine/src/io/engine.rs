//! The engine as its caller sees it: started, given commands, drained of events, closed.

use super::admission::Admission;
use super::bind::bind_all;
use super::connections::Connections;
use super::counters::IoCounters;
use super::directory::Directory;
use super::queue::{EventQueue, Inbox};
use super::recording::queue::{RecordQueue, RecordingCounters};
use super::recording::writer;
use super::socket::UdpSocket;
use super::worker::{Handover, Worker};
use crate::command::Command;
use crate::event::Event;
use crate::fault::contain;
use crate::output::Output;
use crate::shard::Shard;
use crate::time::Clock;
use crate::types::PeerId;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Datagrams and connections that may wait to be handed to another shard.
const MAX_HANDOVERS: usize = 4_096;
/// Sockets that one engine may have; the index is an octet.
const MAX_ADDRESSES: usize = 64;
/// Threads that one engine may have.
pub const MAX_SHARDS: usize = 64;

/// What all threads share.
pub struct Shared {
    pub(super) inboxes: Vec<Inbox>,
    pub(super) handovers: Vec<SyncSender<Handover>>,
    pub(super) directory: Directory,
    pub(super) events: EventQueue,
    pub(super) stopping: AtomicBool,
    pub(super) counters: IoCounters,
    /// TCP connections that there have been.
    pub(super) connections: AtomicU64,
    pub(super) recordings: RecordQueue,
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostError {
    /// The engine is closed.
    Closed,
    /// The shard's queue is full.
    Full,
    /// No peer of this name was added, or it was removed.
    UnknownPeer,
    /// There is no such shard.
    UnknownShard,
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the engine is closed",
            Self::Full => "the engine's command queue is full",
            Self::UnknownPeer => "no such peer",
            Self::UnknownShard => "no such shard",
        })
    }
}

struct PeerPlace {
    shard: usize,
    /// The current one last, and before it the one from before the last ICE restart.
    ufrags: VecDeque<String>,
}

impl PeerPlace {
    /// The fragment that a restart makes useless.
    fn restart(&mut self, ufrag: &str) -> Option<String> {
        self.ufrags.push_back(ufrag.to_owned());
        if self.ufrags.len() > 2 { self.ufrags.pop_front() } else { None }
    }
}

/// See the module.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    places: Mutex<HashMap<PeerId, PeerPlace>>,
    local: Vec<SocketAddr>,
}

impl Engine {
    /// Bind all addresses, UDP and TCP, and start the threads. Addresses with port 0 get the port of the first, so
    /// that the engine has one port.
    pub fn start(bind: &[SocketAddr], shards: usize) -> io::Result<Self> {
        if bind.is_empty() || bind.len() > MAX_ADDRESSES || shards == 0 || shards > MAX_SHARDS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "1 to 64 addresses and 1 to 64 shards"));
        }
        let sockets = bind_all(bind, shards)?;
        let local: Vec<SocketAddr> = sockets[0].udp.iter().map(UdpSocket::local).collect();
        let mut handovers = Vec::new();
        let mut receivers = Vec::new();
        for _ in 0..shards {
            let (sender, receiver) = sync_channel(MAX_HANDOVERS);
            handovers.push(sender);
            receivers.push(receiver);
        }
        let shared = Arc::new(Shared {
            inboxes: (0..shards).map(|_| Inbox::new()).collect::<io::Result<_>>()?,
            handovers,
            directory: Directory::default(),
            events: EventQueue::new(shards)?,
            stopping: AtomicBool::new(false),
            counters: IoCounters::default(),
            connections: AtomicU64::new(0),
            recordings: RecordQueue::default(),
        });
        let admission = Arc::new(Admission::for_this_process());
        let clock = Clock::start();
        let engine = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::new(Vec::new()),
            writer: Mutex::new(None),
            places: Mutex::new(HashMap::new()),
            local,
        };
        let writing = Arc::clone(&shared);
        let writer = thread::Builder::new()
            .name("recordings".to_owned())
            .spawn(move || writer::run(&writing, clock))?;
        *engine.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        for (number, (handovers, sockets)) in receivers.into_iter().zip(sockets).enumerate() {
            let worker = Worker {
                number,
                shard: Shard::new(number, clock.epoch()),
                sockets: sockets.udp,
                connections: Connections::new(sockets.tcp, Arc::clone(&admission)),
                handovers,
                commands: VecDeque::new(),
                shared: Arc::clone(&shared),
                clock,
                out: Output::default(),
            };
            let thread =
                thread::Builder::new().name(format!("shard-{number}")).spawn(move || worker.run())?;
            engine.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(engine)
    }

    /// The bound addresses.
    #[must_use]
    pub fn local(&self) -> &[SocketAddr] {
        &self.local
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.shared.inboxes.len()
    }

    /// Readable when [`Self::drain`] has something to give.
    #[must_use]
    pub fn event_fd(&self) -> BorrowedFd<'_> {
        self.shared.events.bell.fd()
    }

    /// Counters of the input and output.
    #[must_use]
    pub fn counters(&self) -> &IoCounters {
        &self.shared.counters
    }

    /// Counters of the recordings.
    #[must_use]
    pub fn recording_counters(&self) -> &RecordingCounters {
        &self.shared.recordings.counters
    }

    /// A new peer in a shard. All other commands find the shard by the peer.
    pub fn add_peer(&self, shard: usize, spec: crate::command::AddPeer) -> Result<(), PostError> {
        if shard >= self.shards() {
            return Err(PostError::UnknownShard);
        }
        let (peer, ufrag) = (spec.peer, spec.local_ufrag.clone());
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !places.contains_key(&peer);
        if is_new {
            self.shared.directory.add(&ufrag, shard);
            places.insert(peer, PeerPlace { shard, ufrags: VecDeque::from([ufrag.clone()]) });
        }
        let pushed = self.push(shard, Command::AddPeer(spec));
        if is_new && pushed.is_err() {
            self.shared.directory.remove(&ufrag);
            places.remove(&peer);
        }
        pushed
    }

    /// Give a command to the shard of its peer, or to all where it is for none.
    pub fn post(&self, command: Command) -> Result<(), PostError> {
        match command {
            Command::AddPeer(spec) => self.add_peer(0, spec),
            Command::RequestStats(ticket) => {
                (0..self.shards()).try_for_each(|shard| self.push(shard, Command::RequestStats(ticket)))
            }
            Command::SyncRecordings(ticket) => {
                (0..self.shards()).try_for_each(|shard| self.push(shard, Command::SyncRecordings(ticket)))
            }
            command => {
                let peer = command.peer().ok_or(PostError::UnknownPeer)?;
                let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
                let place = places.get_mut(&peer).ok_or(PostError::UnknownPeer)?;
                let shard = place.shard;
                let useless = match &command {
                    Command::RestartIce(spec) => {
                        self.shared.directory.add(&spec.local_ufrag, shard);
                        place.restart(&spec.local_ufrag).into_iter().collect()
                    }
                    Command::RemovePeer(_) => {
                        places.remove(&peer).map(|gone| gone.ufrags).unwrap_or_default()
                    }
                    _ => VecDeque::new(),
                };
                for ufrag in &useless {
                    self.shared.directory.remove(ufrag);
                }
                drop(places);
                self.push(shard, command)
            }
        }
    }

    fn push(&self, shard: usize, command: Command) -> Result<(), PostError> {
        if self.shared.stopping.load(Ordering::Acquire) {
            return Err(PostError::Closed);
        }
        if self.shared.inboxes[shard].push(command) { Ok(()) } else { Err(PostError::Full) }
    }

    /// All events that wait, oldest first; never blocks.
    #[must_use]
    pub fn drain(&self) -> Vec<Event> {
        self.shared.events.drain()
    }

    /// Stop and join the threads and close the sockets. Idempotent.
    pub fn close(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        for inbox in &self.shared.inboxes {
            inbox.bell.ring();
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // Every thread catches its own panics.
            let _ = thread.join();
        }
        // Last, because what the workers recorded up to their end is to be written too.
        self.shared.recordings.stop();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Whoever drops it may be in no state for a panic.
        let _ = contain(|| self.close());
    }
}

#[cfg(test)]
mod tests;
