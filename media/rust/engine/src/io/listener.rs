//! A TCP listener (ICE-TCP passive, RFC 6544) on the address and port of a UDP socket.

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Connections that may wait to be accepted: a school's pupils open their pages at the same moment.
const BACKLOG: i32 = 1_024;
/// Octets that the kernel may hold unsent for one connection, beside what is under way: enough until the worker's next
/// turn. What waits, waits with us, where it can be counted.
const UNSENT: u32 = 16 << 10;
/// A connection whose other end has vanished is closed after this long, with something to send or without.
const GONE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);

/// See the module.
pub struct Listener {
    socket: Socket,
    number: u8,
}

/// A connection that was made, with both its addresses.
pub struct Accepted {
    /// Does not block.
    pub stream: TcpStream,
    /// The address that was reached.
    pub local: SocketAddr,
    /// Who reached it.
    pub remote: SocketAddr,
}

impl Listener {
    /// Bind and listen. `number` and `shared` are as for [`super::socket::UdpSocket::bind`].
    pub fn bind(address: SocketAddr, number: u8, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        // Connections of a server that has just ended do not keep the next from its port; a listener does.
        socket.set_reuse_address(true)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(Self { socket, number })
    }

    /// Its index among the bound addresses.
    pub fn number(&self) -> u8 {
        self.number
    }

    /// For poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The next connection; `None` when none waits. An error is the process's (no descriptor, no memory), not that
    /// of a connection.
    pub fn accept(&self) -> io::Result<Option<Accepted>> {
        loop {
            match self.socket.accept() {
                Ok((socket, _)) => match prepare(socket) {
                    Ok(accepted) => return Ok(Some(accepted)),
                    // Already closed by the other end.
                    Err(_) => continue,
                },
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(None),
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

fn prepare(socket: Socket) -> io::Result<Accepted> {
    let address = |address: socket2::SockAddr| address.as_socket().ok_or(io::ErrorKind::AddrNotAvailable);
    let local = address(socket.local_addr()?)?;
    let remote = address(socket.peer_addr()?)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_tcp_user_timeout(Some(GONE))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE).with_interval(PROBE).with_retries(3))?;
    Ok(Accepted { stream: socket.into(), local, remote })
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn a_connection_does_not_block_or_wait_and_notices_a_vanished_end() {
        let listener = Listener::bind("127.0.0.1:0".parse().expect("an address"), 3, false).expect("a port");
        assert_eq!(listener.number(), 3);
        assert!(listener.accept().expect("no error").is_none());
        let to = listener.socket.local_addr().expect("bound").as_socket().expect("IP");
        let far = TcpStream::connect(to).expect("connected");
        let accepted = loop {
            if let Some(accepted) = listener.accept().expect("no error") {
                break accepted;
            }
        };
        assert_eq!(accepted.local, to);
        assert_eq!(accepted.remote, far.local_addr().expect("an address"));
        let socket = SockRef::from(&accepted.stream);
        assert!(socket.nonblocking().expect("an option"));
        assert!(socket.tcp_nodelay().expect("an option"));
        assert!(socket.keepalive().expect("an option"));
        assert_eq!(socket.tcp_keepalive_time().expect("an option"), PROBE);
        assert_eq!(socket.tcp_user_timeout().expect("an option"), Some(GONE));
        assert_eq!(socket.tcp_notsent_lowat().expect("an option"), UNSENT);
    }
}
