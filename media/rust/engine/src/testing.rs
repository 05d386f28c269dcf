//! What several unit tests share.

use proptest::test_runner::{Config, RngSeed};

/// A fixed seed, so that a run on one machine is the run on every machine.
pub fn proptest_config() -> Config {
    Config {
        cases: 256,
        rng_seed: RngSeed::Fixed(20_261_124),
        failure_persistence: None,
        ..Config::default()
    }
}
