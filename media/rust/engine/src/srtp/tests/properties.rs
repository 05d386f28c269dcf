//! Properties of both profiles, held against plain models: the receiver against a list of all that came, the sender
//! against a list of all that it ever protected.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::streams::{PROFILES, compound, index_of, plain, seal};
use super::*;
use crate::testing::proptest_config;
use crate::window::WINDOW;
use crate::wire::rtp::FIXED_HEADER_LEN;

const SSRC: u32 = 0xcafe_babe;
const HALF: u64 = 1 << 15;

fn pair(profile: u16, salt_len: usize) -> (Outbound, Inbound) {
    let salt = vec![7; salt_len];
    (Outbound::new(profile, &KEY, &salt).expect("keys"), Inbound::new(profile, &KEY, &salt).expect("keys"))
}

fn profile() -> impl Strategy<Value = (u16, usize, usize)> {
    prop::sample::select(PROFILES.to_vec())
}

/// What a line does with the sender's next packet.
#[derive(Clone, Copy, Debug)]
enum Line {
    Delivers,
    /// Held back, until so many later ones are through.
    Holds(usize),
    Repeats,
    /// So many are lost, this one the first.
    Loses(u64),
    /// One bit turned over on the way, and the packet itself after it.
    Spoils,
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        8 => Just(Line::Delivers),
        3 => (1..60_usize).prop_map(Line::Holds),
        2 => Just(Line::Repeats),
        1 => (1..40_u64).prop_map(Line::Loses),
        1 => (1..HALF).prop_map(Line::Loses),
        1 => Just(Line::Spoils),
    ]
}

/// What RFC 3711 wants of a receiver, by all that came.
#[derive(Default)]
struct Model {
    came: HashSet<u64>,
    highest: Option<u64>,
}

impl Model {
    /// What an authentic packet of this index is to give.
    fn expected(&self, index: u64) -> Result<u64, SrtpError> {
        match self.highest {
            Some(highest) if index + WINDOW <= highest => Err(SrtpError::TooOld),
            _ if self.came.contains(&index) => Err(SrtpError::Replayed),
            _ => Ok(index),
        }
    }

