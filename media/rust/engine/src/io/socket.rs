//! One UDP socket, read and written in batches (recvmmsg, sendmmsg). The only file with `unsafe` in it.
//!
//! Each datagram comes with the local address it was sent to, and each leaves from the address that its path
//! names (IP_PKTINFO, RFC 3542 IPV6_PKTINFO): a server bound to all addresses must answer from the one that was
//! asked, or a browser discards the answer.

use super::address;
use crate::output::{Output, Path};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::mem::{MaybeUninit, size_of, size_of_val};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Datagrams per system call.
pub const BATCH: usize = 64;
/// Larger than any datagram of WebRTC; a longer one is dropped and counted.
const BUFFER: usize = 2048;
/// Asked of the kernel, which may give less: room for a few milliseconds of bursts from a full lesson.
const KERNEL_BUFFER: usize = 4 << 20;
/// Room for one control message with the larger of the two packet-information structures, suitably aligned.
const CONTROL_WORDS: usize = 8;

type Control = [u64; CONTROL_WORDS];

/// See the module.
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    number: u8,
    buffers: Vec<[u8; BUFFER]>,
    received: Vec<Received>,
}

#[derive(Clone, Copy)]
struct Received {
    len: usize,
    path: Option<Path>,
}

/// What became of a batch that was to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub sent: u64,
    /// Datagrams dropped because the send buffer was full.
    pub full: u64,
    /// Datagrams dropped for another error (no route, refused, ...).
    pub failed: u64,
}

impl UdpSocket {
    /// Bind. `number` is its index among the engine's sockets; `shared` lets other sockets have the same port.
    pub fn bind(address: SocketAddr, number: u8, shared: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if shared {
            socket.set_reuse_port(true)?;
        }
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // What the kernel refuses to give here costs packets under load, not correctness.
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.bind(&address.into())?;
        ask_for_local_address(&socket, address.is_ipv4())?;
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            socket,
            local,
            number,
            buffers: vec![[0; BUFFER]; BATCH],
            received: Vec::with_capacity(BATCH),
        })
    }

    /// The bound address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// For poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Read what waits, at most [`BATCH`] datagrams, without blocking. Gives their number, 0 when none waits.
    pub fn receive(&mut self) -> io::Result<usize> {
        self.received.clear();
        let mut addresses = [address::empty(); BATCH];
        let mut controls: [Control; BATCH] = [[0; CONTROL_WORDS]; BATCH];
        let mut slices: Vec<libc::iovec> = self
            .buffers
            .iter_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: BUFFER })
            .collect();
        let mut headers = [const { empty_header() }; BATCH];
        for (at, header) in headers.iter_mut().enumerate() {
            header.msg_hdr.msg_name = (&raw mut addresses[at]).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut slices[at];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = controls[at].as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: every pointer in `headers` points into `addresses`, `controls`, `slices` or `self.buffers`, all
        // of which live until after the call and have the lengths given beside the pointers.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if count < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
                // A port that was closed at the other end; the error is that peer's, not the socket's.
                io::ErrorKind::ConnectionRefused => Ok(0),
                _ => Err(error),
            };
        }
        let count = count as usize;
        for at in 0..count {
            let header = &headers[at];
            let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            let remote = address::from_raw(&addresses[at]);
            let path = match (whole, remote) {
                (true, Some(remote)) => {
                    let local = local_address(&header.msg_hdr).unwrap_or(self.local.ip());
                    Some(Path::udp(self.number, local, remote))
                }
                _ => None,
            };
            self.received.push(Received { len: header.msg_len as usize, path });
        }
        Ok(count)
    }

    /// The datagram `at` of the last [`Self::receive`]; `None` when it was too long or came from nowhere.
    pub fn datagram(&mut self, at: usize) -> Option<(&mut [u8], Path)> {
        let received = *self.received.get(at)?;
        let path = received.path?;
        self.buffers[at].get_mut(..received.len).map(|data| (data, path))
    }

    /// Send the datagrams of `out` that go over this socket, in order, without blocking. A datagram that finds
    /// the send buffer full is dropped and counted, as are those after it in its batch: media must not wait.
    pub fn send(&self, out: &Output) -> Sent {
        let mut sent = Sent::default();
        let mut batch: Vec<usize> = Vec::with_capacity(BATCH);
        for (at, datagram) in out.datagrams.iter().enumerate() {
            if datagram.path.socket == self.number && datagram.path.connection.is_none() {
                batch.push(at);
                if batch.len() == BATCH {
                    self.send_batch(out, &batch, &mut sent);
                    batch.clear();
                }
            }
        }
        self.send_batch(out, &batch, &mut sent);
        sent
    }

    fn send_batch(&self, out: &Output, batch: &[usize], sent: &mut Sent) {
        let mut addresses = [address::empty(); BATCH];
        let mut controls: [Control; BATCH] = [[0; CONTROL_WORDS]; BATCH];
        let mut slices = [const { libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 } }; BATCH];
        let mut headers = [const { empty_header() }; BATCH];
        for (at, &index) in batch.iter().enumerate() {
            let datagram = &out.datagrams[index];
            let octets = out.octets(datagram);
            let (raw, len) = address::to_raw(datagram.path.remote);
            addresses[at] = raw;
            // The kernel only reads what it sends.
            slices[at] = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
            let header = &mut headers[at].msg_hdr;
            header.msg_name = (&raw mut addresses[at]).cast();
            header.msg_namelen = len;
            header.msg_iov = &raw mut slices[at];
            header.msg_iovlen = 1;
            if !datagram.path.local.is_unspecified() {
                header.msg_control = controls[at].as_mut_ptr().cast();
                header.msg_controllen = size_of::<Control>() as _;
                let used = write_source(header, datagram.path.local);
                header.msg_controllen = used as _;
            }
        }
        let mut done = 0;
        while done < batch.len() {
            // SAFETY: the headers from `done` on point into `addresses`, `controls`, `slices` and the arena of
            // `out`, which live until after the call and have the lengths given beside the pointers.
            let count = unsafe {
                libc::sendmmsg(
                    self.socket.as_raw_fd(),
                    headers[done..].as_mut_ptr(),
                    (batch.len() - done) as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if count > 0 {
                done += count as usize;
                sent.sent += count as u64;
                continue;
            }
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    sent.full += (batch.len() - done) as u64;
                    return;
                }
                _ => {
                    sent.failed += 1;
                    done += 1;
                }
            }
        }
    }
}

