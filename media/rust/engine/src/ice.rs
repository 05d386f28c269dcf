//! ICE-lite (RFC 8445 section 2.5): this side never checks, it answers checks and remembers what came of them.

use crate::output::{Origin, Path};
use crate::time::Micros;
use crate::wire::stun::{self, Class, Message, TransactionId};
use aws_lc_rs::hmac;
use std::collections::VecDeque;

/// Checks remembered per peer, to know one that somebody recorded and sends again from elsewhere.
const MAX_CHECKS: usize = 64;
/// Validated pairs kept per peer. A browser has a handful; the least recently checked one is dropped.
const MAX_PAIRS: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Pair {
    path: Path,
    /// PRIORITY of its last check: the browser's own candidate, as far as it shows.
    priority: Option<u32>,
    /// How many restarts were before its last check's credentials.
    generation: u64,
    checked_at: Micros,
}

impl Pair {
    /// Whether the peer takes both for one pair: from one candidate of its own to one of ours, over UDP. What is
    /// between us may have changed the address it seems to come from.
    fn is_seen_as(&self, other: &Self) -> bool {
        let ways = [self.path, other.path];
        ways.iter().all(|path| path.connection.is_none())
            && (self.path.socket, self.path.local, self.priority, self.generation)
                == (other.path.socket, other.path.local, other.priority, other.generation)
    }
}

/// What a check brought, beside the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The pair is new to us.
    pub is_new: bool,
    /// Media goes another way from now on.
    pub nominated: bool,
    /// The pair that had to go to make room.
    pub dropped: Option<Path>,
}

/// Why a check was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckRefused {
    /// Not a binding request: indications and responses are no business of a lite agent.
    NotARequest,
    /// No USERNAME, or no MESSAGE-INTEGRITY, or no FINGERPRINT: answered 400.
    BadRequest,
    /// Another user name or password: answered 401.
    Unauthorized,
    /// An attribute that must be understood and is not: answered 420.
    UnknownAttribute,
    /// Both sides say they are controlled: answered 487.
    RoleConflict,
    /// The check of before, from elsewhere: somebody recorded it. Not answered.
    Repeated,
}

/// What one generation of credentials (RFC 8445 section 5.3) checks with.
#[derive(Debug)]
struct Credentials {
    local_ufrag: String,
    /// Both ends' user name fragments.
    username: String,
    key: hmac::Key,
}

impl Credentials {
    fn new(local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) -> Self {
        Self {
            local_ufrag: local_ufrag.to_owned(),
            username: format!("{local_ufrag}:{remote_ufrag}"),
            key: stun::short_term_key(local_pwd),
        }
    }
}

/// One peer's lite agent.
#[derive(Debug)]
pub struct IceLite {
    current: Credentials,
    /// Those before the last restart, good until a check with the current ones nominates a pair.
    previous: Option<Credentials>,
    restarted: bool,
    generation: u64,
    /// Transactions of the last checks, and where each came from.
    checks: VecDeque<(TransactionId, Origin)>,
    pairs: Vec<Pair>,
    nominated: Option<Path>,
}

impl IceLite {
    /// An agent with these credentials.
    #[must_use]
    pub fn new(local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) -> Self {
        Self {
            current: Credentials::new(local_ufrag, local_pwd, remote_ufrag),
            previous: None,
            restarted: false,
            generation: 0,
            checks: VecDeque::new(),
            pairs: Vec::new(),
            nominated: None,
        }
    }

    /// Take new credentials (RFC 8445 section 9). Media goes on over the old path until the new ones nominate one.
    /// Gives the user name fragment that is of no use any more, where a restart came before this one.
    pub fn restart(&mut self, local_ufrag: &str, local_pwd: &str, remote_ufrag: &str) -> Option<String> {
        let next = Credentials::new(local_ufrag, local_pwd, remote_ufrag);
        let before = std::mem::replace(&mut self.current, next);
        self.restarted = true;
        self.generation += 1;
        self.previous.replace(before).map(|forgotten| forgotten.local_ufrag)
    }

    /// Our user name fragments, the current one and the one before.
    pub fn local_ufrags(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .map(|credentials| credentials.local_ufrag.as_str())
    }

    /// Where to send: the nominated pair, else the one checked last.
    #[must_use]
    pub fn path(&self) -> Option<Path> {
        self.nominated.or_else(|| self.pairs.iter().max_by_key(|pair| pair.checked_at).map(|pair| pair.path))
    }

    /// The nominated pair.
    #[must_use]
    pub fn nominated(&self) -> Option<Path> {
        self.nominated
    }

