//! Addresses XORed with the cookie and the transaction, so that no NAT rewrites them (RFC 8489 section 14.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{MAGIC_COOKIE, TransactionId};
use crate::wire::{be16, octet, octets};

const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// None for an unknown family or a wrong length.
pub(super) fn read_xored(value: &[u8], transaction_id: &TransactionId) -> Option<SocketAddr> {
    let port = be16(value, 2)? ^ port_mask();
    let ip: IpAddr = match (octet(value, 1)?, value.len()) {
        (IPV4, 8) => Ipv4Addr::from_bits(u32::from_be_bytes(octets(value, 4)?) ^ MAGIC_COOKIE).into(),
        (IPV6, 20) => {
            Ipv6Addr::from_bits(u128::from_be_bytes(octets(value, 4)?) ^ ipv6_mask(transaction_id)).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Appends the value. An IPv4 address in IPv6 clothes, as dual-stack sockets give, is written as IPv4.
pub(super) fn write_xored(out: &mut Vec<u8>, address: SocketAddr, transaction_id: &TransactionId) {
    let ip = address.ip().to_canonical();
    out.extend_from_slice(&[0, if ip.is_ipv4() { IPV4 } else { IPV6 }]);
    out.extend_from_slice(&(address.port() ^ port_mask()).to_be_bytes());
    match ip {
        IpAddr::V4(ip) => out.extend_from_slice(&(ip.to_bits() ^ MAGIC_COOKIE).to_be_bytes()),
        IpAddr::V6(ip) => out.extend_from_slice(&(ip.to_bits() ^ ipv6_mask(transaction_id)).to_be_bytes()),
    }
}

fn port_mask() -> u16 {
    (MAGIC_COOKIE >> 16) as u16
}

fn ipv6_mask(transaction_id: &TransactionId) -> u128 {
    let mut mask = [0; 16];
    let (cookie, id) = mask.split_at_mut(4);
    cookie.copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    id.copy_from_slice(transaction_id);
    u128::from_be_bytes(mask)
}
