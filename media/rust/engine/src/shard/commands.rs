//! Commands: the caller's changes of a shard's state.

use super::{Shard, random_u32};
use crate::command::{AddPeer, AddSlot, Command, CommandError, MAX_LAYERS, Publish, RestartIce};
use crate::event::Event;
use crate::output::{AddressChange, Output};
use crate::peer::{Peer, Stream};
use crate::record::Record;
use crate::slot::{Beginnings, Half};
use crate::source::{Source, Subscriber};
use crate::temporal::ALL;
use crate::time::Micros;
use crate::types::{Feed, Media, PeerId, SlotIndex, SourceId};

/// Peers that a shard takes; further ones are refused.
pub const MAX_PEERS: usize = 10_000;

impl Shard {
    /// Carry out a command. Commands of one peer come in the order in which they were given.
    pub fn handle_command(&mut self, command: Command, now: Micros, out: &mut Output) {
        self.forward_taken(now, out);
        let peer = command.peer().unwrap_or(0);
        let result = match command {
            Command::AddPeer(spec) => self.add_peer(&spec, now),
            Command::RestartIce(spec) => self.restart_ice(spec),
            Command::SetKeys(keys) => self.key_of(keys.peer).and_then(|key| self.peers[key].set_keys(&keys)),
            Command::SendDtls(peer, data) => self.send_dtls(peer, &data, out),
            Command::Publish(spec) => self.publish(spec),
            Command::Unpublish(peer, source) => self.unpublish(peer, source, out),
            Command::AddSlot(spec) => self.add_slot(spec),
            Command::Route { peer, slot, media, feed } => self.route(peer, slot, media, feed, now),
            Command::SetTemporal { peer, slot, level } => self.set_temporal(peer, slot, level),
            Command::Record { peer, source, to } => self.record(peer, source, to, out),
            Command::SyncRecordings(ticket) => {
                out.records.push(Record::Sync(ticket));
                Ok(())
            }
            #[cfg(test)]
            Command::Panic => panic!("a fault of a shard"),
            Command::RemovePeer(peer) => self.remove_peer(peer, out),
            Command::RequestStats(ticket) => {
                out.events.push(Event::Stats { ticket, shard: self.number, json: self.stats_json(now) });
                Ok(())
            }
        };
        if let Err(error) = result {
            Self::fail(out, peer, error);
        }
    }

    fn add_peer(&mut self, spec: &AddPeer, now: Micros) -> Result<(), CommandError> {
        if self.peer_keys.contains_key(&spec.peer) || self.by_ufrag.contains_key(&spec.local_ufrag) {
            return Err(CommandError::Duplicate);
        }
        if self.peers.len() >= MAX_PEERS {
            return Err(CommandError::Full);
        }
        let key = self.peers.insert(Peer::new(spec, random_u32(), now));
        self.peer_keys.insert(spec.peer, key);
        self.by_ufrag.insert(spec.local_ufrag.clone(), key);
        Ok(())
    }

    fn restart_ice(&mut self, spec: RestartIce) -> Result<(), CommandError> {
        let key = self.key_of(spec.peer)?;
        if self.by_ufrag.contains_key(&spec.local_ufrag) {
            return Err(CommandError::Duplicate);
        }
        let forgotten = self.peers[key].ice.restart(&spec.local_ufrag, &spec.local_pwd, &spec.remote_ufrag);
        if let Some(ufrag) = forgotten {
            self.by_ufrag.remove(&ufrag);
        }
        self.by_ufrag.insert(spec.local_ufrag, key);
        Ok(())
    }

    fn send_dtls(&mut self, peer: PeerId, data: &[u8], out: &mut Output) -> Result<(), CommandError> {
        let key = self.key_of(peer)?;
        let path = self.peers[key].ice.path().ok_or(CommandError::NoPath)?;
        out.send(data, path);
        Ok(())
    }

    fn publish(&mut self, spec: Publish) -> Result<(), CommandError> {
        let owner = self.key_of(spec.peer)?;
        if self.source_keys.contains_key(&spec.source) {
            return Err(CommandError::Duplicate);
        }
        if spec.codec.media() != spec.media
            || spec.layers.is_empty()
            || spec.layers.len() > MAX_LAYERS
            || spec.clock_rate == 0
        {
            return Err(CommandError::Mismatch);
        }
        let peer = &mut self.peers[owner];
        let id = spec.source;
        let key = self.sources.vacant_key();
        let mut streams: Vec<(u32, Stream)> = Vec::new();
        for (layer, said) in (0..).zip(&spec.layers) {
            let stream = |is_rtx| Stream { source: key, layer, is_rtx };
            streams.extend(said.ssrc.map(|ssrc| (ssrc, stream(false))));
            streams.extend(said.rtx_ssrc.map(|ssrc| (ssrc, stream(true))));
        }
        if streams.iter().any(|(ssrc, _)| peer.streams.contains_key(ssrc)) {
            return Err(CommandError::SsrcUsed);
        }
        self.sources.insert(Source::new(spec, owner));
        self.source_keys.insert(id, key);
        peer.sources.push(key);
        peer.streams.extend(streams);
        Ok(())
    }

