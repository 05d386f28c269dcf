//! The bounded queues between the caller and the workers.

use crate::command::Command;
use crate::event::Event;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Commands that may wait for one shard. A further one is refused: the caller is told, nothing is lost unseen. Only
/// departures are always taken, or a peer would stay for ever; there are as many as peers.
pub const MAX_COMMANDS: usize = 16_384;
/// Events that may wait for the caller. Further ones are dropped, newest first, and counted per shard.
pub const MAX_EVENTS: usize = 65_536;
/// Faults of threads that may wait beside them; a caller that reads none of so many is gone.
pub const MAX_FAULTS: usize = 1_024;

/// A counter that a thread can wait for with poll (eventfd(2)).
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that has not rung.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Ring; ringing twice is ringing once. A full counter already rings, so the error is none.
    pub fn ring(&self) {
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Silence it.
    pub fn hush(&self) {
        let mut octets = [0; 8];
        let _ = rustix::io::read(&self.0, &mut octets);
    }

    /// For poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A panic elsewhere while the lock was held leaves a queue that is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Commands on their way to one shard.
pub struct Inbox {
    queue: Mutex<VecDeque<Command>>,
    /// Rings when something waits.
    pub bell: Bell,
}

impl Inbox {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        Ok(Self { queue: Mutex::new(VecDeque::new()), bell: Bell::new()? })
    }

    /// False when the queue is full.
    pub fn push(&self, command: Command) -> bool {
        let mut queue = lock(&self.queue);
        if queue.len() >= MAX_COMMANDS && !matches!(command, Command::RemovePeer(_)) {
            return false;
        }
        let was_empty = queue.is_empty();
        queue.push_back(command);
        drop(queue);
        if was_empty {
            self.bell.ring();
        }
        true
    }

    /// All that wait, oldest first.
    pub fn take(&self) -> VecDeque<Command> {
        std::mem::take(&mut *lock(&self.queue))
    }
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// Faults of threads: they find room always. Each thread rests after one, which bounds them.
    faults: usize,
    dropped: Vec<u64>,
}

/// Events on their way to the caller.
pub struct EventQueue {
    waiting: Mutex<Waiting>,
    /// Rings when something waits.
    pub bell: Bell,
}

impl EventQueue {
    /// An empty one for so many shards.
    pub fn new(shards: usize) -> io::Result<Self> {
        let waiting = Waiting { dropped: vec![0; shards], ..Waiting::default() };
        Ok(Self { waiting: Mutex::new(waiting), bell: Bell::new()? })
    }

    /// Move a shard's events in.
    pub fn append(&self, shard: usize, events: &mut Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let mut waiting = lock(&self.waiting);
        let was_empty = waiting.events.is_empty();
        let room = (MAX_EVENTS + waiting.faults).saturating_sub(waiting.events.len());
        let dropped = events.len().saturating_sub(room);
        waiting.events.extend(events.drain(..).take(room));
        events.clear();
        if let Some(count) = waiting.dropped.get_mut(shard) {
            *count += dropped as u64;
        }
        drop(waiting);
        if was_empty {
            self.bell.ring();
        }
    }

    /// A thread failed: told whatever else waits, but for [`MAX_FAULTS`] of them that nobody has read.
    pub fn fault(&self, event: Event) {
        let mut waiting = lock(&self.waiting);
        if waiting.faults < MAX_FAULTS {
            waiting.faults += 1;
            waiting.events.push_back(event);
        }
        drop(waiting);
        self.bell.ring();
    }

    /// All that wait, oldest first; what was dropped since the last call is said at the end.
    pub fn drain(&self) -> Vec<Event> {
        self.bell.hush();
        let mut waiting = lock(&self.waiting);
        waiting.faults = 0;
        let mut events: Vec<Event> = std::mem::take(&mut waiting.events).into();
        for (shard, count) in waiting.dropped.iter_mut().enumerate() {
            if *count > 0 {
                events.push(Event::EventsDropped { shard, count: std::mem::take(count) });
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_event_queue_drops_the_newest_and_says_so() {
        let queue = EventQueue::new(2).expect("eventfd");
        let event = |peer| Event::PeerSilent { peer };
        let mut many: Vec<_> = (0..MAX_EVENTS as u64 + 5).map(event).collect();
        queue.append(1, &mut many);
        assert!(many.is_empty());
        let drained = queue.drain();
        assert_eq!(drained.len(), MAX_EVENTS + 1);
        assert_eq!(drained[0], event(0));
        assert_eq!(drained[MAX_EVENTS], Event::EventsDropped { shard: 1, count: 5 });
        assert!(queue.drain().is_empty());
    }

    #[test]
    fn a_fault_is_told_by_a_full_event_queue_too() {
        let queue = EventQueue::new(1).expect("eventfd");
        let event = |peer| Event::PeerSilent { peer };
        let fault = || Event::ShardFailed { shard: 0, text: String::new() };
        queue.append(0, &mut (0..MAX_EVENTS as u64).map(event).collect());
        (0..MAX_FAULTS + 3).for_each(|_| queue.fault(fault()));
        queue.append(0, &mut vec![event(1)]);
        let drained = queue.drain();
        assert_eq!(drained.len(), MAX_EVENTS + MAX_FAULTS + 1);
        assert_eq!(drained[MAX_EVENTS], fault());
        assert_eq!(drained.last(), Some(&Event::EventsDropped { shard: 0, count: 1 }));
    }

    #[test]
    fn a_full_inbox_refuses() {
        let inbox = Inbox::new().expect("eventfd");
        for _ in 0..MAX_COMMANDS {
            assert!(inbox.push(Command::RequestStats(1)));
        }
        assert!(!inbox.push(Command::RequestStats(1)));
        assert!(inbox.push(Command::RemovePeer(1)), "who leaves is let go");
        assert_eq!(inbox.take().len(), MAX_COMMANDS + 1);
        assert!(inbox.push(Command::RequestStats(1)));
    }
}
