#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| luokkasilta_fuzz::vp9(data));
