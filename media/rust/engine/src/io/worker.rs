//! A worker: one thread, one shard, one UDP socket and one TCP listener per bound address, and the connections of its
//! shard.

use super::connection::Connection;
use super::connections::{Connections, Ready, Turn};
use super::counters::count;
use super::directory::Directory;
use super::engine::Shared;
use super::socket::{BATCH, Blocked, UdpSocket};
use crate::command::Command;
use crate::event::Event;
use crate::fault::contain;
use crate::output::{Output, Path};
use crate::shard::Shard;
use crate::time::{Clock, Micros};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, TrySendError};
use std::thread;
use std::time::Duration;

/// Batches read before what they brought is sent: bounds the output of one turn.
const BATCHES_PER_TURN: usize = 4;
/// Where a device's queue was full, and nothing tells when it has room.
const TRY_AGAIN_US: i64 = 1_000;
/// After a panic a thread rests this long, so that one that comes again and again fills neither logs nor the processor.
pub(super) const REST: Duration = Duration::from_millis(500);

/// What another worker received and this one's shard owns.
pub enum Handover {
    /// A UDP datagram.
    Datagram {
        /// Its octets.
        data: Vec<u8>,
        /// Its way.
        path: Path,
    },
    /// A TCP connection.
    Connection {
        /// From now on this worker's.
        connection: Box<Connection>,
        /// The check that told whose it is.
        check: Vec<u8>,
    },
}

/// See the module.
pub struct Worker {
    pub(super) number: usize,
    pub(super) shard: Shard,
    pub(super) sockets: Vec<UdpSocket>,
    pub(super) connections: Connections,
    pub(super) handovers: Receiver<Handover>,
    /// Taken from the inbox and not carried out yet.
    pub(super) commands: VecDeque<Command>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) out: Output,
}

/// What ended a wait.
#[derive(Default)]
struct Woken {
    /// The bell of the inbox.
    rung: bool,
    /// UDP sockets that have something to read, or an error to tell.
    sockets: Vec<usize>,
    connections: Ready,
}

