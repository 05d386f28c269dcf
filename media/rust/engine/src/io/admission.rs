//! How many TCP connections there may be: in all, so that descriptors are left for the rest of the process, and from
//! one remote address, so that one stranger cannot take them all.

use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections in all, where the limit of open files allows.
pub const MAX_CONNECTIONS: usize = 4_096;
/// Connections from one address: a school's pupils sit behind one, each with a connection or two.
pub const MAX_PER_ADDRESS: usize = 256;

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There are as many as the engine takes.
    Full,
    /// There are as many as one address may have.
    Address,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Shared by all threads.
#[derive(Debug)]
pub struct Admission {
    counts: Mutex<Counts>,
    limit: usize,
}

/// A connection's right to be; given back when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// At most `limit` connections in all.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { counts: Mutex::default(), limit }
    }

    /// [`MAX_CONNECTIONS`], or half of the files that the process may open, where that is less.
    #[must_use]
    pub fn for_this_process() -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::new(MAX_CONNECTIONS.min(usize::try_from(files / 2).unwrap_or(usize::MAX)))
    }

    /// Take a connection from there, or say why not.
    pub fn admit(self: &Arc<Self>, remote: IpAddr) -> Result<Ticket, Refused> {
        let address = counted_as(remote);
        let mut counts = self.lock();
        if counts.total >= self.limit {
            return Err(Refused::Full);
        }
        let own = counts.by_address.entry(address).or_default();
        if *own >= MAX_PER_ADDRESS {
            return Err(Refused::Address);
        }
        *own += 1;
        counts.total += 1;
        Ok(Ticket { admission: Arc::clone(self), address })
    }

    /// A panic elsewhere while the lock was held leaves counts that are still whole.
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.admission.lock();
        counts.total = counts.total.saturating_sub(1);
        if let Some(own) = counts.by_address.get_mut(&self.address) {
            // Never a panic here: it may run while another is on its way, and two end the process.
            *own = own.saturating_sub(1);
            if *own == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// With IPv6 one customer has a network of 64 bits at least (RFC 6177), so that is what counts as one.
fn counted_as(remote: IpAddr) -> IpAddr {
    match remote {
        IpAddr::V4(_) => remote,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_does_not_take_them_all() {
        let admission = Arc::new(Admission::new(MAX_CONNECTIONS));
        let mut tickets: Vec<_> =
            (0..MAX_PER_ADDRESS).map(|_| admission.admit(ip("192.0.2.1")).expect("room")).collect();
        assert_eq!(admission.admit(ip("192.0.2.1")).err(), Some(Refused::Address));
        let other = admission.admit(ip("192.0.2.2")).expect("room");
        tickets.pop();
        tickets.push(admission.admit(ip("192.0.2.1")).expect("room again"));
        drop(tickets);
        drop(other);
        let counts = admission.lock();
        assert_eq!((counts.total, counts.by_address.len()), (0, 0));
    }

    #[test]
    fn a_network_of_64_bits_counts_as_one_address() {
        let admission = Arc::new(Admission::new(MAX_CONNECTIONS));
        let _tickets: Vec<_> = (0..MAX_PER_ADDRESS)
            .map(|n| admission.admit(ip(&format!("2001:db8::{n:x}"))).expect("room"))
            .collect();
        assert_eq!(admission.admit(ip("2001:db8::ffff:1")).err(), Some(Refused::Address));
        assert!(admission.admit(ip("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn the_engine_has_a_limit_of_its_own() {
        let admission = Arc::new(Admission::new(2));
        let one = admission.admit(ip("192.0.2.1")).expect("room");
        let _two = admission.admit(ip("192.0.2.2")).expect("room");
        assert_eq!(admission.admit(ip("192.0.2.3")).err(), Some(Refused::Full));
        drop(one);
        assert!(admission.admit(ip("192.0.2.3")).is_ok());
    }
}
