//! A shard owns lessons: their peers, sources and slots. It is plain state: commands, datagrams and the time go
//! in, [`Output`] comes out. It knows no thread and no socket, and belongs to whoever runs it (`io::worker`).
//!
//! ```text
//! command ---> commands.rs --+
//! datagram --> ingress.rs ---+--> peers, sources --> streams.rs, forward.rs, repair.rs --> Output
//! time ------> reports.rs ---+
//! ```

mod burst;
mod commands;
mod feedback;
mod forward;
mod ingress;
mod recording;
mod repair;
mod reports;
mod stats;
mod streams;

use self::burst::Bursts;
use crate::command::CommandError;
use crate::event::Event;
use crate::output::{Origin, Output, Path};
use crate::peer::Peer;
use crate::source::Source;
use crate::time::{Micros, NtpEpoch};
use crate::types::{PeerId, SourceId};
use aws_lc_rs::rand;
use slab::Slab;
use std::collections::HashMap;

pub use commands::MAX_PEERS;
pub(crate) use ingress::local_ufrag;
pub use stats::ShardCounters;

/// The canonical name of all our streams: they share one clock (RFC 3550 section 6.5.1).
const CNAME: &[u8] = b"luokkasilta";

/// See the module.
pub struct Shard {
    number: usize,
    epoch: NtpEpoch,
    peers: Slab<Peer>,
    sources: Slab<Source>,
    peer_keys: HashMap<PeerId, usize>,
    source_keys: HashMap<SourceId, usize>,
    by_ufrag: HashMap<String, usize>,
    by_origin: HashMap<Origin, usize>,
    counters: ShardCounters,
    tick_at: Micros,
    /// Peers of whose sources something is missing; each once.
    repairing: Vec<usize>,
    repair_at: Micros,
    /// Recordings begun so far.
    recordings: u64,
    /// Taken in and not yet forwarded.
    bursts: Bursts,
    /// Lent to a compound packet that is being written; kept for its memory.
    scratch: Vec<u8>,
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(number: usize, epoch: NtpEpoch) -> Self {
        Self {
            number,
            epoch,
            peers: Slab::new(),
            sources: Slab::new(),
            peer_keys: HashMap::new(),
            source_keys: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_origin: HashMap::new(),
            counters: ShardCounters::default(),
            tick_at: Micros(0),
            repairing: Vec::new(),
            repair_at: Micros(0),
            recordings: 0,
            bursts: Bursts::default(),
            scratch: Vec::new(),
        }
    }

    /// An empty shard in this one's place, after a panic. Recordings that it names are none that this one named.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self { recordings: self.recordings, ..Self::new(self.number, self.epoch) }
    }

    fn key_of(&self, peer: PeerId) -> Result<usize, CommandError> {
        self.peer_keys.get(&peer).copied().ok_or(CommandError::UnknownPeer)
    }

    /// Protect the RTCP compound in `scratch` for the peer and put it into the output.
    fn send_rtcp(&mut self, key: usize, out: &mut Output) {
        let compound = std::mem::take(&mut self.scratch);
        if let Some(peer) = self.peers.get_mut(key)
            && let (Some(path), Some(srtp)) = (peer.ice.path(), peer.srtp.as_mut())
            && !compound.is_empty()
        {
            let start = out.start();
            out.arena.extend_from_slice(&compound);
            if srtp.outbound.protect_rtcp(&mut out.arena, start).is_ok() {
                out.finish(start, path);
                self.counters.rtcp_sent += 1;
            } else {
                out.arena.truncate(start);
            }
        }
        self.scratch = compound;
        self.scratch.clear();
    }

    fn fail(out: &mut Output, peer: PeerId, error: CommandError) {
        out.events.push(Event::CommandFailed { peer, error });
    }

    /// The path of a peer, for tests and tools.
    #[must_use]
    pub fn path_of(&self, peer: PeerId) -> Option<Path> {
        self.key_of(peer).ok().and_then(|key| self.peers[key].ice.path())
    }
}

/// A random number from the system's generator. It fails only where the system is broken beyond use.
fn random_u32() -> u32 {
    let mut octets = [0; 4];
    if rand::fill(&mut octets).is_err() {
        // Starting points need not be secret, only unlike: the nonce guard does not lean on them.
        return std::process::id().wrapping_mul(0x9e37_79b9);
    }
    u32::from_be_bytes(octets)
}
