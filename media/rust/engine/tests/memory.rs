//! What a shard keeps for each further receiver, and for a publisher: octets that its allocator gave.

#[path = "soak/memory.rs"]
mod allocator;
mod common;

use allocator::allocated;
use common::*;
use luokkasilta_engine::types::Media;

/// So much of each publisher for eight seconds: of the teacher, the first, 150 packets of 1,000 octets of a picture a
/// second, of the others, whose pictures are small, 30; of the first three 50 packets of a voice.
fn play(bench: &mut Bench, publishers: &mut [Remote], from: u64) {
    for n in from..from + 8 * 150 {
        for (at, remote) in publishers.iter_mut().enumerate() {
            let every = if at == 0 { 1 } else { 5 };
            if n % every == 0 {
                let payload = vp8((n / every) as u16 & 0x7fff, n as u8, n == from, true, &[7; 1_000]);
                let fields = picture_fields(100, (n / every) as u16, n as u32 * 600, true);
                remote.send_rtp(bench, &fields, n / every, &payload, None, None);
            }
            if n % 3 == 0 && at < 3 {
                let fields = voice_fields(200, (n / 3) as u16, (n / 3 * 960) as u32);
                remote.send_rtp(bench, &fields, n / 3, &[7; 100], Some(30), None);
            }
        }
        bench.advance(6_667);
        bench.out.clear_datagrams();
        bench.out.events.clear();
    }
}

/// Octets that the last 20 of 30 receivers cost, each, with so many slots that all play.
fn of_a_receiver(slots: u16) -> i64 {
    let mut bench = Bench::default();
    let mut publishers: Vec<Remote> = (1..=u64::from(slots))
        .map(|peer| {
            let remote = Remote::join(&mut bench, peer);
            remote.publish_repairable_picture(&mut bench, peer * 10, 100);
            remote.publish_audio(&mut bench, peer * 10 + 1, Some(200), true);
            remote
        })
        .collect();
    let join = |bench: &mut Bench, peer: u64| {
        let remote = Remote::join(bench, peer);
        for slot in 0..slots {
            remote.add_repairable_pair(bench, slot);
            remote.route(bench, slot, Media::Video, Some((u64::from(slot) + 1) * 10));
            remote.route(bench, slot, Media::Audio, Some((u64::from(slot) + 1) * 10 + 1));
        }
    };
    (100..110).for_each(|peer| join(&mut bench, peer));
    // Until the publishers' caches are full.
    (0..3).for_each(|time| play(&mut bench, &mut publishers, time * 8 * 150));
    let before = allocated();
    (110..130).for_each(|peer| join(&mut bench, peer));
    play(&mut bench, &mut publishers, 3 * 8 * 150);
    (allocated() - before) / 20
}

#[test]
fn a_further_receiver_costs_150_kib_at_most() {
    let cost = [1, 5, 6, 12].map(|slots| (slots, of_a_receiver(slots) / 1_024));
    println!("slots, KiB: {cost:?}");
    for (slots, kib) in cost {
        assert!((2..=150).contains(&kib), "{kib} KiB with {slots} slots");
    }
}
