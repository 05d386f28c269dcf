//! Redundant audio and the first octets of its frames.

use luokkasilta_engine::repair::recovered::FrameOrder;
use luokkasilta_engine::wire::opus;
use luokkasilta_engine::wire::red::{Block, Blocks, Earlier, write};

/// The target `red`: a payload (RFC 2198).
pub fn red(payload: &[u8]) {
    let Ok(blocks) = Blocks::parse(payload) else { return };
    let blocks: Vec<Block<'_>> = blocks.collect();
    let mut at = 4 * (blocks.len() - 1) + 1;
    for block in &blocks {
        assert_eq!(block.start, at, "one behind the other");
        at += block.payload.len();
        assert!(opus::ticks(block.payload).is_none_or(|ticks| (1..=opus::MAX_TICKS).contains(&ticks)));
    }
    assert_eq!(at, payload.len(), "up to the end");

    let Some((own, earlier)) = blocks.split_last() else { panic!("a payload without a block") };
    assert_eq!(own.offset, 0);
    let again: Vec<Earlier<'_>> =
        earlier.iter().map(|block| Earlier { offset: block.offset, payload: block.payload }).collect();
    let is_ours = earlier.iter().all(|block| block.payload_type == own.payload_type)
        && again.iter().all(Earlier::is_sayable);
    let mut written = Vec::new();
    write(&mut written, own.payload_type, &again, own.payload);
    assert_eq!(written == payload, is_ours, "what could have been written here is written the same");

    // A frame is put where no packet was, in the order of time.
    let mut order = FrameOrder::default();
    order.put(90, 0);
    order.put(99, 9 * 960);
    for (back, block) in (1..=earlier.len() as u64).rev().zip(earlier) {
        let Some(length) = opus::ticks(block.payload) else { continue };
        if let Some(place) = order.place(100, 10 * 960, back, block.offset, length) {
            assert!((91..99).contains(&place), "between those that came");
            order.put(place, 10 * 960 - i64::from(block.offset));
        }
    }
}
