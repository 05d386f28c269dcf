//! STUN: the vectors of RFC 5769, what an agent writes, and what a sealed message can say.

use super::{Seed, hex, seed, table};
use luokkasilta_engine::wire::stun::{BINDING, Builder, Class, short_term_key, write_error, write_success};
use std::net::SocketAddr;

const ID: [u8; 12] = [7; 12];

/// Whole datagrams.
const VECTORS: [(&str, &str); 6] = [
    (
        "rfc5769-request",
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932f
         f9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
    ),
    (
        "rfc5769-response-ipv4",
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91
         f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
    ),
    (
        "rfc5769-response-ipv6",
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9faa5d3f179bc25
         f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
    ),
    ("header-alone", "000100002112a442070707070707070707070707"),
    ("no-cookie", "000100002112a443070707070707070707070707"),
    ("length-past-the-end", "000100082112a442070707070707070707070707 00250000"),
];

/// For the twin that is sealed: type, transaction, attributes.
const SEALED: [(&str, &str); 14] = [
    (
        "check",
        "0001 070707070707070707070707 0006 0008 6e6561723a666172 0024 0004 6e7e1eff 802a 0008 0000000000000001",
    ),
    (
        "nominating",
        "0001 070707070707070707070707 0006 0008 6e6561723a666172 0025 0000 802a 0008 0000000000000001",
    ),
    ("role-conflict", "0001 070707070707070707070707 0006 0008 6e6561723a666172 8029 0008 0000000000000001"),
    (
        "unknown-attributes",
        "0001 070707070707070707070707 0006 0008 6e6561723a666172 7777 0004 00000000 0003 0004 00000006",
    ),
    (
        "optional-attributes",
        "0001 070707070707070707070707 0006 0008 6e6561723a666172 c057 0004 00010005 8022 0003 61626300",
    ),
    ("other-user", "0001 070707070707070707070707 0006 0008 6e6561723a616c6c"),
    ("no-user", "0001 070707070707070707070707 0024 0004 6e7e1eff"),
    ("two-users", "0001 070707070707070707070707 0006 0008 6e6561723a666172 0006 0003 613a6200"),
    ("indication", "0011 070707070707070707070707 0006 0008 6e6561723a666172"),
    (
        "success",
        "0101 070707070707070707070707 0020 0008 0001a147e112a643 0020 0014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
    ),
    ("error", "0111 070707070707070707070707 0009 0010 00000457 726f6c6520636f6e666c6963"),
    ("another-method", "0003 070707070707070707070707 0006 0008 6e6561723a666172"),
    (
        "integrity-within",
        "0001 070707070707070707070707 0006 0008 6e6561723a666172 0008 0014 0000000000000000000000000000000000000000",
    ),
    ("attribute-past-the-end", "0001 070707070707070707070707 0006 ffff 6e6561723a666172"),
];

pub(super) fn seeds() -> Vec<Seed> {
    let key = short_term_key("the password of the near end");
    let mut written: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut write = |name, make: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        make(&mut out);
        written.push((name, out));
    };
    let remotes: [SocketAddr; 2] =
        ["192.0.2.1:32853", "[2001:db8::1]:32853"].map(|text| text.parse().expect("an address"));
    write("written-check", &|out| {
        Builder::new(out, Class::Request, BINDING, ID)
            .username(b"near:far")
            .expect("not too long")
            .priority(1_853_824_767)
            .ice_controlling(7)
            .use_candidate()
            .finish(Some(&key));
    });
    write("written-check-with-another-password", &|out| {
        Builder::new(out, Class::Request, BINDING, ID)
            .username(b"near:far")
            .expect("not too long")
            .use_candidate()
            .finish(Some(&short_term_key("another password")));
    });
    write("written-success-ipv4", &|out| write_success(out, ID, remotes[0], &key));
    write("written-success-ipv6", &|out| write_success(out, ID, remotes[1], &key));
    write("written-400", &|out| write_error(out, ID, 400, &[], None));
    write("written-420", &|out| write_error(out, ID, 420, &[0x7777, 3], Some(&key)));
    write("written-487", &|out| write_error(out, ID, 487, &[], Some(&key)));
    let many = [hex("0001"), vec![7; 12], hex("80220000").repeat(32)].concat();
    written.push(("sealed-with-many-attributes", many));

    let mut seeds = table("stun", &VECTORS);
    seeds.extend(SEALED.map(|(name, octets)| seed("stun", &format!("sealed-{name}"), hex(octets))));
    seeds.extend(written.into_iter().map(|(name, octets)| seed("stun", name, octets)));
    seeds
}
