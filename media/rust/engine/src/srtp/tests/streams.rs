//! Whole streams through both sides: order, loss, roll-over, reuse, bounds.

use proptest::prelude::*;

use super::*;
use crate::testing::proptest_config;
use crate::wire::rtp::{FIXED_HEADER_LEN, HeaderFields, write_header};

const SSRC: u32 = 0xcafe_babe;

/// Every profile with the octets of its salt and of its tag.
pub(super) const PROFILES: [(u16, usize, usize); 2] =
    [(AEAD_AES_128_GCM, 12, 16), (AES128_CM_HMAC_SHA1_80, 14, 10)];

fn pair() -> (Outbound, Inbound) {
    (Outbound::with_cipher(cipher(), 0), Inbound::with_cipher(cipher()))
}

pub(super) fn plain(ssrc: u32, index: u64, payload: &[u8]) -> Vec<u8> {
    let fields = HeaderFields { marker: false, payload_type: 96, sequence: index as u16, timestamp: 1, ssrc };
    let mut out = Vec::new();
    write_header(&mut out, &fields, &[]).expect("written");
    out.extend_from_slice(payload);
    out
}

pub(super) fn seal(outbound: &mut Outbound, ssrc: u32, index: u64) -> Result<Vec<u8>, SrtpError> {
    let mut out = plain(ssrc, index, b"payload");
    outbound.protect_rtp(&mut out, 0, FIXED_HEADER_LEN, ssrc, index).map(|()| out)
}

pub(super) fn index_of(inbound: &mut Inbound, packet: &[u8]) -> Result<u64, SrtpError> {
    open_rtp(inbound, packet).map(|(_, index)| index)
}

pub(super) fn compound(ssrc: u32) -> Vec<u8> {
    [hex("80c90001"), ssrc.to_be_bytes().to_vec()].concat()
}

#[test]
fn the_counter_rolls_over_through_loss_and_reordering() {
    let (mut outbound, mut inbound) = pair();
    // Around two wraps: packets lost at the wrap itself, one from before it late, one from after it early.
    for wrap in [1u64 << 16, 2 << 16] {
        for offset in [-40_000, -20_000, -3, 2, -2, 1, 40, -1, 20_000] {
            let index = wrap.saturating_add_signed(offset);
            let packet = seal(&mut outbound, SSRC, index).expect("protected");
            assert_eq!(index_of(&mut inbound, &packet), Ok(index), "{offset} of {wrap:#x}");
        }
    }
}

#[test]
fn a_roll_over_that_was_not_heard_of_is_refused() {
    // After half the number space of loss the estimate is wrong, and authentication says so.
    let (mut outbound, mut inbound) = pair();
    let first = seal(&mut outbound, SSRC, 100).expect("protected");
    let later = seal(&mut outbound, SSRC, 100 + 70_000).expect("protected");
    assert_eq!(index_of(&mut inbound, &first), Ok(100));
    assert_eq!(index_of(&mut inbound, &later), Err(SrtpError::Unauthenticated));
}

#[test]
fn late_packets_within_the_window_are_taken_once() {
    let (mut outbound, mut inbound) = pair();
    let packets: Vec<_> =
        (0..1026).map(|index| seal(&mut outbound, SSRC, index).expect("protected")).collect();
    assert_eq!(index_of(&mut inbound, &packets[1025]), Ok(1025));
    assert_eq!(index_of(&mut inbound, &packets[1]), Err(SrtpError::TooOld));
    for late in [2, 500, 1024] {
        assert_eq!(index_of(&mut inbound, &packets[late]), Ok(late as u64));
        assert_eq!(index_of(&mut inbound, &packets[late]), Err(SrtpError::Replayed));
    }
}

#[test]
fn a_forged_packet_far_ahead_moves_nothing() {
    let (mut outbound, mut inbound) = pair();
    let genuine = seal(&mut outbound, SSRC, 5).expect("protected");
    for sequence in [0u16, 30_000, 65_535] {
        let forged = [plain(SSRC, u64::from(sequence), b"forged"), vec![0; 16]].concat();
        assert_eq!(index_of(&mut inbound, &forged), Err(SrtpError::Unauthenticated));
    }
    assert_eq!(index_of(&mut inbound, &genuine), Ok(5));
}

