//! Datagrams: told apart (RFC 7983), matched to a peer, authenticated.

use super::Shard;
use crate::event::Event;
use crate::ice::CheckRefused;
use crate::output::{AddressChange, ConnectionId, Origin, Output, Path};
use crate::peer::CONSENT_US;
use crate::srtp::SrtpError;
use crate::time::Micros;
use crate::wire::demux::{self, Packet};
use crate::wire::rtp::Header;
use crate::wire::stun::Message;

impl Shard {
    /// A datagram came over `path`. It is decrypted where it lies, so the buffer's contents change.
    pub fn handle_datagram(&mut self, datagram: &mut [u8], path: Path, now: Micros, out: &mut Output) {
        self.take_datagram(datagram, path, now, out);
        self.forward_taken(now, out);
    }

    /// As [`Self::handle_datagram`], but media waits for [`Self::forward_taken`], so that what came together goes on
    /// together. Everything else that is asked of the shard forwards it first.
    pub fn take_datagram(&mut self, datagram: &mut [u8], path: Path, now: Micros, out: &mut Output) {
        self.counters.datagrams += 1;
        match demux::classify(datagram) {
            Packet::Stun => self.on_stun(datagram, path, now, out),
            Packet::Unknown => self.counters.unknown += 1,
            kind => {
                let Some(&key) = self.by_origin.get(&path.origin()) else {
                    self.counters.unmatched += 1;
                    return;
                };
                match kind {
                    Packet::Dtls => self.on_dtls(key, datagram, out),
                    Packet::Rtp => self.on_srtp(key, datagram, now, out),
                    _ => self.on_srtcp(key, datagram, now, out),
                }
            }
        }
    }

    fn on_stun(&mut self, datagram: &[u8], path: Path, now: Micros, out: &mut Output) {
        let Ok(message) = Message::parse(datagram) else {
            self.counters.malformed += 1;
            return;
        };
        let Some(key) =
            message.username().and_then(local_ufrag).and_then(|ufrag| self.by_ufrag.get(ufrag)).copied()
        else {
            self.counters.unmatched += 1;
            return;
        };
        let start = out.start();
        let peer = &mut self.peers[key];
        let outcome = peer.ice.check(&message, path, now, &mut out.arena);
        out.finish(start, path);
        match outcome {
            Ok(checked) => {
                peer.heard(now);
                if let Some(dropped) = checked.dropped {
                    self.forget_address(key, dropped, out);
                }
                self.learn_address(key, path, out);
                if checked.nominated {
                    let peer = self.peers[key].id;
                    let local = std::net::SocketAddr::new(path.local, 0);
                    out.events.push(Event::PeerConnected { peer, local, remote: path.remote });
                }
            }
            Err(CheckRefused::NotARequest) => self.counters.unmatched += 1,
            Err(_) => peer.counters.checks_refused += 1,
        }
    }

    /// The newest authenticated check decides whose an address is: a reloaded page may get its old port again.
    fn learn_address(&mut self, key: usize, path: Path, out: &mut Output) {
        let origin = path.origin();
        match self.by_origin.insert(origin, key) {
            Some(before) if before == key => {}
            Some(before) => {
                if let Some(other) = self.peers.get_mut(before) {
                    other.ice.forget(origin);
                }
            }
            None => out.addresses.push(AddressChange::Learnt(origin)),
        }
    }

    fn forget_address(&mut self, key: usize, path: Path, out: &mut Output) {
        let origin = path.origin();
        let still_used = self.peers[key].ice.paths().any(|other| other.origin() == origin);
        if !still_used && self.by_origin.get(&origin) == Some(&key) {
            self.by_origin.remove(&origin);
            out.addresses.push(AddressChange::Forgotten(origin));
        }
    }

    /// Whether an authenticated check has made the connection a peer's.
    #[must_use]
    pub fn knows_connection(&self, connection: ConnectionId) -> bool {
        self.by_origin.contains_key(&Origin::Tcp(connection))
    }

    /// The connection is closed. Its peer goes on over another pair, where it has one whose consent has not expired
    /// (RFC 7675 section 5.1).
    pub fn connection_closed(&mut self, connection: ConnectionId, now: Micros, out: &mut Output) {
        self.forward_taken(now, out);
        let origin = Origin::Tcp(connection);
        let Some(key) = self.by_origin.remove(&origin) else { return };
        let Some(peer) = self.peers.get_mut(key) else { return };
        peer.ice.forget(origin);
        for path in peer.ice.drop_unchecked_since(now.plus(-CONSENT_US)) {
            self.forget_address(key, path, out);
        }
    }

    fn on_dtls(&mut self, key: usize, datagram: &[u8], out: &mut Output) {
        let peer = self.peers[key].id;
        out.events.push(Event::DtlsReceived { peer, data: datagram.to_vec() });
    }

    fn on_srtp(&mut self, key: usize, datagram: &mut [u8], now: Micros, out: &mut Output) {
        let Ok(header) = Header::parse(datagram) else {
            self.counters.malformed += 1;
            return;
        };
        let peer = &mut self.peers[key];
        let Some(srtp) = peer.srtp.as_mut() else {
            // Media can overtake the last flight of DTLS; the sender will repeat what matters.
            self.counters.early += 1;
            return;
        };
        match srtp.inbound.unprotect_rtp(&header, datagram) {
            Ok(plain) => {
                peer.heard(now);
                self.on_rtp(key, &header, &datagram[..plain.len], plain.index, now, out);
            }
            Err(SrtpError::Replayed | SrtpError::TooOld) => peer.counters.replayed += 1,
            Err(_) => peer.counters.unauthenticated += 1,
        }
    }

    fn on_srtcp(&mut self, key: usize, datagram: &mut [u8], now: Micros, out: &mut Output) {
        let peer = &mut self.peers[key];
        let Some(srtp) = peer.srtp.as_mut() else {
            self.counters.early += 1;
            return;
        };
        match srtp.inbound.unprotect_rtcp(datagram) {
            Ok(len) => {
                peer.heard(now);
                self.on_rtcp(key, &datagram[..len], now, out);
            }
            Err(SrtpError::Replayed | SrtpError::TooOld) => peer.counters.replayed += 1,
            Err(_) => peer.counters.unauthenticated += 1,
        }
    }
}

/// The part of a check's USERNAME before the colon: our own fragment (RFC 8445 section 7.2.2).
pub(crate) fn local_ufrag(username: &[u8]) -> Option<&str> {
    let colon = username.iter().position(|&octet| octet == b':')?;
    std::str::from_utf8(&username[..colon]).ok()
}
