//! A worker: one thread, one shard, one socket per bound address.

use super::directory::Directory;
use super::engine::Shared;
use super::socket::{BATCH, UdpSocket};
use crate::event::Event;
use crate::output::{Output, Path};
use crate::shard::Shard;
use crate::time::{Clock, Micros};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TrySendError};

/// Batches read before what they brought is sent: bounds the output of one turn.
const BATCHES_PER_TURN: usize = 4;

/// A datagram that another worker's socket received.
pub struct Handover {
    /// Its octets.
    pub data: Vec<u8>,
    /// Its way.
    pub path: Path,
}

/// See the module.
pub struct Worker {
    pub(super) number: usize,
    pub(super) shard: Shard,
    pub(super) sockets: Vec<UdpSocket>,
    pub(super) handovers: Receiver<Handover>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) out: Output,
}

impl Worker {
    /// Run until the engine stops. A panic is told as an event and ends the thread; it crosses no boundary.
    pub fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let number = self.number;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while !shared.stopping.load(Ordering::Acquire) {
                self.turn();
            }
        }));
        if let Err(panic) = outcome {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "panic".to_owned());
            shared.events.append(number, &mut vec![Event::ShardFailed { shard: number, text }]);
        }
    }

    fn turn(&mut self) {
        self.wait();
        let now = self.clock.now();
        self.shared.inboxes[self.number].bell.hush();
        for command in self.shared.inboxes[self.number].take() {
            self.shard.handle_command(command, now, &mut self.out);
        }
        for _ in 0..BATCH * BATCHES_PER_TURN {
            let Ok(mut handover) = self.handovers.try_recv() else { break };
            self.shard.handle_datagram(&mut handover.data, handover.path, now, &mut self.out);
        }
        for at in 0..self.sockets.len() {
            self.read(at, now);
        }
        self.shard.handle_time(now, &mut self.out);
        self.record(now);
        self.flush();
    }

    fn wait(&self) {
        let wait_us = self.shard.next_time().since(self.clock.now()).max(0);
        let timeout = Timespec { tv_sec: wait_us / 1_000_000, tv_nsec: (wait_us % 1_000_000) * 1_000 };
        let bell = &self.shared.inboxes[self.number].bell;
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(self.sockets.len() + 1);
        fds.push(PollFd::from_borrowed_fd(bell.fd(), PollFlags::IN));
        for socket in &self.sockets {
            fds.push(PollFd::from_borrowed_fd(socket.fd(), PollFlags::IN));
        }
        // An interrupted wait is a short one.
        let _ = poll(&mut fds, Some(&timeout));
    }

    fn read(&mut self, at: usize, now: Micros) {
        for _ in 0..BATCHES_PER_TURN {
            let count = match self.sockets[at].receive() {
                Ok(count) => count,
                Err(_) => {
                    self.shared.counters.receive_errors.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            };
            for datagram in 0..count {
                let Some((data, path)) = self.sockets[at].datagram(datagram) else {
                    self.shared.counters.too_long.fetch_add(1, Ordering::Relaxed);
                    continue;
                };
                if self.shared.inboxes.len() > 1
                    && let Some(owner) = self.shared.directory.shard_of(data, &path)
                    && owner != self.number
                {
                    hand_over(&self.shared, owner, data, path);
                    continue;
                }
                self.shard.handle_datagram(data, path, now, &mut self.out);
            }
            if count < BATCH {
                return;
            }
        }
    }

    fn record(&mut self, now: Micros) {
        let out = &mut self.out;
        let wanted = self.shared.recordings.append(self.number, &mut out.records, now, &mut out.events);
        for source in wanted {
            self.shard.want_key_frame(source);
        }
    }

    fn flush(&mut self) {
        let counters = &self.shared.counters;
        if !self.out.datagrams.is_empty() {
            for socket in &self.sockets {
                let sent = socket.send(&self.out);
                counters.sent.fetch_add(sent.sent, Ordering::Relaxed);
                counters.send_buffer_full.fetch_add(sent.full, Ordering::Relaxed);
                counters.send_errors.fetch_add(sent.failed, Ordering::Relaxed);
            }
            self.out.clear_datagrams();
        }
        if self.shared.inboxes.len() > 1 {
            Directory::apply(&self.shared.directory, &self.out.addresses, self.number);
        }
        self.out.addresses.clear();
        self.shared.events.append(self.number, &mut self.out.events);
    }
}

/// To the shard that owns the peer. Where its queue is full the datagram is dropped, as a full socket would.
fn hand_over(shared: &Shared, owner: usize, data: &[u8], path: Path) {
    match shared.handovers[owner].try_send(Handover { data: data.to_vec(), path }) {
        Ok(()) => shared.inboxes[owner].bell.ring(),
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
            shared.counters.handovers_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