    fn arrives(&mut self, inbound: &mut Inbound, index: u64, packet: &[u8]) -> Result<(), TestCaseError> {
        prop_assert_eq!(
            index_of(inbound, packet),
            self.expected(index),
            "{:#x} after {:?}",
            index,
            self.highest
        );
        self.came.insert(index);
        self.highest = self.highest.max(Some(index));
        Ok(())
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    /// From just below a roll-over on, over one or several: order, loss of up to half the number space at once,
    /// repetition. Each packet is taken once, with the index that the sender gave it, and a replay never.
    #[test]
    fn a_receiver_counts_roll_overs_as_the_sender_does(
        (profile, salt_len, _) in profile(),
        counter in prop::sample::select(vec![0_u64, 1, 2, 0xffff, 0xffff_fffe]),
        below in 1_u64..600,
        steps in prop::collection::vec(line(), 1..120),
    ) {
        let (mut outbound, mut inbound) = pair(profile, salt_len);
        let mut model = Model::default();
        // The first one came, and where the counter is above zero, all that it needs to be known too: a receiver
        // begins at zero (see Inbound).
        let first = counter << 16 | ((1 << 16) - below);
        inbound.rtp.entry(SSRC).or_default().mark(first);
        model.came.insert(first);
        model.highest = Some(first);
        let mut next = first + 1;
        let mut held: Vec<(usize, u64, Vec<u8>)> = Vec::new();
        for step in steps {
            let index = next;
            if index > MAX_RTP_INDEX {
                break;
            }
            let packet = seal(&mut outbound, SSRC, index).expect("protected");
            next += 1;
            if model.highest.is_some_and(|highest| index >= highest + HALF) {
                // What is held and lost has gone on for half the number space: that is the next property's story.
                break;
            }
            match step {
                Line::Delivers => model.arrives(&mut inbound, index, &packet)?,
                Line::Holds(until) => held.push((until, index, packet)),
                Line::Repeats => {
                    model.arrives(&mut inbound, index, &packet)?;
                    model.arrives(&mut inbound, index, &packet)?;
                }
                Line::Loses(count) => {
                    next += count - 1;
                }
                Line::Spoils => {
                    let mut spoilt = packet.clone();
                    let at = FIXED_HEADER_LEN + (index as usize % (packet.len() - FIXED_HEADER_LEN));
                    spoilt[at] ^= 1 << (index % 8);
                    prop_assert_eq!(index_of(&mut inbound, &spoilt), Err(SrtpError::Unauthenticated));
                    model.arrives(&mut inbound, index, &packet)?;
                }
            }
            held.iter_mut().for_each(|(until, ..)| *until -= 1);
            let due: Vec<_> = held.extract_if(.., |(until, ..)| *until == 0).collect();
            for (_, index, packet) in due {
                // What is later than the window by then is no business of this property's loss.
                if model.highest.is_none_or(|highest| highest < index + HALF) {
                    model.arrives(&mut inbound, index, &packet)?;
                }
            }
        }
        // All that ever came is refused again, whatever the line does, without a change.
        let highest = model.highest;
        for &index in &model.came {
            let Ok(packet) = reseal(profile, salt_len, index) else { continue };
            let refused = index_of(&mut inbound, &packet);
            prop_assert!(refused.is_err(), "{:#x} came again as {:?}", index, refused);
        }
        prop_assert_eq!(inbound.rtp.get(&SSRC).and_then(crate::window::Window::highest), highest);
    }

    /// More than half the number space lost at once: RFC 3711 section 3.3.1 can't know, so the packet fails
    /// authentication rather than being taken for another, nothing moves, and the state goes on where it was.
    #[test]
    fn a_wrong_guess_is_refused_and_moves_nothing(
        (profile, salt_len, _) in profile(),
        first in 0_u64..HALF,
        gap in HALF + 1..(1 << 18),
    ) {
        let (mut outbound, mut inbound) = pair(profile, salt_len);
        let near = seal(&mut outbound, SSRC, first).expect("protected");
        let next = seal(&mut outbound, SSRC, first + 1).expect("protected");
        let far = seal(&mut outbound, SSRC, first + gap).expect("protected");
        prop_assert_eq!(index_of(&mut inbound, &near), Ok(first));
        // Beyond it the sequence number looks older, or equal, or newer within the same roll-over: never right,
        // except where it still lies in the first 65,536, which is no guess.
        let right = first + gap < 1 << 16 && first < HALF && gap <= HALF;
        let outcome = index_of(&mut inbound, &far);
        prop_assert!(outcome.is_err() != right, "{:?} for {:#x} after {:#x}", outcome, first + gap, first);
        prop_assert_eq!(index_of(&mut inbound, &next), Ok(first + 1));
    }

    /// SRTCP says its index: any order and any loss, each once, and none older than the window.
    #[test]
    fn reports_are_taken_once(
        (profile, salt_len, _) in profile(),
        first in prop::sample::select(vec![0_u32, 1, 65_000, MAX_RTCP_INDEX - 200]),
        order in prop::collection::vec((0_usize..200, any::<bool>()), 1..200),
    ) {
        let (mut outbound, mut inbound) = pair(profile, salt_len);
        outbound.next_rtcp_index = first;
        let sealed: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let mut out = compound(SSRC);
                outbound.protect_rtcp(&mut out, 0).expect("protected");
                out
            })
            .collect();
        let mut came = HashSet::new();
        for (at, spoil) in order {
            let mut packet = sealed[at].clone();
            if spoil {
                // A bit of the index: it must not be believed.
                let at = packet.len() - if profile == AES128_CM_HMAC_SHA1_80 { 11 } else { 1 };
                packet[at] ^= 0x80;
                prop_assert!(open_rtcp(&mut inbound, &packet).is_err());
                continue;
            }
            let expected = if came.insert(at) { Ok(compound(SSRC)) } else { Err(SrtpError::Replayed) };
            prop_assert_eq!(open_rtcp(&mut inbound, &packet), expected);
        }
    }

    /// The sender's guard: whatever is asked of it, in whatever order, an SSRC's index protects one text and no other.
    #[test]
    fn an_index_never_protects_two_texts(
        (profile, salt_len, _) in profile(),
        asked in prop::collection::vec((0_u32..3, -1_200_i64..1_200, any::<u8>()), 1..200),
        start in prop::sample::select(vec![0_u64, 40_000, 65_500, 200_000]),
    ) {
        let (mut outbound, _) = pair(profile, salt_len);
        let mut protected: HashMap<(u32, u64), u8> = HashMap::new();
        let mut highest: HashMap<u32, u64> = HashMap::new();
        let mut at = start;
        for (ssrc, step, text) in asked {
            at = at.saturating_add_signed(step);
            let mut out = plain(ssrc, at, &[text; 20]);
            let outcome = outbound.protect_rtp(&mut out, 0, FIXED_HEADER_LEN, ssrc, at);
            let top = highest.get(&ssrc).copied();
            let too_old = top.is_some_and(|top| at + WINDOW <= top);
            if protected.contains_key(&(ssrc, at)) || too_old {
                prop_assert_eq!(outcome, Err(SrtpError::IndexUsed));
                prop_assert!(out.is_empty());
            } else {
                prop_assert_eq!(outcome, Ok(()));
                protected.insert((ssrc, at), text);
                highest.insert(ssrc, top.map_or(at, |top| top.max(at)));
            }
        }
    }
}

/// The same packet once more, from a sender with the same keys that has no memory: what a recorder would replay.
fn reseal(profile: u16, salt_len: usize, index: u64) -> Result<Vec<u8>, SrtpError> {
    seal(&mut pair(profile, salt_len).0, SSRC, index)
}
