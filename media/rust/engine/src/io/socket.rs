//! One UDP socket, read and written in batches (recvmmsg, sendmmsg). The only file with `unsafe` in it.
//!
//! Each datagram comes with the local address it was sent to, and each leaves from the address that its path
//! names (IP_PKTINFO, RFC 3542 IPV6_PKTINFO): a server bound to all addresses must answer from the one that was
//! asked, or a browser discards the answer.

use super::address;
use super::segments::{Departures, Run};
use super::waiting::Waiting;
use crate::output::{Datagram, Output, Path};
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
/// Room for a control message with the larger of the two packet-information structures and one with a size of
/// segments, suitably aligned.
const CONTROL_WORDS: usize = 10;

type Control = [u64; CONTROL_WORDS];

/// See the module.
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    number: u8,
    buffers: Vec<[u8; BUFFER]>,
    received: Vec<Received>,
    departures: Departures,
    waiting: Waiting,
    blocked: Option<Blocked>,
    #[cfg(test)]
    room: std::cell::Cell<Option<usize>>,
    /// The kernel cuts runs into datagrams.
    segmentation: bool,
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
    /// Datagrams dropped because the send buffer was full and too many waited already.
    pub full: u64,
    /// Datagrams that met a full send buffer and wait.
    pub waited: u64,
    /// Datagrams dropped for another error (no route, refused, ...).
    pub failed: u64,
}

/// What a datagram that waits, waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The socket's send buffer: poll tells when it has room.
    Buffer,
    /// A queue of the device behind it (ENOBUFS): nothing tells, so it is tried again.
    Device,
}

