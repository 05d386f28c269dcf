//! The thread that writes all recordings. It alone waits for the disk; what it can't keep up with is dropped by the
//! queue's rule, and nobody else waits.

use super::files::Files;
use crate::event::Event;
use crate::fault::contain;
use crate::io::engine::Shared;
use crate::io::worker::REST;
use crate::time::Clock;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What came is given to the kernel this often.
pub const WRITE_EVERY: Duration = Duration::from_millis(100);
/// Without an open file only a request wakes the thread; this is a mere safeguard.
const IDLE: Duration = Duration::from_secs(1);

/// Run until the queue was stopped and is empty. A panic is told as an event. The files that were open then end where
/// they are, at their last whole entry (media/recording reads those of a killed server in the same way), and the thread
/// goes on with none.
pub fn run(shared: &Arc<Shared>, clock: Clock) {
    let queue = &shared.recordings;
    loop {
        let Err(text) = contain(|| write(shared, clock)) else { return };
        let mut events = Vec::new();
        queue.forget_all("the writer of recordings failed", &mut events);
        shared.events.fault(Event::WriterFailed { text });
        shared.events.append(0, &mut events);
        thread::sleep(REST);
    }
}

fn write(shared: &Shared, clock: Clock) {
    let queue = &shared.recordings;
    let mut files = Files::new(queue);
    let mut events = Vec::new();
    loop {
        let batch = queue.take(if files.idle() { IDLE } else { WRITE_EVERY });
        let last = batch.last;
        files.turn(batch, clock.now(), &mut events);
        if last {
            files.end_all(clock.now(), &mut events);
        }
        // What is dropped here is counted for the first shard: the event queue counts by shard.
        shared.events.append(0, &mut events);
        if last {
            return;
        }
    }
}