#[test]
fn an_index_is_protected_once() {
    let (mut outbound, _) = pair();
    for index in [70_000, 69_500, 70_001] {
        seal(&mut outbound, SSRC, index).expect("protected");
        assert_eq!(seal(&mut outbound, SSRC, index), Err(SrtpError::IndexUsed));
    }
    assert_eq!(seal(&mut outbound, SSRC, 70_001 - 1024), Err(SrtpError::IndexUsed), "too old to tell");
    assert!(seal(&mut outbound, SSRC, 70_001 - 1023).is_ok());
    assert!(seal(&mut outbound, SSRC + 1, 70_000).is_ok(), "another SSRC has its own indices");
}

#[test]
fn a_refusal_leaves_no_plain_packet() {
    let (mut outbound, _) = pair();
    let mut out = b"before".to_vec();
    for (header_len, ssrc, index, error) in [
        (11, SSRC, 7, SrtpError::TooShort),
        (17, SSRC, 7, SrtpError::TooShort),
        (12, SSRC + 1, 7, SrtpError::BadHeader),
        (12, SSRC, 8, SrtpError::BadHeader),
        (12, SSRC, 1 << 48 | 7, SrtpError::IndexExhausted),
    ] {
        out.extend(plain(SSRC, 7, b"abcd"));
        assert_eq!(outbound.protect_rtp(&mut out, 6, header_len, ssrc, index), Err(error));
        assert_eq!(out, b"before");
    }
    assert_eq!(outbound.protect_rtp(&mut out, 6, 12, SSRC, 7), Err(SrtpError::TooShort));
    assert_eq!(outbound.protect_rtp(&mut out, 99, 12, SSRC, 7), Err(SrtpError::TooShort));
    assert_eq!(outbound.protect_rtcp(&mut out, 99), Err(SrtpError::TooShort));
    out.extend([0x80, 201, 0, 1, 0, 0, 0]);
    assert_eq!(outbound.protect_rtcp(&mut out, 6), Err(SrtpError::TooShort));
    assert_eq!(out, b"before");
    // None of these used the index up.
    out.extend(plain(SSRC, 7, b"abcd"));
    assert_eq!(outbound.protect_rtp(&mut out, 6, 12, SSRC, 7), Ok(()));
    out.truncate(6);
    out.extend(plain(SSRC, 7, b"efgh"));
    assert_eq!(outbound.protect_rtp(&mut out, 6, 12, SSRC, 7), Err(SrtpError::IndexUsed));
    assert_eq!(out, b"before");
}

#[test]
fn rtcp_counts_and_its_window() {
    let (mut outbound, mut inbound) = pair();
    let packets: Vec<_> = (0..1026)
        .map(|_| {
            let mut out = compound(SSRC);
            outbound.protect_rtcp(&mut out, 0).expect("protected");
            out
        })
        .collect();
    assert_eq!(packets[0][packets[0].len() - 4..], hex("80000000"));
    assert_eq!(open_rtcp(&mut inbound, &packets[1025]), Ok(compound(SSRC)));
    assert_eq!(open_rtcp(&mut inbound, &packets[1]), Err(SrtpError::TooOld));
    assert_eq!(open_rtcp(&mut inbound, &packets[2]), Ok(compound(SSRC)));
    assert_eq!(open_rtcp(&mut inbound, &packets[2]), Err(SrtpError::Replayed));
}

#[test]
fn the_last_rtcp_index_is_the_last() {
    let mut outbound = Outbound::with_cipher(cipher(), MAX_RTCP_INDEX);
    let mut out = compound(SSRC);
    assert_eq!(outbound.protect_rtcp(&mut out, 0), Ok(()));
    assert_eq!(out[out.len() - 4..], hex("ffffffff"));
    for _ in 0..2 {
        let mut out = compound(SSRC);
        assert_eq!(outbound.protect_rtcp(&mut out, 0), Err(SrtpError::IndexExhausted));
        assert!(out.is_empty());
    }
}

#[test]
fn ssrcs_are_bounded_and_only_the_authenticated_count() {
    let (mut outbound, mut inbound) = pair();
    for ssrc in 0..2 * MAX_SSRCS as u32 {
        let forged = [plain(0xffff_0000 + ssrc, 1, b"forged"), vec![0; 16]].concat();
        assert_eq!(index_of(&mut inbound, &forged), Err(SrtpError::Unauthenticated));
    }
    let mut sealed = |ssrc, index| seal(&mut outbound, ssrc, index).expect("protected");
    for ssrc in 0..MAX_SSRCS as u32 {
        assert_eq!(index_of(&mut inbound, &sealed(ssrc, 1)), Ok(1));
    }
    assert_eq!(index_of(&mut inbound, &sealed(MAX_SSRCS as u32, 1)), Err(SrtpError::TooManySsrcs));
    assert_eq!(index_of(&mut inbound, &sealed(0, 2)), Ok(2), "the known ones go on");

    for ssrc in 0..=MAX_SSRCS as u32 {
        let mut out = compound(ssrc);
        outbound.protect_rtcp(&mut out, 0).expect("protected");
        let expected =
            if ssrc < MAX_SSRCS as u32 { Ok(compound(ssrc)) } else { Err(SrtpError::TooManySsrcs) };
        assert_eq!(open_rtcp(&mut inbound, &out), expected);
    }
}