impl Worker {
    /// Run until the engine stops. A panic is told as an event, and the worker goes on with an empty shard: the
    /// endpoints join anew, and whatever it was that broke the old one has gone with it, or is told again.
    pub fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        while !shared.stopping.load(Ordering::Acquire) {
            let outcome = contain(|| {
                while !shared.stopping.load(Ordering::Acquire) {
                    self.turn();
                }
            });
            if let Err(text) = outcome {
                shared.events.fault(Event::ShardFailed { shard: self.number, text });
                if let Err(text) = contain(|| self.begin_anew()) {
                    shared.events.fault(Event::ShardFailed { shard: self.number, text });
                }
                thread::sleep(REST);
            }
        }
    }

    /// What a panic may have left half done is thrown away, with all that belongs to it. Commands that wait stay:
    /// those of peers that are gone are refused by name.
    fn begin_anew(&mut self) {
        let now = self.clock.now();
        let _ = self.shared.recordings.append(self.number, &mut self.out.records, now, &mut self.out.events);
        self.shard = self.shard.successor();
        self.out = Output::default();
        self.connections.close_all(&self.shared);
        self.shared.recordings.end_of_shard(self.number);
        self.shared.directory.forget_addresses(self.number);
    }

    fn turn(&mut self) {
        let woken = self.wait();
        let now = self.clock.now();
        if woken.rung {
            self.shared.inboxes[self.number].bell.hush();
        }
        self.commands.append(&mut self.shared.inboxes[self.number].take());
        while let Some(command) = self.commands.pop_front() {
            self.shard.handle_command(command, now, &mut self.out);
        }
        for _ in 0..BATCH * BATCHES_PER_TURN {
            match self.handovers.try_recv() {
                Ok(Handover::Datagram { mut data, path }) => {
                    self.shard.take_datagram(&mut data, path, now, &mut self.out);
                }
                Ok(Handover::Connection { connection, mut check }) => {
                    self.with_connections(now, |connections, turn| {
                        connections.adopt(*connection, &mut check, turn);
                    });
                }
                Err(_) => break,
            }
        }
        for &at in &woken.sockets {
            self.read(at, now);
        }
        self.with_connections(now, |connections, turn| connections.turn(&woken.connections, turn));
        self.shard.forward_taken(now, &mut self.out);
        self.shard.handle_time(now, &mut self.out);
        self.record(now);
        self.flush(now);
    }

    fn with_connections(&mut self, now: Micros, act: impl FnOnce(&mut Connections, &mut Turn<'_>)) {
        let mut turn = Turn {
            number: self.number,
            shard: &mut self.shard,
            shared: &self.shared,
            now,
            out: &mut self.out,
        };
        act(&mut self.connections, &mut turn);
    }

    fn wait(&self) -> Woken {
        let due =
            self.connections.next_time().map_or(self.shard.next_time(), |at| at.min(self.shard.next_time()));
        let mut wait_us = due.since(self.clock.now()).max(0);
        if self.sockets.iter().any(|socket| socket.blocked() == Some(Blocked::Device)) {
            wait_us = wait_us.min(TRY_AGAIN_US);
        }
        let timeout = Timespec { tv_sec: wait_us / 1_000_000, tv_nsec: (wait_us % 1_000_000) * 1_000 };
        let bell = &self.shared.inboxes[self.number].bell;
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(self.sockets.len() + 1);
        fds.push(PollFd::from_borrowed_fd(bell.fd(), PollFlags::IN));
        for socket in &self.sockets {
            let full = socket.blocked() == Some(Blocked::Buffer);
            let wanted = if full { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            fds.push(PollFd::from_borrowed_fd(socket.fd(), wanted));
        }
        let first = fds.len();
        self.connections.watch(&mut fds);
        // An interrupted wait is a short one.
        match poll(&mut fds, Some(&timeout)) {
            Ok(count) if count > 0 => Woken {
                rung: !fds[0].revents().is_empty(),
                sockets: (0..first - 1)
                    .filter(|at| !(fds[at + 1].revents() - PollFlags::OUT).is_empty())
                    .collect(),
                connections: self.connections.ready(&fds[first..]),
            },
            _ => Woken::default(),
        }
    }

    fn read(&mut self, at: usize, now: Micros) {
        for _ in 0..BATCHES_PER_TURN {
            let received = match self.sockets[at].receive() {
                Ok(received) => received,
                Err(_) => {
                    count(&self.shared.counters.receive_errors);
                    return;
                }
            };
            for datagram in 0..received {
                let Some((data, path)) = self.sockets[at].datagram(datagram) else {
                    count(&self.shared.counters.too_long);
                    continue;
                };
                if self.shared.inboxes.len() > 1
                    && let Some(owner) = self.shared.directory.shard_of(data, &path)
                    && owner != self.number
                {
                    hand_over(&self.shared, owner, data, path);
                    continue;
                }
                self.shard.take_datagram(data, path, now, &mut self.out);
            }
            if received < BATCH {
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

    fn flush(&mut self, now: Micros) {
        self.with_connections(now, |connections, turn| connections.flush(turn));
        let counters = &self.shared.counters;
        if !self.out.datagrams.is_empty() || self.sockets.iter().any(|socket| socket.blocked().is_some()) {
            for socket in &mut self.sockets {
                let sent = socket.send(&self.out);
                if sent.waited > 0 {
                    counters.send_buffer_waited.fetch_add(sent.waited, Ordering::Relaxed);
                    counters.send_waiting_most.fetch_max(socket.waited_most() as u64, Ordering::Relaxed);
                }
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
    match shared.handovers[owner].try_send(Handover::Datagram { data: data.to_vec(), path }) {
        Ok(()) => shared.inboxes[owner].bell.ring(),
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
            count(&shared.counters.handovers_dropped);
        }
    }
}