const fn empty_header() -> libc::mmsghdr {
    // SAFETY: msghdr is plain old data (its padding differs by C library); all zero is a header without name,
    // slices and control messages.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn ask_for_local_address(socket: &Socket, is_v4: bool) -> io::Result<()> {
    let (level, name) = if is_v4 {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    };
    let on: libc::c_int = 1;
    // SAFETY: `on` is an int and outlives the call; its size is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The local address that a received datagram was sent to.
fn local_address(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel filled the control buffer that `header` names and set its length; the CMSG macros stay
    // within that, and the structures are read unaligned.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    return Some(IpAddr::V4(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                }
                _ => message = libc::CMSG_NXTHDR(header, message),
            }
        }
        None
    }
}

/// Write the control message that says from which address to send; gives its length.
fn write_source(header: &mut libc::msghdr, local: IpAddr) -> usize {
    // SAFETY: the caller gave a zeroed control buffer of CONTROL_WORDS words, which holds either message; the
    // structures are written unaligned.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        let data = libc::CMSG_DATA(message);
        let len = match local {
            IpAddr::V4(ip) => {
                (*message).cmsg_level = libc::IPPROTO_IP;
                (*message).cmsg_type = libc::IP_PKTINFO;
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                data.cast::<libc::in_pktinfo>().write_unaligned(info);
                size_of::<libc::in_pktinfo>()
            }
            IpAddr::V6(ip) => {
                (*message).cmsg_level = libc::IPPROTO_IPV6;
                (*message).cmsg_type = libc::IPV6_PKTINFO;
                let info =
                    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                data.cast::<libc::in6_pktinfo>().write_unaligned(info);
                size_of::<libc::in6_pktinfo>()
            }
        };
        (*message).cmsg_len = libc::CMSG_LEN(len as libc::c_uint) as _;
        libc::CMSG_SPACE(len as libc::c_uint) as usize
    }
}
