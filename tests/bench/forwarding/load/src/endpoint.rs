//! One endpoint: a connected socket, ICE with one pair, DTLS as the client, SRTP, and a role.
//!
//! ```text
//! Checking --answer to a check--> Shaking --keys--> Connected
//! ```

use std::io;
use std::net::{SocketAddrV4, UdpSocket};

use serde::Deserialize;

use crate::dtls::{Client, Identity};
use crate::net::{self, Batch, now_ns};
use crate::publisher::{Publisher, Stream};
use crate::receiver::Receiver;
use crate::srtp::Srtp;
use crate::stun::{self, Message};

use std::os::fd::AsRawFd;

const CHECK_NS: u64 = 50_000_000;
/// As Chromium checks a pair that is stable.
const CONSENT_NS: u64 = 2_500_000_000;
const REPORT_NS: u64 = 1_000_000_000;
const FEEDBACK_NS: u64 = 100_000_000;

/// What a negotiation settled, as the driver tells it.
#[derive(Debug, Deserialize)]
pub struct Plan {
    /// The server's candidate.
    pub remote: SocketAddrV4,
    /// Our ICE credentials.
    pub local_ufrag: String,
    /// Our ICE credentials.
    pub local_pwd: String,
    /// The server's.
    pub remote_ufrag: String,
    /// The server's.
    pub remote_pwd: String,
    /// SHA-256 of the server's certificate.
    pub fingerprint: String,
    /// What it does.
    pub role: RolePlan,
}

/// What an endpoint does once connected.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolePlan {
    /// Sends a picture and a voice.
    Publisher {
        /// The camera.
        video: Stream,
        /// The microphone.
        audio: Stream,
    },
    /// Receives whatever comes.
    Receiver {
        /// Id of the transport sequence number extension.
        transport: Option<u8>,
        /// Payload types of retransmissions.
        repairs: Vec<u8>,
    },
}

/// The role with its state.
pub enum Role {
    /// See `publisher`.
    Publisher(Box<Publisher>),
    /// See `receiver`.
    Receiver(Box<Receiver>),
}

enum State {
    Checking,
    Shaking(Client),
    Connected { _association: Option<Client>, ours: Option<Box<Srtp>>, theirs: Box<Srtp> },
}

/// An endpoint and its socket.
pub struct Endpoint {
    socket: UdpSocket,
    plan: Option<Plan>,
    state: State,
    transaction: [u8; 12],
    check_ns: u64,
    report_ns: u64,
    feedback_ns: u64,
    /// What it does.
    pub role: Role,
}

impl Endpoint {
    /// One that connects as its plan says; the description named the socket's port already.
    pub fn new(socket: UdpSocket, plan: Plan, number: u64) -> io::Result<Self> {
        socket.connect(plan.remote)?;
        let role = match &plan.role {
            RolePlan::Publisher { video, audio } => {
                Role::Publisher(Box::new(Publisher::new(video.clone(), audio.clone())))
            }
            RolePlan::Receiver { transport, repairs } => {
                Role::Receiver(Box::new(Receiver::new(*transport, repairs.clone())))
            }
        };
        Ok(Self::with(socket, Some(plan), State::Checking, role, number))
    }

    /// A receiver whose keys are known, for the bare loop: it sends nothing.
    pub fn raw(theirs: Srtp, number: u64) -> io::Result<Self> {
        let state = State::Connected { _association: None, ours: None, theirs: Box::new(theirs) };
        let role = Role::Receiver(Box::new(Receiver::new(None, Vec::new())));
        Ok(Self::with(net::socket()?, None, state, role, number))
    }

    fn with(socket: UdpSocket, plan: Option<Plan>, state: State, role: Role, number: u64) -> Self {
        // Spread over their periods, so that no two endpoints of a lesson report in the same moment.
        let spread = |period: u64| now_ns() + number.wrapping_mul(7_919_993) % period;
        Self {
            socket,
            plan,
            state,
            transaction: [0; 12],
            check_ns: 0,
            report_ns: spread(REPORT_NS),
            feedback_ns: spread(FEEDBACK_NS),
            role,
        }
    }