    /// All validated pairs.
    pub fn paths(&self) -> impl Iterator<Item = Path> + '_ {
        self.pairs.iter().map(|pair| pair.path)
    }

    /// Another peer has proved that this address is now its own, or the connection is closed.
    pub fn forget(&mut self, origin: Origin) {
        self.pairs.retain(|pair| pair.path.origin() != origin);
        if self.nominated.is_some_and(|nominated| nominated.origin() == origin) {
            self.nominated = None;
        }
    }

    /// Drop the UDP pairs that no check has used since then, but for the nominated one, and give them.
    pub fn drop_unchecked_since(&mut self, since: Micros) -> Vec<Path> {
        let nominated = self.nominated;
        let is_old = |pair: &mut Pair| {
            pair.path.connection.is_none() && Some(pair.path) != nominated && pair.checked_at <= since
        };
        self.pairs.extract_if(.., is_old).map(|pair| pair.path).collect()
    }

    /// Answer a check that came over `path`; the answer is appended to `answer`, and nothing where none is due.
    pub fn check(
        &mut self,
        message: &Message<'_>,
        path: Path,
        now: Micros,
        answer: &mut Vec<u8>,
    ) -> Result<Checked, CheckRefused> {
        if message.class() != Class::Request || message.method() != stun::BINDING {
            return Err(CheckRefused::NotARequest);
        }
        let id = message.transaction_id();
        let Some(username) = message.username() else {
            stun::write_error(answer, id, 400, &[], None);
            return Err(CheckRefused::BadRequest);
        };
        if !message.has_integrity() || !message.has_fingerprint() {
            stun::write_error(answer, id, 400, &[], None);
            return Err(CheckRefused::BadRequest);
        }
        let is_current = username == self.current.username.as_bytes();
        let credentials = if is_current {
            Some(&self.current)
        } else {
            self.previous.as_ref().filter(|old| self.restarted && username == old.username.as_bytes())
        };
        let Some(credentials) = credentials.filter(|known| message.verify_integrity(&known.key)) else {
            stun::write_error(answer, id, 401, &[], None);
            return Err(CheckRefused::Unauthorized);
        };
        let unknown = message.unknown_comprehension_required();
        if !unknown.is_empty() {
            stun::write_error(answer, id, 420, unknown.as_slice(), Some(&credentials.key));
            return Err(CheckRefused::UnknownAttribute);
        }
        if message.ice_controlled().is_some() {
            stun::write_error(answer, id, 487, &[], Some(&credentials.key));
            return Err(CheckRefused::RoleConflict);
        }
        if self.checks.iter().any(|&(known, origin)| known == id && origin != path.origin()) {
            return Err(CheckRefused::Repeated);
        }
        stun::write_success(answer, id, path.remote, &credentials.key);
        if self.checks.len() == MAX_CHECKS {
            self.checks.pop_front();
        }
        self.checks.push_back((id, path.origin()));
        if is_current && message.use_candidate() {
            self.restarted = false;
        }
        let generation = self.generation - u64::from(!is_current);
        let checked = Pair { path, priority: message.priority(), generation, checked_at: now };
        Ok(self.remember(checked, message.use_candidate()))
    }

    /// A pair is nominated by USE-CANDIDATE, or by being the nominated one that a NAT has given another port or
    /// address: consent checks need not carry USE-CANDIDATE (RFC 7675), and media must not wait for another.
    fn remember(&mut self, checked: Pair, use_candidate: bool) -> Checked {
        let path = checked.path;
        let nominate = use_candidate
            || self
                .pairs
                .iter()
                .find(|pair| Some(pair.path) == self.nominated)
                .is_some_and(|pair| pair.is_seen_as(&checked));
        let mut dropped = None;
        let known = self.pairs.iter_mut().find(|pair| pair.path == path);
        let is_new = known.is_none();
        match known {
            Some(pair) => *pair = checked,
            None => {
                if self.pairs.len() == MAX_PAIRS {
                    dropped = self.drop_oldest();
                }
                self.pairs.push(checked);
            }
        }
        let nominated = nominate && self.nominated != Some(path);
        if nominated {
            self.nominated = Some(path);
        }
        Checked { is_new, nominated, dropped }
    }

    fn drop_oldest(&mut self) -> Option<Path> {
        let nominated = self.nominated;
        let (at, _) = self
            .pairs
            .iter()
            .enumerate()
            .filter(|(_, pair)| Some(pair.path) != nominated)
            .min_by_key(|(_, pair)| pair.checked_at)?;
        Some(self.pairs.swap_remove(at).path)
    }
}
