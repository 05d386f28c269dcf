//! The far end of a peer: it has the peer's keys, so what it sends is authentic however malformed, and it can read
//! what it is sent.

use luokkasilta_engine::command::{AddPeer, SetKeys};
use luokkasilta_engine::output::{ConnectionId, Path};
use luokkasilta_engine::srtp::{
    AEAD_AES_128_GCM, AES128_CM_HMAC_SHA1_80, Inbound, Outbound, SrtpError, Unprotected,
};
use luokkasilta_engine::wire::rtcp;
use luokkasilta_engine::wire::rtp::Header;
use luokkasilta_engine::wire::stun::{self, Builder, Class};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// One RTP stream of a far end.
pub struct Sending {
    pub far: usize,
    pub ssrc: u32,
    pub payload_type: u8,
    pub mid: &'static str,
    pub rid: Option<&'static str>,
    /// The place of the stream that it retransmits.
    pub repairs: Option<usize>,
    /// The extended sequence number of its newest packet.
    pub index: u64,
    pub timestamp: u32,
}

/// What a stream must have received once: the octets by SSRC and sequence number.
type Got = HashMap<(u32, u16), Vec<u8>>;

pub struct Far {
    pub id: u64,
    /// How often it joined: each time with other keys.
    pub generation: u8,
    /// How often ICE was restarted.
    pub restarts: u8,
    pub path: Path,
    pub is_there: bool,
    pub slots: usize,
    profile: u16,
    transaction: u32,
    outbound: Outbound,
    inbound: Inbound,
    got: Got,
    opened: HashSet<(u32, u64)>,
    /// The newest sequence number of each SSRC that it received, in the order in which they began.
    pub newest: Vec<(u32, u16)>,
}

impl Far {
    pub fn new(id: u64, generation: u8) -> Self {
        let profile = if id == 2 { AES128_CM_HMAC_SHA1_80 } else { AEAD_AES_128_GCM };
        let keys = keys(id, generation, profile);
        Self {
            id,
            generation,
            restarts: 0,
            path: address(id, 0, false),
            is_there: true,
            slots: 0,
            profile,
            transaction: 0,
            outbound: Outbound::new(profile, &keys.receive_key, &keys.receive_salt).expect("keys"),
            inbound: Inbound::new(profile, &keys.send_key, &keys.send_salt).expect("keys"),
            got: HashMap::new(),
            opened: HashSet::new(),
            newest: Vec::new(),
        }
    }

    pub fn ufrag(&self, restarts: u8) -> String {
        format!("near{}.{}.{restarts}", self.id, self.generation)
    }

    pub fn password(&self, restarts: u8) -> String {
        format!("the password of {} {} {restarts}", self.id, self.generation)
    }

    pub fn add_peer(&self) -> AddPeer {
        AddPeer {
            peer: self.id,
            local_ufrag: self.ufrag(0),
            local_pwd: self.password(0),
            remote_ufrag: "far".to_owned(),
            receive_bitrate: 2_500_000,
        }
    }

    pub fn set_keys(&self) -> SetKeys {
        keys(self.id, self.generation, self.profile)
    }

    /// A check with the credentials after so many restarts.
    pub fn check(&mut self, restarts: u8, nominate: bool) -> Vec<u8> {
        self.transaction += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.transaction.to_be_bytes());
        let mut out = Vec::new();
        let mut builder = Builder::new(&mut out, Class::Request, stun::BINDING, id)
            .username(format!("{}:far", self.ufrag(restarts)).as_bytes())
            .expect("not too long")
            .priority(1)
            .ice_controlling(7);
        if nominate {
            builder = builder.use_candidate();
        }
        builder.finish(Some(&stun::short_term_key(&self.password(restarts))));
        out
    }

    /// Protects a plain packet; None where the sequence number was used before.
    pub fn protect_rtp(&mut self, mut packet: Vec<u8>, ssrc: u32, index: u64) -> Option<Vec<u8>> {
        let header_len = Header::parse(&packet).map_or(12, |header| header.payload_offset);
        self.outbound.protect_rtp(&mut packet, 0, header_len, ssrc, index).ok().map(|()| packet)
    }

    /// Protects a compound; None where it has no header.
    pub fn protect_rtcp(&mut self, mut compound: Vec<u8>) -> Option<Vec<u8>> {
        self.outbound.protect_rtcp(&mut compound, 0).ok().map(|()| compound)
    }

    /// An SRTP packet for it. `jumps`: numbers may have gone further than a receiver can follow.
    pub fn receive_rtp(&mut self, datagram: &[u8], jumps: bool) {
        let header = Header::parse(datagram).expect("a well-formed header");
        let (ssrc, sequence) = (header.ssrc, header.sequence);
        let mut plain = datagram.to_vec();
        match self.inbound.unprotect_rtp(&header, &mut plain) {
            Ok(Unprotected { len, index }) => {
                assert!(header.payload(&plain[..len]).is_ok(), "padding that is not there");
                assert!(self.opened.insert((ssrc, index)), "SRTP index {index} of {ssrc} used twice");
                self.got.insert((ssrc, sequence), datagram.to_vec());
                match self.newest.iter_mut().find(|(known, _)| *known == ssrc) {
                    Some((_, newest)) => *newest = sequence,
                    None => self.newest.push((ssrc, sequence)),
                }
            }
            // A voice is sent again as it was; other octets under a used index would give the keys away.
            Err(SrtpError::Replayed | SrtpError::TooOld) if !jumps => {
                let before = self.got.get(&(ssrc, sequence)).map(Vec::as_slice);
                assert_eq!(before, Some(datagram), "SRTP index of {ssrc}, {sequence} used twice");
            }
            Err(error) => assert!(jumps, "{error}"),
        }
    }

    pub fn receive_rtcp(&mut self, datagram: &[u8]) {
        let mut plain = datagram.to_vec();
        let len = self.inbound.unprotect_rtcp(&mut plain).expect("authentic SRTCP, each once");
        for packet in rtcp::parse(&plain[..len]) {
            packet.expect("well-formed RTCP");
        }
    }
}

/// The address that a far end sends from; `from` 0 is its own, some others are shared by all.
pub fn address(id: u64, from: u8, over_tcp: bool) -> Path {
    let port =
        if from % 4 == 3 { 9_000 + u16::from(from) } else { 10_000 + 256 * id as u16 + u16::from(from) };
    let remote = SocketAddr::from(([192, 0, 2, 1], port));
    let mut path = Path::udp(from % 2, IpAddr::V4(Ipv4Addr::LOCALHOST), remote);
    if over_tcp {
        path.connection = ConnectionId::new(256 * id + u64::from(from) + 1);
    }
    path
}

fn keys(id: u64, generation: u8, profile: u16) -> SetKeys {
    let salt_len = if profile == AEAD_AES_128_GCM { 12 } else { 14 };
    let octets = |of: u8, len: usize| {
        let mut octets = vec![of; len];
        (octets[0], octets[1]) = (id as u8, generation);
        octets
    };
    SetKeys {
        peer: id,
        profile,
        receive_key: octets(1, 16),
        receive_salt: octets(2, salt_len),
        send_key: octets(3, 16),
        send_salt: octets(4, salt_len),
    }
}
