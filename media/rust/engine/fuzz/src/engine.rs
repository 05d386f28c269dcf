//! The whole shard: an input is a way to begin and a list of steps (datagrams, commands, time). After every step what
//! the shard put out is held to what must be true of it.

mod far;
mod published;
pub(super) mod steps;
mod world;

use arbitrary::Unstructured;
use steps::Step;
use world::World;

/// Steps of one input. With 127 the greatest advance of a step, a stream stays within half the sequence space unless
/// it is told to jump, so that every receiver can follow.
const MAX_STEPS: usize = 200;

/// The target.
pub fn run(data: &[u8]) {
    lesson(data);
}

/// Takes the steps and gives the shard's statistics at the end.
pub fn lesson(data: &[u8]) -> serde_json::Value {
    let mut input = Unstructured::new(data);
    let jumps = input.arbitrary::<u8>().unwrap_or(0) & 1 != 0;
    let mut world = World::new(jumps);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        match input.arbitrary::<Step>() {
            Ok(step) => world.take(&step),
            Err(_) => break,
        }
    }
    world.end()
}
