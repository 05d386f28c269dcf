//! One source of a publisher: its layers, what is received of each, and who plays them.

use crate::capture::SourceClock;
use crate::command::Publish;
use crate::loudness::Loudness;
use crate::receive::ReceiveStats;
use crate::record::tap::Tap;
use crate::repair::cache::PacketCache;
use crate::repair::lost::Missing;
use crate::repair::recovered::FrameOrder;
use crate::repair::tail::Tail;
use crate::time::Micros;
use crate::types::{LayerIndex, SourceId};
use crate::window::{Standing, Window};
use crate::wire::dependency::Structure;
use crate::wire::rtp::TimestampUnwrapper;

/// A half of some peer that wants or plays a layer, by its places in the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The peer's key in the shard.
    pub peer: usize,
    /// The half's place in the peer.
    pub half: usize,
}

/// One layer.
#[derive(Debug)]
pub struct Layer {
    /// Its restriction identifier, where simulcast is used.
    pub rid: Option<String>,
    /// Its SSRC, once known.
    pub ssrc: Option<u32>,
    /// The SSRC of its retransmissions, once known.
    pub rtx_ssrc: Option<u32>,
    /// What is missing of it.
    pub missing: Missing,
    /// The picture of it that is under way.
    pub tail: Tail,
    /// Its last packets, where it is a picture.
    pub cache: PacketCache,
    /// Which packets came, by themselves or repaired.
    seen: Window,
    /// What was received.
    pub stats: ReceiveStats,
    /// From timestamps to capture times.
    pub clock: SourceClock,
    /// From 32 bits to a line.
    pub timestamps: TimestampUnwrapper,
    /// When the last packet came.
    pub heard_at: Option<Micros>,
    /// The caller was told that it is live.
    pub live: bool,
    /// What the dependency descriptors of its frames refer to (AV1).
    pub structure: Option<Structure>,
    /// Where the earlier frames of redundant audio belong; filled where the publisher may send that.
    pub order: FrameOrder,
    /// Frames that came along with a later one and by no other way.
    pub recovered: u64,
    /// Who plays it.
    pub subscribers: Vec<Subscriber>,
}

impl Layer {
    fn new(rid: Option<String>, ssrc: Option<u32>, rate: u32) -> Self {
        Self {
            rid,
            ssrc,
            rtx_ssrc: None,
            missing: Missing::default(),
            tail: Tail::default(),
            cache: PacketCache::default(),
            seen: Window::default(),
            stats: ReceiveStats::default(),
            clock: SourceClock::new(rate),
            timestamps: TimestampUnwrapper::default(),
            heard_at: None,
            live: false,
            structure: None,
            order: FrameOrder::default(),
            recovered: 0,
            subscribers: Vec::new(),
        }
    }

    /// Another RTP stream stands for this layer from now on, so what was counted of the old one is over.
    /// The caller lets the halves that play it begin anew.
    pub fn restart(&mut self, rate: u32) {
        let fresh = Self::new(self.rid.take(), self.ssrc, rate);
        let subscribers = std::mem::take(&mut self.subscribers);
        *self = Self { subscribers, rtx_ssrc: self.rtx_ssrc, ..fresh };
    }

    /// The highest extended sequence number that came.
    #[must_use]
    pub fn highest(&self) -> Option<u64> {
        self.seen.highest()
    }

    /// Whether this packet is the first with its number; it counts as seen. A retransmission and the packet itself
    /// may both come.
    pub fn is_first(&mut self, index: u64) -> bool {
        let first = self.seen.standing(index) == Standing::New;
        if first {
            self.seen.mark(index);
        }
        first
    }

    /// The extended number that a retransmission's original sequence number stands for: the nearest to the highest.
    #[must_use]
    pub fn index_of(&self, sequence: u16) -> Option<u64> {
        let highest = self.seen.highest()?;
        highest.checked_add_signed(i64::from(sequence.wrapping_sub(highest as u16) as i16))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Source {
    /// What it was made from.
    pub spec: Publish,
    /// The publisher's key in the shard.
    pub owner: usize,
    /// From high to low.
    pub layers: Vec<Layer>,
    /// How loud it is, where its packets say so.
    pub loudness: Loudness,
    /// It is recorded.
    pub tap: Option<Tap>,
}

impl Source {
    /// A source of which nothing has come yet.
    #[must_use]
    pub fn new(spec: Publish, owner: usize) -> Self {
        let layers = spec
            .layers
            .iter()
            .map(|layer| Layer::new(layer.rid.clone(), layer.ssrc, spec.clock_rate))
            .collect();
        Self { spec, owner, layers, loudness: Loudness::default(), tap: None }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> SourceId {
        self.spec.source
    }

    /// The layer that a packet with this rid belongs to; without simulcast there is one, without a rid.
    #[must_use]
    pub fn layer_of_rid(&self, rid: Option<&[u8]>) -> Option<LayerIndex> {
        let at = match rid {
            Some(rid) => self
                .layers
                .iter()
                .position(|layer| layer.rid.as_ref().is_some_and(|own| own.as_bytes() == rid)),
            None => (self.layers.len() == 1).then_some(0),
        };
        at.and_then(|at| LayerIndex::try_from(at).ok())
    }
}
