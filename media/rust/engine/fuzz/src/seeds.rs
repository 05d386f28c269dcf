//! The first inputs of every corpus: vectors of the RFCs and of real encoders, their malformed twins, and for the
//! engine small lessons. The replay test holds the files to what is made here.

mod packets;
mod payloads;
mod stories;
mod streams;
mod stun;

/// One file of a corpus.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The target's name.
    pub target: &'static str,
    /// The file's name, which begins with `seed-`.
    pub name: String,
    /// The input.
    pub octets: Vec<u8>,
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Seed> {
    [stun::seeds(), packets::seeds(), payloads::seeds(), streams::seeds(), stories::seeds()].concat()
}

fn seed(target: &'static str, name: &str, octets: Vec<u8>) -> Seed {
    Seed { target, name: format!("seed-{name}"), octets }
}

/// Seeds of a target from a table of names and hexadecimal octets; blanks are ignored.
fn table(target: &'static str, rows: &[(&str, &str)]) -> Vec<Seed> {
    rows.iter().map(|(name, octets)| seed(target, name, hex(octets))).collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|octet| !octet.is_ascii_whitespace())
        .map(|octet| char::from(octet).to_digit(16).expect("a hexadecimal digit") as u8)
        .collect();
    assert!(digits.len().is_multiple_of(2), "half an octet in {text}");
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
