//! Socket addresses between the standard library's form and the kernel's.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// The kernel's form, in storage large enough for either family, and its length.
#[must_use]
pub fn to_raw(address: SocketAddr) -> (libc::sockaddr_in6, libc::socklen_t) {
    match address {
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            (raw, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
        SocketAddr::V4(v4) => {
            // sockaddr_in has the address where sockaddr_in6 has its flow information; both start with family
            // and port.
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET as libc::sa_family_t,
                sin6_port: v4.port().to_be(),
                sin6_flowinfo: u32::from_ne_bytes(v4.ip().octets()),
                sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
                sin6_scope_id: 0,
            };
            (raw, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
    }
}

/// From the kernel's form; `None` for a family that is not IP.
#[must_use]
pub fn from_raw(raw: &libc::sockaddr_in6) -> Option<SocketAddr> {
    let port = u16::from_be(raw.sin6_port);
    match i32::from(raw.sin6_family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(raw.sin6_flowinfo.to_ne_bytes());
            Some(SocketAddr::V4(SocketAddrV4::new(ip, port)))
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id)))
        }
        _ => None,
    }
}

/// An all-zero address, to be filled by the kernel.
#[must_use]
pub const fn empty() -> libc::sockaddr_in6 {
    libc::sockaddr_in6 {
        sin6_family: 0,
        sin6_port: 0,
        sin6_flowinfo: 0,
        sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
        sin6_scope_id: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["127.0.0.1:5004", "0.0.0.0:0", "[::1]:65535", "[fe80::1%3]:9"] {
            let Ok(address) = text.parse::<SocketAddr>() else { panic!("{text}") };
            assert_eq!(from_raw(&to_raw(address).0), Some(address));
        }
        assert_eq!(from_raw(&empty()), None);
    }
}
