//! Endpoints of one or more lessons, told by lines of JSON on standard input, answering with lines of JSON.
//!
//! ```text
//! -> {"open": {"id": 1}}                        <- {"port": 40000, "id": 1}
//! -> {"add": {"id": 1, "plan": {...}}}          <- {"connected": 1}
//! -> {"raw": {"id": 1, "key": [..], "salt": [..]}}  <- {"port": 40000, "id": 1}
//! -> "start"                                    publishers begin to send
//! -> "begin"                                    a measured span begins
//! -> "end"                                      <- {"receivers": {...}, "publishers": {...}, "delays_us": [..]}
//! ```
//!
//! The first line of its output is {"fingerprint": "AB:.."}. It ends with its standard input.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::UdpSocket;
use std::time::Duration;

use luokkasilta_bench_load::dtls::Identity;
use luokkasilta_bench_load::endpoint::{Endpoint, Plan, Role};
use luokkasilta_bench_load::net::{self, Batch, Poll, now_ns};
use luokkasilta_bench_load::srtp::{Master, Srtp};
use luokkasilta_bench_load::{publisher, receiver};
use serde::Deserialize;
use serde_json::json;

/// How often every endpoint is asked whether a report or a check is due.
const TURN: Duration = Duration::from_millis(10);
const STDIN: u64 = u64::MAX;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Command {
    Open { id: u64 },
    Add { id: u64, plan: Box<Plan> },
    Raw { id: u64, key: [u8; 16], salt: [u8; 12] },
    Start,
    Begin,
    End,
}

struct Load {
    identity: Identity,
    poll: Poll,
    opened: BTreeMap<u64, UdpSocket>,
    endpoints: BTreeMap<u64, Endpoint>,
}

impl Load {
    fn command(&mut self, line: &str) -> Result<(), String> {
        match serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))? {
            Command::Open { id } => {
                let socket = net::socket().map_err(|error| error.to_string())?;
                say(&json!({"id": id, "port": net::local(&socket).port()}));
                self.opened.insert(id, socket);
            }
            Command::Add { id, plan } => {
                let socket = self.opened.remove(&id).ok_or("an endpoint is opened before it is added")?;
                self.insert(id, Endpoint::new(socket, *plan, id))?;
            }
            Command::Raw { id, key, salt } => {
                self.insert(id, Endpoint::raw(Srtp::new(Master { key, salt }), id))?;
                say(&json!({"id": id, "port": self.endpoints[&id].port()}));
            }
            Command::Start => self.publishers(publisher::Publisher::start),
            Command::Begin => {
                self.publishers(|publisher| {
                    publisher.take_counts();
                });
                self.receivers(receiver::Receiver::begin);
            }
            Command::End => self.tell(),
        }
        Ok(())
    }

    fn insert(&mut self, id: u64, endpoint: io::Result<Endpoint>) -> Result<(), String> {
        let endpoint = endpoint.map_err(|error| error.to_string())?;
        self.poll.add(endpoint.descriptor(), id).map_err(|error| error.to_string())?;
        self.endpoints.insert(id, endpoint);
        Ok(())
    }

    fn publishers(&mut self, mut each: impl FnMut(&mut publisher::Publisher)) {
        for endpoint in self.endpoints.values_mut() {
            if let Role::Publisher(publisher) = &mut endpoint.role {
                each(publisher);
            }
        }
    }

    fn receivers(&mut self, mut each: impl FnMut(&mut receiver::Receiver)) {
        for endpoint in self.endpoints.values_mut() {
            if let Role::Receiver(receiver) = &mut endpoint.role {
                each(receiver);
            }
        }
    }

    fn tell(&mut self) {
        let (mut sent, mut came, mut silent) = (publisher::Counts::default(), receiver::Counts::default(), 0);
        self.publishers(|publisher| {
            let counts = publisher.take_counts();
            sent.video += counts.video;
            sent.audio += counts.audio;
            sent.key_frames_asked += counts.key_frames_asked;
            sent.repeated += counts.repeated;
            sent.late += counts.late;
        });
        self.receivers(|receiver| {
            let mut counts = receiver.take_counts();
            silent += u64::from(counts.packets == 0);
            came.packets += counts.packets;
            came.repaired += counts.repaired;
            came.missing += counts.missing;
            came.disordered += counts.disordered;
            came.twice += counts.twice;
            came.gaps += counts.gaps;
            came.forged += counts.forged;
            came.delays_us.append(&mut counts.delays_us);
        });
        came.delays_us.sort_unstable();
        let quantile = |share: f64| {
            let at = (share * came.delays_us.len() as f64) as usize;
            came.delays_us.get(at.min(came.delays_us.len().saturating_sub(1))).copied()
        };
        let delays = json!({"p50": quantile(0.5), "p99": quantile(0.99), "most": quantile(1.0)});
        say(&json!({"publishers": sent, "receivers": came, "silent": silent, "delays_us": delays}));
    }

    fn run(mut self) -> Result<(), String> {
        let mut batch = Batch::default();
        let mut input = Vec::new();
        let mut next_turn = now_ns();
        loop {
            let due =
                self.endpoints.values().filter_map(Endpoint::due_ns).min().unwrap_or(u64::MAX).min(next_turn);
            // Whole milliseconds, rounded up: a loop that asks again and again would take the server's time.
            let wait = Duration::from_nanos(due.saturating_sub(now_ns()) + 999_999);
            for number in self.poll.wait(wait).map_err(|error| error.to_string())? {
                if number == STDIN {
                    if !read(&mut input)? {
                        return Ok(());
                    }
                    while let Some(end) = input.iter().position(|octet| *octet == b'\n') {
                        let line: Vec<u8> = input.drain(..=end).collect();
                        self.command(String::from_utf8_lossy(&line).trim())?;
                    }
                } else if let Some(endpoint) = self.endpoints.get_mut(&number) {
                    let outcome = endpoint.receive(&mut batch, &self.identity);
                    if outcome.map_err(|error| format!("endpoint {number}: {error}"))? {
                        say(&json!({"connected": number}));
                    }
                }
            }
            let now = now_ns();
            if now >= next_turn {
                next_turn = now + TURN.as_nanos() as u64;
                for (number, endpoint) in &mut self.endpoints {
                    endpoint.turn().map_err(|error| format!("endpoint {number}: {error}"))?;
                }
            } else {
                for endpoint in self
                    .endpoints
                    .values_mut()
                    .filter(|endpoint| endpoint.due_ns().is_some_and(|at| at <= now))
                {
                    endpoint.turn()?;
                }
            }
        }
    }
}

/// False at the end of the input.
fn read(input: &mut Vec<u8>) -> Result<bool, String> {
    let mut octets = [0; 65536];
    let count = io::stdin().lock().read(&mut octets).map_err(|error| error.to_string())?;
    input.extend_from_slice(&octets[..count]);
    Ok(count > 0)
}

fn say(value: &serde_json::Value) {
    let mut output = io::stdout().lock();
    // Who doesn't listen any more has ended the run.
    let _ = writeln!(output, "{value}").and_then(|()| output.flush());
}

fn main() -> Result<(), String> {
    let identity = Identity::new().map_err(|error| error.to_string())?;
    let poll = Poll::new().map_err(|error| error.to_string())?;
    poll.add(0, STDIN).map_err(|error| error.to_string())?;
    say(&json!({"fingerprint": identity.fingerprint}));
    Load { identity, poll, opened: BTreeMap::new(), endpoints: BTreeMap::new() }.run()
}