/// Let a datagram of `out` wait.
fn keep(waiting: &mut Waiting, out: &Output, datagram: &Datagram, sent: &mut Sent) {
    sent.waited += 1;
    sent.full += waiting.keep(out.octets(datagram), datagram);
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
            departures: Departures::default(),
            waiting: Waiting::default(),
            blocked: None,
            #[cfg(test)]
            room: std::cell::Cell::new(None),
            segmentation: true,
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

    /// Send the datagrams of `out` that go over this socket, each destination's in order, without blocking, after those
    /// that wait. What finds the send buffer full waits for the next call (`io::waiting`).
    pub fn send(&mut self, out: &Output) -> Sent {
        let mut sent = Sent::default();
        self.blocked = None;
        if !self.waiting.is_empty() {
            let earlier = self.waiting.take();
            self.send_or_keep(&earlier, &mut sent);
            // They were counted when they began to wait.
            sent.waited = 0;
        }
        if self.blocked.is_none() {
            self.send_or_keep(out, &mut sent);
        } else {
            let ours = out
                .datagrams
                .iter()
                .filter(|datagram| datagram.path.socket == self.number && datagram.path.connection.is_none());
            for datagram in ours {
                keep(&mut self.waiting, out, datagram, &mut sent);
            }
        }
        sent
    }

    /// Something waits for this, if anything does.
    pub fn blocked(&self) -> Option<Blocked> {
        self.blocked
    }

    /// The most octets that ever waited.
    pub fn waited_most(&self) -> usize {
        self.waiting.most
    }

    fn send_or_keep(&mut self, out: &Output, sent: &mut Sent) {
        let mut departures = std::mem::take(&mut self.departures);
        departures.arrange(out, self.number, self.segmentation);
        let mut runs = &departures.runs[..];
        while !runs.is_empty() && self.blocked.is_none() {
            let batch = &runs[..runs.len().min(BATCH)];
            let done = self.send_batch(out, &departures.order, batch, sent);
            runs = &runs[done..];
        }
        for &index in runs.iter().flat_map(|run| &departures.order[run.places.clone()]) {
            keep(&mut self.waiting, out, &out.datagrams[index], sent);
        }
        self.departures = departures;
    }

    /// Send some runs, at most [`BATCH`]. Gives how many are done with, one way or another; fewer than all when the
    /// send buffer is full, so that `blocked` says so, or when one must be sent in another way and was.
    fn send_batch(&mut self, out: &Output, order: &[usize], runs: &[Run], sent: &mut Sent) -> usize {
        let mut addresses = [address::empty(); BATCH];
        let mut controls: [Control; BATCH] = [[0; CONTROL_WORDS]; BATCH];
        let mut headers = [const { empty_header() }; BATCH];
        // Runs as ranges of the arena: what lies together there is one slice, as a layer's packets for a receiver do.
        let mut slices: Vec<libc::iovec> = Vec::with_capacity(runs.iter().map(|run| run.places.len()).sum());
        for (at, run) in runs.iter().enumerate() {
            let first = slices.len();
            let mut end = None;
            for &index in &order[run.places.clone()] {
                let datagram = &out.datagrams[index];
                let len = out.octets(datagram).len();
                match slices.last_mut() {
                    Some(slice) if end == Some(datagram.start) => slice.iov_len += len,
                    // The kernel only reads what it sends.
                    _ => slices.push(libc::iovec {
                        iov_base: out.arena.as_ptr().wrapping_add(datagram.start).cast_mut().cast(),
                        iov_len: len,
                    }),
                }
                end = Some(datagram.end);
            }
            let path = out.datagrams[order[run.places.start]].path;
            let (raw, len) = address::to_raw(path.remote);
            addresses[at] = raw;
            let header = &mut headers[at].msg_hdr;
            header.msg_name = (&raw mut addresses[at]).cast();
            header.msg_namelen = len;
            // The slices have room for all and don't move any more.
            header.msg_iov = slices.as_mut_ptr().wrapping_add(first);
            header.msg_iovlen = (slices.len() - first) as _;
            header.msg_control = controls[at].as_mut_ptr().cast();
            header.msg_controllen = size_of::<Control>() as _;
            let segment = (run.places.len() > 1).then_some(run.segment as u16);
            let used = write_controls(header, path.local, segment);
            header.msg_controllen = used as _;
            if used == 0 {
                header.msg_control = std::ptr::null_mut();
            }
        }
        let mut done = 0;
        while done < runs.len() {
            // SAFETY: the headers from `done` on point into `addresses`, `controls`, `slices` and the arena of
            // `out`, which live until after the call and have the lengths given beside the pointers.
            let outcome = unsafe { self.sendmmsg(&mut headers[done..runs.len()]) };
            let error = match outcome {
                Ok(count) => {
                    let through = &runs[done..done + count];
                    sent.sent += through.iter().map(|run| run.places.len() as u64).sum::<u64>();
                    done += count;
                    continue;
                }
                Err(error) => error,
            };
            let run = &runs[done];
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => {
                    self.blocked = Some(Blocked::Buffer);
                    return done;
                }
                _ if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.blocked = Some(Blocked::Device);
                    return done;
                }
                _ if run.places.len() > 1 => {
                    // This kernel or this way has no segmentation: each alone, and no more runs where it never has.
                    self.segmentation &= !is_lack_of_segmentation(&error);
                    let alone: Vec<Run> = run
                        .places
                        .clone()
                        .map(|place| Run { places: place..place + 1, segment: run.segment })
                        .collect();
                    let through = self.send_batch(out, order, &alone, sent);
                    for run in &alone[through..] {
                        let datagram = &out.datagrams[order[run.places.start]];
                        keep(&mut self.waiting, out, datagram, sent);
                    }
                    return done + 1;
                }
                _ => {
                    sent.failed += 1;
                    done += 1;
                }
            }
        }
        done
    }

    /// One call. Gives how many messages the kernel took, at least one of them.
    ///
    /// # Safety
    ///
    /// Every header points to memory that lives until after the call and has the lengths given beside the pointers.
    unsafe fn sendmmsg(&self, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
        #[cfg(test)]
        let headers = match self.room.get() {
            // A kernel whose send buffer has room for so many more messages.
            Some(0) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(room) => {
                let count = headers.len().min(room);
                self.room.set(Some(room - count));
                &mut headers[..count]
            }
            None => headers,
        };
        // SAFETY: the caller vouches for the headers.
        let count = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        if count > 0 { Ok(count as usize) } else { Err(io::Error::last_os_error()) }
    }

    /// Send each datagram by itself from now on, as where the kernel has no segmentation.
    #[cfg(test)]
    fn without_segmentation(mut self) -> Self {
        self.segmentation = false;
        self
    }
}

/// Whether the kernel, or the way out, can't cut a run into datagrams at all. Another error may be of this run: a
/// datagram longer than the way takes, say.
fn is_lack_of_segmentation(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EOPNOTSUPP | libc::ENOPROTOOPT | libc::EINVAL))
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

