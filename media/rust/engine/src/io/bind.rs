//! Binding: for each address a UDP socket and a TCP listener on one port, for each shard.

use super::listener::Listener;
use super::socket::UdpSocket;
use std::io;
use std::net::SocketAddr;

/// Ports tried where the kernel may choose: a free UDP port is not always a free TCP port.
const ATTEMPTS: usize = 16;

/// What one shard listens on.
#[derive(Default)]
pub struct Sockets {
    /// By the number of the address.
    pub udp: Vec<UdpSocket>,
    /// By the number of the address.
    pub tcp: Vec<Listener>,
}

/// Sockets for all addresses, by shard. Addresses with port 0 get the port of the first, so that there is one port.
/// An error names the protocol and the address.
pub fn bind_all(bind: &[SocketAddr], shards: usize) -> io::Result<Vec<Sockets>> {
    let chosen = bind.first().is_some_and(|address| address.port() == 0);
    until_free(if chosen { ATTEMPTS } else { 1 }, || try_all(bind, shards))
}

fn until_free<T>(attempts: usize, mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..attempts {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            result => return result,
        }
    }
    bind()
}

/// With several shards the port is first taken alone, because a shared port would not be refused where another
/// program of the same user has it.
fn try_all(bind: &[SocketAddr], shards: usize) -> io::Result<Vec<Sockets>> {
    let mut sockets: Vec<Sockets> = (0..shards).map(|_| Sockets::default()).collect();
    let shared = shards > 1;
    let mut port = 0;
    for (number, &address) in (0_u8..).zip(bind) {
        let mut address = address;
        if address.port() == 0 {
            address.set_port(port);
        }
        let udp = |address, shared| {
            UdpSocket::bind(address, number, shared).map_err(|error| named("UDP", address, &error))
        };
        let tcp = |address, shared| {
            Listener::bind(address, number, shared).map_err(|error| named("TCP", address, &error))
        };
        if shared {
            address.set_port(udp(address, false)?.local().port());
            tcp(address, false)?;
        }
        for own in &mut sockets {
            let socket = udp(address, shared)?;
            address.set_port(socket.local().port());
            own.udp.push(socket);
            own.tcp.push(tcp(address, shared)?);
        }
        if port == 0 {
            port = address.port();
        }
    }
    Ok(sockets)
}

fn named(protocol: &str, address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{protocol} {address}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket as StdUdpSocket};

    #[test]
    fn an_error_says_which_protocol_and_address() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("an address");
        for shards in [1, 3] {
            let error = bind_all(&[address], shards).err().expect("in use");
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            assert!(error.to_string().starts_with(&format!("TCP {address}: ")), "{error}");
        }
        drop(tcp);
        let udp = StdUdpSocket::bind(address).expect("a port that was free");
        let error = bind_all(&[address], 1).err().expect("in use");
        assert!(error.to_string().starts_with(&format!("UDP {address}: ")), "{error}");
        drop(udp);
        assert!(bind_all(&[address], 3).is_ok());
    }

    #[test]
    fn a_taken_port_is_tried_again_and_another_error_is_not() {
        let mut tries = 0;
        let mut failing = |kind: io::ErrorKind, until: usize| {
            tries = 0;
            let result = until_free(ATTEMPTS, || {
                tries += 1;
                if tries < until { Err(kind.into()) } else { Ok(()) }
            });
            (result.err().map(|error| error.kind()), tries)
        };
        assert_eq!(failing(io::ErrorKind::AddrInUse, 4), (None, 4));
        let in_use = Some(io::ErrorKind::AddrInUse);
        assert_eq!(failing(io::ErrorKind::AddrInUse, usize::MAX), (in_use, ATTEMPTS));
        let denied = Some(io::ErrorKind::PermissionDenied);
        assert_eq!(failing(io::ErrorKind::PermissionDenied, usize::MAX), (denied, 1));
    }

    #[test]
    fn a_chosen_port_is_one_for_all() {
        let any = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"].map(|text| text.parse().expect("an address"));
        for shards in [1, 2] {
            let bound = bind_all(&any, shards).expect("a port");
            let ports: Vec<u16> =
                bound.iter().flat_map(|own| &own.udp).map(|socket| socket.local().port()).collect();
            assert_eq!(ports, vec![ports[0]; 3 * shards]);
            assert!(bound.iter().all(|own| own.tcp.len() == 3));
            for address in any {
                let taken = SocketAddr::new(address.ip(), ports[0]);
                assert!(TcpListener::bind(taken).is_err(), "TCP listens there");
            }
        }
    }
}
