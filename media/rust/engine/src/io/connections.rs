//! The TCP connections of one worker: accepted, read, written and closed in its turns. No thread waits for one.
//!
//! A connection is accepted by whichever worker the kernel picks and moves, once, to the worker whose shard owns the
//! peer: the user name of its first check tells (RFC 6544 section 6.1 has the active side send checks first).

use super::admission::{Admission, Refused};
use super::connection::{AUTHENTICATE_WITHIN_US, Connection, READ, Received};
use super::counters::count;
use super::engine::Shared;
use super::listener::{Accepted, Listener};
use super::worker::Handover;
use crate::output::{AddressChange, ConnectionId, Origin, Output, Path};
use crate::shard::Shard;
use crate::time::Micros;
use crate::wire::demux::{self, Packet};
use rustix::event::{PollFd, PollFlags};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::TrySendError;

/// Connections accepted, and connections read, in one turn: bounds the turn. The rest is there in the next.
const ACCEPTS_PER_TURN: usize = 64;
const READS_PER_TURN: usize = 64;
/// A process without descriptors tries again after this long, rather than over and over.
const ACCEPT_REST_US: i64 = 100_000;

/// What a turn works with.
pub struct Turn<'a> {
    /// The worker's number.
    pub number: usize,
    /// Its shard.
    pub shard: &'a mut Shard,
    /// What all workers share.
    pub shared: &'a Shared,
    /// The time of the turn.
    pub now: Micros,
    /// What the shard wants done.
    pub out: &'a mut Output,
}

/// What poll found.
#[derive(Default)]
pub struct Ready {
    accept: bool,
    readable: Vec<ConnectionId>,
    writable: Vec<ConnectionId>,
}

/// See the module.
pub struct Connections {
    listeners: Vec<Listener>,
    open: HashMap<ConnectionId, Connection>,
    admission: Arc<Admission>,
    /// Connections that got something to write in this turn.
    written_to: Vec<ConnectionId>,
    rest_until: Option<Micros>,
    /// Where among the ready ones the next turn begins to read.
    first: usize,
    scratch: Vec<u8>,
}

impl Connections {
    /// None yet.
    pub fn new(listeners: Vec<Listener>, admission: Arc<Admission>) -> Self {
        Self {
            listeners,
            open: HashMap::new(),
            admission,
            written_to: Vec::new(),
            rest_until: None,
            first: 0,
            scratch: vec![0; READ],
        }
    }

    /// What poll is to watch; [`Self::ready`] reads its answer, given the same order.
    pub fn watch<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        let accepts = if self.rest_until.is_none() { PollFlags::IN } else { PollFlags::empty() };
        for listener in &self.listeners {
            fds.push(PollFd::from_borrowed_fd(listener.fd(), accepts));
        }
        for connection in self.open.values() {
            let flags = if connection.blocked { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            fds.push(PollFd::from_borrowed_fd(connection.fd(), flags));
        }
    }

