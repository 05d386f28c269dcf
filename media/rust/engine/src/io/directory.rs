//! Which shard a datagram belongs to, for receiving threads: by user name first, by address after.

use crate::output::{AddressChange, Origin, Path};
use crate::shard::local_ufrag;
use crate::wire::demux::{self, Packet};
use crate::wire::stun::Message;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Written when a peer comes or goes or an address is learnt, read once per datagram, and only where there is
/// more than one shard.
#[derive(Debug, Default)]
pub struct Directory {
    by_ufrag: RwLock<HashMap<String, usize>>,
    by_address: RwLock<HashMap<SocketAddr, usize>>,
}

impl Directory {
    /// A peer with this fragment belongs to the shard.
    pub fn add(&self, ufrag: &str, shard: usize) {
        write(&self.by_ufrag).insert(ufrag.to_owned(), shard);
    }

    /// The peer is gone.
    pub fn remove(&self, ufrag: &str) {
        write(&self.by_ufrag).remove(ufrag);
    }

    /// A shard learnt or forgot addresses.
    pub fn apply(&self, changes: &[AddressChange], shard: usize) {
        if changes.is_empty() {
            return;
        }
        let mut map = write(&self.by_address);
        for change in changes {
            match *change {
                AddressChange::Learnt(Origin::Udp(address)) => {
                    map.insert(address, shard);
                }
                AddressChange::Forgotten(Origin::Udp(address)) => {
                    if map.get(&address) == Some(&shard) {
                        map.remove(&address);
                    }
                }
                // A connection is moved to the thread that owns its peer; what comes over it is received there.
                AddressChange::Learnt(Origin::Tcp(_)) | AddressChange::Forgotten(Origin::Tcp(_)) => {}
            }
        }
    }

    /// The shard that a UDP datagram is for; `None` when no peer is known for it.
    pub fn shard_of(&self, datagram: &[u8], path: &Path) -> Option<usize> {
        if demux::classify(datagram) == Packet::Stun {
            return self.shard_of_check(datagram);
        }
        read(&self.by_address).get(&path.remote).copied()
    }

    /// The shard that a check is for, by its user name.
    pub fn shard_of_check(&self, datagram: &[u8]) -> Option<usize> {
        let message = Message::parse(datagram).ok()?;
        let ufrag = local_ufrag(message.username()?)?;
        read(&self.by_ufrag).get(ufrag).copied()
    }

    /// The shard begins anew: no address is its any more.
    pub fn forget_addresses(&self, shard: usize) {
        write(&self.by_address).retain(|_, owner| *owner != shard);
    }
}

// A panic elsewhere while the lock was held leaves a map that is still whole.

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
