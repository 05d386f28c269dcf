//! System calls: receiving in batches with the kernel's time of arrival, waiting, and sending in batches with and
//! without segmentation. All `unsafe` of sockets is here.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

const BATCH: usize = 32;
const OCTETS: usize = 2048;
const CONTROL: usize = 64;
/// Of each socket; a burst of a whole lesson must not be lost because the load generator sleeps.
const RECEIVE_BUFFER: i32 = 4 << 20;

/// CLOCK_REALTIME in nanoseconds: the clock of the kernel's arrival times.
pub fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_nanos() as u64
}

/// A socket that doesn't block and has arrival times. Its address is that of the way to its peer, so that a
/// server on another of this machine's addresses is reached as well.
pub fn socket() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // More than the limit of ordinary sockets, where we may.
    if set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER).is_err() {
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER)?;
    }
    Ok(socket)
}

/// Set an integer option.
pub fn set(socket: &UdpSocket, level: i32, name: i32, value: i32) -> io::Result<()> {
    let (value, octets) = ((&raw const value).cast(), mem::size_of::<i32>() as u32);
    // SAFETY: `value` points to an integer of `octets` octets that lives past the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, octets) }).map(drop)
}

fn check(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Buffers for a batch of datagrams.
pub struct Batch {
    data: Vec<[u8; OCTETS]>,
    control: Vec<[u64; CONTROL / 8]>,
}

impl Default for Batch {
    fn default() -> Self {
        Self { data: vec![[0; OCTETS]; BATCH], control: vec![[0; CONTROL / 8]; BATCH] }
    }
}

impl Batch {
    /// Receive what waits, at most a batch, and give each datagram with its arrival (CLOCK_REALTIME, ns) to `each`.
    /// True where the batch was full, so that more may wait.
    pub fn receive(&mut self, socket: RawFd, mut each: impl FnMut(&mut [u8], u64)) -> io::Result<bool> {
        // SAFETY: zeros are valid for these plain C structures.
        let (mut vectors, mut headers): ([libc::iovec; BATCH], [libc::mmsghdr; BATCH]) =
            unsafe { mem::zeroed() };
        for at in 0..BATCH {
            vectors[at].iov_base = self.data[at].as_mut_ptr().cast();
            vectors[at].iov_len = OCTETS;
            headers[at].msg_hdr.msg_iov = &raw mut vectors[at];
            headers[at].msg_hdr.msg_iovlen = 1;
            headers[at].msg_hdr.msg_control = self.control[at].as_mut_ptr().cast();
            headers[at].msg_hdr.msg_controllen = CONTROL;
        }
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: every header points to one vector and one control buffer of the stated lengths, alive here.
        let received = unsafe {
            libc::recvmmsg(socket, headers.as_mut_ptr(), BATCH as u32, flags, std::ptr::null_mut())
        };
        let count = match check(received) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        };
        for (at, header) in headers.iter().enumerate().take(count) {
            each(&mut self.data[at][..header.msg_len as usize], arrival(&header.msg_hdr));
        }
        Ok(count == BATCH)
    }
}

fn arrival(header: &libc::msghdr) -> u64 {
    // SAFETY: the kernel has filled the control buffer that the header points to; the walk stays in its length.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_SOCKET && (*message).cmsg_type == libc::SCM_TIMESTAMPNS {
                let time = libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned();
                return time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    now_ns()
}

/// An epoll set; each descriptor has a number.
pub struct Poll {
    descriptor: RawFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointer is passed.
        let descriptor = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })? as RawFd;
        Ok(Self { descriptor, events: vec![libc::epoll_event { events: 0, u64: 0 }; 256] })
    }

    /// Wait for input of `descriptor` too, told as `number`.
    pub fn add(&self, descriptor: RawFd, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number };
        // SAFETY: `event` lives past the call.
        check(unsafe { libc::epoll_ctl(self.descriptor, libc::EPOLL_CTL_ADD, descriptor, &raw mut event) })
            .map(drop)
    }

    /// The numbers of what can be read, after `timeout` at the latest (whole milliseconds).
    pub fn wait(&mut self, timeout: Duration) -> io::Result<Vec<u64>> {
        let (room, timeout) = (self.events.len() as i32, timeout.as_millis() as i32);
        // SAFETY: the buffer has room for so many events.
        match check(unsafe { libc::epoll_wait(self.descriptor, self.events.as_mut_ptr(), room, timeout) }) {
            Ok(count) => Ok(self.events[..count].iter().map(|event| event.u64).collect()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// One message of a batch: where its octets are, and the size of its segments where it is to be cut.
pub struct Outgoing {
    /// Whereto.
    pub to: SocketAddrV4,
    /// Range of the arena.
    pub octets: std::ops::Range<usize>,
    /// UDP_SEGMENT: the kernel makes datagrams of this size, the last may be shorter.
    pub segment: Option<u16>,
}

/// Room for the control message of UDP_SEGMENT, aligned as the kernel wants it.
type Control = [u64; 4];

/// Send all, in as few calls as the kernel lets us. Gives how many messages left; the rest met a full buffer.
pub fn send_all(socket: &UdpSocket, arena: &[u8], messages: &[Outgoing]) -> io::Result<usize> {
    let mut addresses: Vec<libc::sockaddr_in> = messages.iter().map(|message| address(message.to)).collect();
    let mut vectors: Vec<libc::iovec> = messages
        .iter()
        .map(|message| {
            let octets = &arena[message.octets.clone()];
            libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() }
        })
        .collect();
    let mut controls: Vec<Control> = vec![[0; 4]; messages.len()];
    let mut headers: Vec<libc::mmsghdr> = Vec::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        // SAFETY: zeros are valid for this plain C structure.
        let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
        header.msg_hdr.msg_name = (&raw mut addresses[at]).cast();
        header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_in>() as u32;
        header.msg_hdr.msg_iov = &raw mut vectors[at];
        header.msg_hdr.msg_iovlen = 1;
        if let Some(segment) = message.segment {
            header.msg_hdr.msg_control = controls[at].as_mut_ptr().cast();
            // SAFETY: CMSG_SPACE of two octets fits into a Control, whose beginning is aligned for cmsghdr.
            unsafe {
                header.msg_hdr.msg_controllen = libc::CMSG_SPACE(2) as usize;
                let control = libc::CMSG_FIRSTHDR(&raw const header.msg_hdr);
                (*control).cmsg_level = libc::SOL_UDP;
                (*control).cmsg_type = libc::UDP_SEGMENT;
                (*control).cmsg_len = libc::CMSG_LEN(2) as usize;
                libc::CMSG_DATA(control).cast::<u16>().write_unaligned(segment);
            }
        }
        headers.push(header);
    }
    let mut sent = 0;
    while sent < headers.len() {
        let left = (headers.len() - sent) as u32;
        // SAFETY: every header points into vectors above that live past the call and are not moved.
        let result = unsafe {
            libc::sendmmsg(socket.as_raw_fd(), headers[sent..].as_mut_ptr(), left, libc::MSG_DONTWAIT)
        };
        match check(result) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn address(to: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
        sin_zero: [0; 8],
    }
}

/// The IPv4 address of a socket of this program.
pub fn local(socket: &UdpSocket) -> SocketAddrV4 {
    match socket.local_addr().expect("a bound socket") {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => unreachable!("bound to an IPv4 address"),
    }
}