    /// What poll found, from the part of its answer that [`Self::watch`] asked for.
    pub fn ready(&self, fds: &[PollFd<'_>]) -> Ready {
        let (listeners, connections) = fds.split_at(self.listeners.len());
        let with = |flags: PollFlags| {
            self.open
                .keys()
                .zip(connections)
                .filter(move |(_, fd)| fd.revents().intersects(flags))
                .map(|(&id, _)| id)
                .collect()
        };
        Ready {
            accept: listeners.iter().any(|fd| !fd.revents().is_empty()),
            readable: with(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
            writable: with(PollFlags::OUT),
        }
    }

    /// When there is something to do though nothing comes.
    pub fn next_time(&self) -> Option<Micros> {
        self.open
            .values()
            .filter(|connection| !connection.authenticated)
            .map(|connection| connection.opened_at.plus(AUTHENTICATE_WITHIN_US))
            .chain(self.rest_until)
            .min()
    }

    /// Accept, read and expire.
    pub fn turn(&mut self, ready: &Ready, turn: &mut Turn<'_>) {
        if self.rest_until.is_some_and(|until| until <= turn.now) {
            self.rest_until = None;
        }
        if ready.accept {
            self.accept(turn);
        }
        for &id in &ready.writable {
            if let Some(connection) = self.open.get_mut(&id) {
                connection.blocked = false;
                self.written_to.push(id);
            }
        }
        let readable = &ready.readable;
        let first = if readable.is_empty() { 0 } else { self.first % readable.len() };
        self.first = first + READS_PER_TURN;
        for &id in readable[first..].iter().chain(&readable[..first]).take(READS_PER_TURN) {
            let Some(connection) = self.open.get_mut(&id) else { continue };
            match connection.receive(&mut self.scratch) {
                Received::Octets => self.deliver(id, turn),
                Received::Nothing => {}
                Received::Ended => self.close(id, None, turn),
            }
        }
        self.expire(turn);
    }

    /// A connection that another worker accepted, with the check that told whose it is.
    pub fn adopt(&mut self, connection: Connection, check: &mut [u8], turn: &mut Turn<'_>) {
        let (id, path) = (connection.id, connection.path);
        let connection = self.open.entry(id).or_insert(connection);
        turn.shard.handle_datagram(check, path, turn.now, turn.out);
        connection.authenticated = turn.shard.knows_connection(id);
        self.deliver(id, turn);
    }

    /// Send the datagrams of the turn that go over connections, and close those that the shard needs no more.
    pub fn flush(&mut self, turn: &mut Turn<'_>) {
        let counters = &turn.shared.counters;
        for datagram in &turn.out.datagrams {
            let Some(id) = datagram.path.connection else { continue };
            let Some(connection) = self.open.get_mut(&id) else {
                count(&counters.send_errors);
                continue;
            };
            if connection.push(turn.out.octets(datagram), turn.now) {
                count(&counters.sent);
                if self.written_to.last() != Some(&id) {
                    self.written_to.push(id);
                }
            } else {
                count(&counters.tcp_send_buffer_full);
            }
        }
        for id in std::mem::take(&mut self.written_to) {
            if let Some(connection) = self.open.get_mut(&id)
                && connection.write().is_err()
            {
                self.close(id, None, turn);
            }
        }
        let forgotten: Vec<_> = turn
            .out
            .addresses
            .iter()
            .filter_map(|change| match change {
                AddressChange::Forgotten(Origin::Tcp(id)) if !turn.shard.knows_connection(*id) => Some(*id),
                _ => None,
            })
            .collect();
        for id in forgotten {
            self.close(id, None, turn);
        }
    }

    /// The shard failed and knows none of them any more.
    pub fn close_all(&mut self, shared: &Shared) {
        for connection in std::mem::take(&mut self.open).into_values() {
            count(&shared.counters.tcp_closed);
            drop(connection);
        }
        self.written_to.clear();
    }

    fn accept(&mut self, turn: &mut Turn<'_>) {
        for listener in &self.listeners {
            for _ in 0..ACCEPTS_PER_TURN {
                match listener.accept() {
                    Ok(None) => break,
                    Ok(Some(accepted)) => {
                        let connection = welcome(accepted, listener.number(), &self.admission, turn);
                        if let Some(connection) = connection {
                            self.open.insert(connection.id, connection);
                        }
                    }
                    Err(_) => {
                        count(&turn.shared.counters.tcp_accept_errors);
                        self.rest_until = Some(turn.now.plus(ACCEPT_REST_US));
                        return;
                    }
                }
            }
        }
    }

    /// Give the whole frames of a connection to the shard, or the connection to the worker whose shard they are for.
    fn deliver(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        while let Some(frame) = connection.deframer.next_frame() {
            let Ok(frame) = frame else {
                self.close(id, Some(&turn.shared.counters.tcp_malformed), turn);
                return;
            };
            if !connection.authenticated {
                if demux::classify(frame) != Packet::Stun {
                    self.close(id, Some(&turn.shared.counters.tcp_malformed), turn);
                    return;
                }
                if turn.shared.inboxes.len() > 1
                    && let Some(owner) = turn.shared.directory.shard_of_check(frame)
                    && owner != turn.number
                {
                    let check = frame.to_vec();
                    if let Some(connection) = self.open.remove(&id) {
                        hand_over(turn.shared, owner, connection, check);
                    }
                    return;
                }
            }
            turn.shard.take_datagram(frame, connection.path, turn.now, turn.out);
            if !connection.authenticated {
                connection.authenticated = turn.shard.knows_connection(id);
            }
        }
    }

    fn expire(&mut self, turn: &mut Turn<'_>) {
        let late: Vec<_> = self
            .open
            .values()
            .filter(|connection| {
                !connection.authenticated && turn.now.since(connection.opened_at) >= AUTHENTICATE_WITHIN_US
            })
            .map(|connection| connection.id)
            .collect();
        for id in late {
            self.close(id, Some(&turn.shared.counters.tcp_unauthenticated), turn);
        }
    }

    fn close(&mut self, id: ConnectionId, reason: Option<&AtomicU64>, turn: &mut Turn<'_>) {
        let Some(connection) = self.open.remove(&id) else { return };
        turn.shard.connection_closed(id, turn.now, turn.out);
        count(&turn.shared.counters.tcp_closed);
        if let Some(reason) = reason {
            count(reason);
        }
        // Who sees it closed may look at the counters.
        drop(connection);
    }
}

/// A connection from what was accepted, unless there are too many; then it is closed at once.
fn welcome(
    accepted: Accepted,
    socket: u8,
    admission: &Arc<Admission>,
    turn: &Turn<'_>,
) -> Option<Connection> {
    let counters = &turn.shared.counters;
    let Accepted { stream, local, remote } = accepted;
    let ticket = match admission.admit(remote.ip()) {
        Ok(ticket) => ticket,
        Err(Refused::Full) => {
            count(&counters.tcp_refused_full);
            return None;
        }
        Err(Refused::Address) => {
            count(&counters.tcp_refused_address);
            return None;
        }
    };
    count(&counters.tcp_accepted);
    let id = ConnectionId::MIN.saturating_add(turn.shared.connections.fetch_add(1, Ordering::Relaxed));
    let path = Path { socket, local: local.ip(), remote, connection: Some(id) };
    Some(Connection::new(stream, path, id, turn.now, ticket))
}

/// To the worker that owns the peer. Where its queue is full the connection is closed; the other end tries again.
fn hand_over(shared: &Shared, owner: usize, connection: Connection, check: Vec<u8>) {
    match shared.handovers[owner].try_send(Handover::Connection { connection: Box::new(connection), check }) {
        Ok(()) => shared.inboxes[owner].bell.ring(),
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
            count(&shared.counters.handovers_dropped);
            count(&shared.counters.tcp_closed);
        }
    }
}