    fn unpublish(&mut self, peer: PeerId, source: SourceId, out: &mut Output) -> Result<(), CommandError> {
        let owner = self.key_of(peer)?;
        let key = *self.source_keys.get(&source).ok_or(CommandError::UnknownSource)?;
        if self.sources[key].owner != owner {
            return Err(CommandError::UnknownSource);
        }
        self.drop_source(key, out);
        Ok(())
    }

    fn add_slot(&mut self, spec: AddSlot) -> Result<(), CommandError> {
        let key = self.key_of(spec.peer)?;
        let fits = spec.payloads.iter().all(|payload| payload.codec.media() == spec.media);
        if !fits || spec.payloads.is_empty() || spec.clock_rate == 0 {
            return Err(CommandError::Mismatch);
        }
        let random = random_u32();
        let begin = Beginnings {
            sequence: random as u16,
            timestamp: random_u32(),
            picture: (random >> 16) as u16,
            rtx_sequence: random_u32() as u16,
        };
        self.peers[key].add_half(Half::new(spec, begin))
    }

    fn route(
        &mut self,
        peer: PeerId,
        slot: SlotIndex,
        media: Media,
        feed: Option<Feed>,
        now: Micros,
    ) -> Result<(), CommandError> {
        let key = self.key_of(peer)?;
        let half = self.peers[key].half_at(slot, media).ok_or(CommandError::UnknownSlot)?;
        let target = match feed {
            None => None,
            Some(feed) => {
                let source = *self.source_keys.get(&feed.source).ok_or(CommandError::UnknownSource)?;
                let own = &self.peers[key].halves[half].spec;
                let theirs = &self.sources[source];
                let fits = own.media == theirs.spec.media
                    && own.payloads.iter().any(|payload| payload.codec == theirs.spec.codec)
                    && usize::from(feed.layer) < theirs.layers.len();
                if !fits {
                    return Err(CommandError::Mismatch);
                }
                Some((source, feed))
            }
        };
        let me = Subscriber { peer: key, half };
        let half_state = &mut self.peers[key].halves[half];
        let before = [half_state.wanted(), half_state.playing()];
        half_state.want(target.map(|(_, feed)| feed), now);
        // The half stays subscribed to what it plays until the next one begins (see forward.rs).
        let kept = [half_state.wanted(), half_state.playing()];
        for feed in before.into_iter().flatten().filter(|feed| !kept.contains(&Some(*feed))) {
            self.unsubscribe(feed, me);
        }
        if let Some((source, feed)) = target {
            let layer = &mut self.sources[source].layers[usize::from(feed.layer)];
            if !layer.subscribers.contains(&me) {
                layer.subscribers.push(me);
            }
            let ssrc = layer.ssrc;
            let owner = self.sources[source].owner;
            if self.peers[key].halves[half].waits_for_key_frame(feed)
                && let Some(ssrc) = ssrc
            {
                self.peers[owner].gate.want(ssrc);
            }
        }
        Ok(())
    }

    fn set_temporal(&mut self, peer: PeerId, slot: SlotIndex, level: Option<u8>) -> Result<(), CommandError> {
        let key = self.key_of(peer)?;
        let half = self.peers[key].half_at(slot, Media::Video).ok_or(CommandError::UnknownSlot)?;
        self.peers[key].halves[half].temporal.want(level.unwrap_or(ALL).min(ALL));
        Ok(())
    }

    /// The half neither wants nor plays the feed any more.
    pub(super) fn unsubscribe(&mut self, feed: Feed, me: Subscriber) {
        if let Some(&key) = self.source_keys.get(&feed.source)
            && let Some(layer) = self.sources[key].layers.get_mut(usize::from(feed.layer))
        {
            layer.subscribers.retain(|other| *other != me);
        }
    }

    fn drop_source(&mut self, key: usize, out: &mut Output) {
        self.stop_recording(key, out);
        let source = self.sources.remove(key);
        self.source_keys.remove(&source.id());
        for (at, layer) in (0..).zip(&source.layers) {
            let feed = Feed { source: source.id(), layer: at };
            for subscriber in &layer.subscribers {
                if let Some(peer) = self.peers.get_mut(subscriber.peer) {
                    peer.halves[subscriber.half].lose(feed);
                }
            }
        }
        if let Some(owner) = self.peers.get_mut(source.owner) {
            owner.sources.retain(|&other| other != key);
            owner.streams.retain(|_, stream| stream.source != key);
            for ssrc in source.layers.iter().filter_map(|layer| layer.ssrc) {
                owner.gate.forget(ssrc);
            }
        }
    }

    fn remove_peer(&mut self, peer: PeerId, out: &mut Output) -> Result<(), CommandError> {
        let key = self.key_of(peer)?;
        for source in self.peers[key].sources.clone() {
            self.drop_source(source, out);
        }
        for half in 0..self.peers[key].halves.len() {
            let state = &self.peers[key].halves[half];
            for feed in [state.wanted(), state.playing()].into_iter().flatten() {
                self.unsubscribe(feed, Subscriber { peer: key, half });
            }
        }
        let gone = self.peers.remove(key);
        self.peer_keys.remove(&peer);
        for ufrag in gone.ice.local_ufrags() {
            self.by_ufrag.remove(ufrag);
        }
        for path in gone.ice.paths() {
            let origin = path.origin();
            if self.by_origin.get(&origin) == Some(&key) {
                self.by_origin.remove(&origin);
                out.addresses.push(AddressChange::Forgotten(origin));
            }
        }
        Ok(())
    }
}