    /// For polling.
    pub fn descriptor(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// The local port.
    pub fn port(&self) -> u16 {
        net::local(&self.socket).port()
    }

    /// Read all that waits. True when the endpoint has become connected by it.
    pub fn receive(&mut self, batch: &mut Batch, identity: &Identity) -> Result<bool, String> {
        let mut connected = false;
        loop {
            let descriptor = self.socket.as_raw_fd();
            let mut outcome = Ok(());
            let more = batch
                .receive(descriptor, |datagram, arrival_ns| {
                    if outcome.is_ok() {
                        outcome = self.datagram(datagram, arrival_ns, identity).map(|now| connected |= now);
                    }
                })
                .or_else(|error| match error.kind() {
                    // As in `send`: who is gone shows in the counts.
                    io::ErrorKind::ConnectionRefused => Ok(false),
                    _ => Err(error.to_string()),
                })?;
            outcome?;
            if !more {
                return Ok(connected);
            }
        }
    }

    /// By the first octet (RFC 7983); RTCP by its payload type (RFC 5761).
    fn datagram(
        &mut self,
        datagram: &mut [u8],
        arrival_ns: u64,
        identity: &Identity,
    ) -> Result<bool, String> {
        match (datagram.first(), datagram.get(1)) {
            (Some(0 | 1), _) => self.stun(datagram, identity),
            (Some(20..=63), _) => self.dtls(datagram),
            (Some(128..=191), Some(192..=223)) => self.rtcp(datagram).map(|()| false),
            (Some(128..=191), Some(_)) => {
                if let (State::Connected { theirs, .. }, Role::Receiver(receiver)) =
                    (&mut self.state, &mut self.role)
                {
                    receiver.rtp(datagram, arrival_ns, theirs);
                }
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn stun(&mut self, datagram: &[u8], identity: &Identity) -> Result<bool, String> {
        let Some(plan) = &self.plan else { return Ok(false) };
        match stun::parse(datagram, &plan.local_pwd, &plan.remote_pwd) {
            Some(Message::Request(transaction)) => {
                let answer = stun::success(transaction, plan.remote, &plan.local_pwd);
                self.send(&answer)?;
            }
            Some(Message::Success(transaction)) if transaction == self.transaction => {
                if matches!(self.state, State::Checking) {
                    self.state = State::Shaking(Client::new(identity, &plan.fingerprint)?);
                    self.flush()?;
                }
            }
            _ => {}
        }
        Ok(false)
    }

    fn dtls(&mut self, datagram: &[u8]) -> Result<bool, String> {
        match &mut self.state {
            State::Checking => Ok(false),
            State::Connected { _association: association, .. } => match association {
                // A goodbye is no fault: what it ended shows as missing, or as a receiver that was silent.
                Some(client) => {
                    let _ = client.receive(datagram);
                    Ok(false)
                }
                None => Ok(false),
            },
            State::Shaking(client) => {
                let keys = client.receive(datagram)?;
                self.flush()?;
                let Some(keys) = keys else { return Ok(false) };
                if let State::Shaking(client) = std::mem::replace(&mut self.state, State::Checking) {
                    self.state = State::Connected {
                        _association: Some(client),
                        ours: Some(Box::new(Srtp::new(keys.ours))),
                        theirs: Box::new(Srtp::new(keys.theirs)),
                    };
                }
                Ok(true)
            }
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        if let State::Shaking(client) = &mut self.state {
            for datagram in client.outgoing() {
                self.send(&datagram)?;
            }
        }
        Ok(())
    }

    fn rtcp(&mut self, datagram: &mut [u8]) -> Result<(), String> {
        let mut packets = Vec::new();
        if let State::Connected { ours: Some(ours), theirs, .. } = &mut self.state
            && let Some(compound) = theirs.unprotect_rtcp(datagram)
        {
            match &mut self.role {
                Role::Receiver(receiver) => receiver.rtcp(compound, now_ns()),
                Role::Publisher(publisher) => packets = publisher.rtcp(compound, ours),
            }
        }
        packets.iter().try_for_each(|packet| self.send(packet))
    }

    /// When `turn` must come at the latest, where that is closer than the driver's own period.
    pub fn due_ns(&self) -> Option<u64> {
        match &self.role {
            Role::Publisher(publisher) => publisher.due_ns(),
            Role::Receiver(_) => None,
        }
    }

    /// Do what the time asks for.
    pub fn turn(&mut self) -> Result<(), String> {
        let now = now_ns();
        if now >= self.check_ns
            && let Some(plan) = &self.plan
        {
            self.transaction[..8].copy_from_slice(&now.to_be_bytes());
            let user = format!("{}:{}", plan.remote_ufrag, plan.local_ufrag);
            let check = stun::check(self.transaction, &user, &plan.remote_pwd);
            self.send(&check)?;
            let settled = matches!(self.state, State::Connected { .. });
            self.check_ns = now + if settled { CONSENT_NS } else { CHECK_NS };
            if let State::Shaking(client) = &mut self.state {
                client.tick();
                self.flush()?;
            }
        }
        let State::Connected { ours: Some(ours), .. } = &mut self.state else { return Ok(()) };
        let mut packets = Vec::new();
        match &mut self.role {
            Role::Publisher(publisher) => packets = publisher.turn(ours),
            Role::Receiver(receiver) => {
                if now >= self.report_ns {
                    self.report_ns = now + REPORT_NS;
                    packets.extend(receiver.report(now));
                }
                if now >= self.feedback_ns {
                    self.feedback_ns = now + FEEDBACK_NS;
                    packets.extend(receiver.transport_feedback());
                }
                packets.iter_mut().for_each(|packet| ours.protect_rtcp(packet));
            }
        }
        packets.iter().try_for_each(|packet| self.send(packet))
    }

    fn send(&self, datagram: &[u8]) -> Result<(), String> {
        match self.socket.send(datagram) {
            // The server's socket may be closed at the end of a run; the counts tell whether it mattered.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            other => other.map(drop).map_err(|error| error.to_string()),
        }
    }
}