/// Write the control messages that say from which address to send, unless that is any, and into datagrams of which
/// size to cut; gives their length.
fn write_controls(header: &mut libc::msghdr, local: IpAddr, segment: Option<u16>) -> usize {
    let mut used = 0;
    // SAFETY: the caller gave a zeroed control buffer of CONTROL_WORDS words, which holds both messages; the structures
    // are written unaligned.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        match local {
            IpAddr::V4(ip) if !ip.is_unspecified() => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                used += write_control(message, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
                message = libc::CMSG_NXTHDR(header, message);
            }
            IpAddr::V6(ip) if !ip.is_unspecified() => {
                let info =
                    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                used += write_control(message, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
                message = libc::CMSG_NXTHDR(header, message);
            }
            _ => {}
        }
        if let Some(segment) = segment
            && !message.is_null()
        {
            used += write_control(message, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
    }
    used
}

/// Write one control message; gives the room that it takes.
///
/// # Safety
///
/// `message` points at zeroed room for a header and `T`, in a buffer that outlives the call.
unsafe fn write_control<T>(
    message: *mut libc::cmsghdr,
    level: libc::c_int,
    kind: libc::c_int,
    value: T,
) -> usize {
    let len = size_of::<T>() as libc::c_uint;
    // SAFETY: the caller vouches for the room.
    unsafe {
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
        (*message).cmsg_len = libc::CMSG_LEN(len) as _;
        libc::CMSG_SPACE(len) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn loopback() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0".parse().expect("an address"), 0, false).expect("a socket")
    }

    fn send_and_receive(mut socket: UdpSocket, sizes: &[usize]) -> (Sent, Vec<Vec<u8>>) {
        let far = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        far.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let remote = far.local_addr().expect("an address");
        let mut out = Output::default();
        for (at, &size) in sizes.iter().enumerate() {
            out.send(&vec![at as u8; size], Path::udp(0, socket.local().ip(), remote));
        }
        let sent = socket.send(&out);
        let mut buffer = [0; 2048];
        let received = sizes
            .iter()
            .map(|_| {
                let (len, from) = far.recv_from(&mut buffer).expect("a datagram");
                assert_eq!(from, socket.local());
                buffer[..len].to_vec()
            })
            .collect();
        (sent, received)
    }

    #[test]
    fn runs_arrive_as_the_datagrams_that_they_are_made_of() {
        let sizes = [1_200, 1_200, 1_200, 700, 60, 1_100, 1_100];
        for socket in [loopback(), loopback().without_segmentation()] {
            let (sent, received) = send_and_receive(socket, &sizes);
            assert_eq!(sent, Sent { sent: 7, ..Sent::default() });
            for (at, (datagram, size)) in received.iter().zip(sizes).enumerate() {
                assert_eq!(datagram, &vec![at as u8; size]);
            }
        }
    }

    #[test]
    fn what_finds_the_send_buffer_full_waits_and_leaves_in_its_order() {
        let mut socket = loopback();
        let far = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        far.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let remote = far.local_addr().expect("an address");
        let path = Path::udp(0, socket.local().ip(), remote);
        // Longer after shorter: each is a run, and so a message, of its own.
        let batch = |numbers: std::ops::Range<usize>| {
            let mut out = Output::default();
            numbers.for_each(|n| out.send(&vec![n as u8; 10 + n], path));
            out
        };
        let mut buffer = [0; 2048];
        let mut received = || {
            let mut numbers = Vec::new();
            while let Ok((len, _)) = far.recv_from(&mut buffer) {
                assert!(buffer[..len].iter().all(|&octet| usize::from(octet) == len - 10));
                numbers.push(len - 10);
            }
            numbers
        };
        socket.room.set(Some(3));
        assert_eq!(socket.send(&batch(0..5)), Sent { sent: 3, waited: 2, ..Sent::default() });
        assert_eq!(socket.blocked(), Some(Blocked::Buffer));
        assert_eq!(socket.send(&batch(5..7)), Sent { waited: 2, ..Sent::default() }, "behind what waits");
        assert_eq!(received(), [0, 1, 2]);
        socket.room.set(Some(1));
        assert_eq!(socket.send(&Output::default()), Sent { sent: 1, ..Sent::default() });
        assert_eq!(socket.blocked(), Some(Blocked::Buffer));
        socket.room.set(None);
        assert_eq!(socket.send(&batch(7..8)).sent, 4);
        assert_eq!((socket.blocked(), received()), (None, vec![3, 4, 5, 6, 7]));
        assert_eq!(socket.waited_most(), [13, 14, 15, 16].iter().sum::<usize>());
    }

    #[test]
    fn with_a_tiny_send_buffer_all_arrive_in_order() {
        let mut socket = loopback();
        socket.socket.set_send_buffer_size(1).expect("a size");
        let far = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        far.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let path = Path::udp(0, socket.local().ip(), far.local_addr().expect("an address"));
        let mut out = Output::default();
        (0..60_u8).for_each(|n| out.send(&vec![n; 1_200], path));
        let mut sent = socket.send(&out).sent;
        while socket.blocked().is_some() {
            sent += socket.send(&Output::default()).sent;
        }
        assert_eq!(sent, 60);
        let mut buffer = [0; 2048];
        for n in 0..60_u8 {
            let (len, _) = far.recv_from(&mut buffer).expect("a datagram");
            assert_eq!((len, buffer[0]), (1_200, n));
        }
    }

    #[test]
    fn a_run_that_the_way_does_not_take_is_sent_datagram_by_datagram() {
        // Loopback takes 65,536 octets at once; segments of such a size in one run do not pass.
        let mut socket = loopback();
        let remote = "127.0.0.1:9".parse().expect("an address");
        let mut out = Output::default();
        for _ in 0..3 {
            out.send(&[0; 30_000], Path::udp(0, socket.local().ip(), remote));
        }
        let sent = socket.send(&out);
        assert_eq!(sent.sent + sent.failed, 3, "{sent:?}");
    }
}
