//! What the threads count, and under which names.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the counters once: as fields and as names.
macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// Counters of the input and output of all threads; they only grow.
        #[derive(Debug, Default)]
        pub struct IoCounters {
            $($(#[$doc])+ pub $name: AtomicU64,)+
        }

        impl IoCounters {
            /// All of them, by name.
            #[must_use]
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)+]
            }
        }
    };
}

counters! {
    /// Datagrams that a socket or a connection took.
    sent,
    /// Datagrams dropped: the send buffer of a UDP socket was full, and as much waited already as may.
    send_buffer_full,
    /// Datagrams that found the send buffer of a UDP socket full and waited for it.
    send_buffer_waited,
    /// The most octets that ever waited for the send buffer of one UDP socket.
    send_waiting_most,
    /// Datagrams dropped: another error of sending, or their connection had been closed.
    send_errors,
    /// Errors of receiving.
    receive_errors,
    /// UDP datagrams longer than the buffer, dropped.
    too_long,
    /// Datagrams, or whole connections, dropped on the way to their shard.
    handovers_dropped,
    /// TCP connections taken.
    tcp_accepted,
    /// TCP connections that were taken and are closed, whoever closed them and why; so `tcp_accepted - tcp_closed`
    /// are open.
    tcp_closed,
    /// TCP connections not taken: there are as many as the engine takes.
    tcp_refused_full,
    /// TCP connections not taken: there are as many as one remote address may have.
    tcp_refused_address,
    /// Errors of accepting TCP connections; the listener then rests for a moment.
    tcp_accept_errors,
    /// TCP connections closed: no authenticated check came in time.
    tcp_unauthenticated,
    /// TCP connections closed: broken framing, or something else than STUN before an authenticated check.
    tcp_malformed,
    /// Datagrams dropped whole: as much waits for their connection as may, or what waits is late.
    tcp_send_buffer_full,
}

/// One more.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