proptest! {
    #![proptest_config(proptest_config())]

    #[test]
    fn what_is_protected_comes_back(
        (profile, salt_len, tag_len) in prop::sample::select(PROFILES.to_vec()),
        key in any::<[u8; 16]>(),
        salt in any::<[u8; 14]>(),
        (ssrc, first) in any::<(u32, u16)>(),
        value in prop::collection::vec(any::<u8>(), 1..30),
        payload in prop::collection::vec(any::<u8>(), 0..1300),
        before in prop::collection::vec(any::<u8>(), 0..20),
        flipped in any::<prop::sample::Index>(),
    ) {
        let mut outbound = Outbound::new(profile, &key, &salt[..salt_len]).expect("keys");
        let mut inbound = Inbound::new(profile, &key, &salt[..salt_len]).expect("keys");
        let fields = HeaderFields { marker: true, payload_type: 96, sequence: first, timestamp: 9, ssrc };
        let mut out = before.clone();
        write_header(&mut out, &fields, &[(1, &value)]).expect("written");
        let header_len = out.len() - before.len();
        out.extend_from_slice(&payload);
        let whole = out[before.len()..].to_vec();
        outbound.protect_rtp(&mut out, before.len(), header_len, ssrc, u64::from(first)).expect("protected");
        prop_assert_eq!(&out[..before.len()], &before[..]);
        let sealed = &out[before.len()..];
        prop_assert_eq!(sealed.len(), whole.len() + tag_len);
        prop_assert_eq!(&sealed[..header_len], &whole[..header_len]);

        let mut bad = sealed.to_vec();
        let bit = flipped.index(bad.len() * 8);
        bad[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(open_rtp(&mut inbound, &bad).is_err());
        prop_assert_eq!(open_rtp(&mut inbound, sealed), Ok((whole, u64::from(first))));
    }

    /// A stream in disorder: what arrives within half the number space and the window arrives once, with its index.
    #[test]
    fn disorder_and_repetition(
        first in 0u64..65_536,
        steps in prop::collection::vec((-600i64..1500, any::<bool>()), 1..120),
    ) {
        let (mut outbound, mut inbound) = pair();
        let mut at = first;
        let mut highest: Option<u64> = None;
        for (step, repeat) in steps {
            let sealed = seal(&mut outbound, SSRC, at);
            match sealed {
                Ok(packet) => {
                    // Before the first roll-over nothing lies below zero; all else is within reach.
                    prop_assert_eq!(index_of(&mut inbound, &packet), Ok(at));
                    if repeat {
                        prop_assert_eq!(index_of(&mut inbound, &packet), Err(SrtpError::Replayed));
                    }
                    highest = highest.max(Some(at));
                }
                Err(error) => {
                    prop_assert_eq!(error, SrtpError::IndexUsed);
                    prop_assert!(highest.is_some_and(|highest| at <= highest));
                }
            }
            at = at.saturating_add_signed(step);
        }
    }

    #[test]
    fn never_panics(
        (profile, salt_len, _) in prop::sample::select(PROFILES.to_vec()),
        mut packet in prop::collection::vec(any::<u8>(), 0..100),
        rtp in any::<bool>(),
    ) {
        let mut inbound = Inbound::new(profile, &KEY, &vec![1; salt_len]).expect("keys");
        if let Some(first) = packet.first_mut().filter(|_| rtp) {
            *first = *first & 0x3f | 0x80;
        }
        if let Ok(header) = Header::parse(&packet) {
            prop_assert!(inbound.unprotect_rtp(&header, &mut packet.clone()).is_err());
            // A header of another packet is no reason to fall over either.
            prop_assert!(inbound.unprotect_rtp(&header, &mut packet[..6].to_vec()).is_err());
        }
        prop_assert!(inbound.unprotect_rtcp(&mut packet).is_err());
    }
}
