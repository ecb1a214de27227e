//! The system calls that std has no safe form of, one per function. The room's only `unsafe`.
//!
//! Every function takes a descriptor that the caller keeps open for the call, and memory that it borrows; none
//! keeps a pointer past its return. None may be handed a descriptor of another thread's runtime.

use std::io::{self, IoSlice};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Which half of a TCP connection to close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// We send no more: the peer reads the end of the stream once it has read what we sent.
    Write,
    /// Neither side: pending polls complete, unread input is of no use.
    Both,
}

/// The soft and the hard limit of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub soft: u64,
    pub hard: u64,
}

/// Borrows the descriptor of an object that owns one (monoio's types have only the raw form).
pub fn borrow(owner: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: the owner keeps the descriptor open for as long as it is borrowed.
    unsafe { BorrowedFd::borrow_raw(owner.as_raw_fd()) }
}

fn checked(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// recv(2), never waiting. 0 is the end of the stream; `WouldBlock` when there is nothing.
pub fn receive(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes into a buffer that we hold exclusively.
    checked(unsafe {
        libc::recv(
            fd.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
        )
    })
}

/// sendmsg(2), never waiting and never raising SIGPIPE. May take only a part.
pub fn send(fd: BorrowedFd<'_>, segments: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: an all-zero msghdr is a valid empty one.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = segments.as_ptr().cast::<libc::iovec>().cast_mut();
    message.msg_iovlen = segments.len();
    // SAFETY: std documents IoSlice as ABI compatible with iovec; the kernel only reads from the segments, which
    // outlive the call.
    checked(unsafe {
        libc::sendmsg(
            fd.as_raw_fd(),
            &message,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    })
}

/// shutdown(2). An error means that the connection was gone already, so there is none to report.
pub fn shutdown(fd: BorrowedFd<'_>, half: Half) {
    let how = match half {
        Half::Write => libc::SHUT_WR,
        Half::Both => libc::SHUT_RDWR,
    };
    // SAFETY: no memory is passed.
    unsafe { libc::shutdown(fd.as_raw_fd(), how) };
}

/// listen(2) again on a listening socket, which sets its backlog (the kernel cuts it at `net.core.somaxconn`).
pub fn set_backlog(fd: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    // SAFETY: no memory is passed.
    checked(unsafe { libc::listen(fd.as_raw_fd(), backlog) } as isize).map(drop)
}

/// Waits until one of two descriptors is readable (or hung up); `timeout_ms` −1 waits for ever. A signal counts as
/// neither being ready.
pub fn wait_readable(
    first: BorrowedFd<'_>,
    second: Option<BorrowedFd<'_>>,
    timeout_ms: i32,
) -> io::Result<(bool, bool)> {
    let entry = |fd: i32| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // poll(2) ignores entries with a negative descriptor.
    let mut entries = [
        entry(first.as_raw_fd()),
        entry(second.map_or(-1, |fd| fd.as_raw_fd())),
    ];
    // SAFETY: two entries are passed, both initialized, and the array outlives the call.
    match checked(unsafe { libc::poll(entries.as_mut_ptr(), 2, timeout_ms) } as isize) {
        Ok(_) => Ok((entries[0].revents != 0, entries[1].revents != 0)),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok((false, false)),
        Err(error) => Err(error),
    }
}

/// Whether both directions of a connection are over (a RST, an error), however much input is unread.
pub fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut entry = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: 0,
        revents: 0,
    };
    // SAFETY: one entry is passed, initialized, and it outlives the call.
    let result = unsafe { libc::poll(&mut entry, 1, 0) };
    result > 0 && entry.revents & (libc::POLLHUP | libc::POLLERR) != 0
}

/// Begins a TCP connection and returns at once: the socket becomes writable when it is connected or has failed,
/// and [`pending_error`] tells which.
pub fn connect_start(address: SocketAddr) -> io::Result<TcpStream> {
    let (storage, length, family) = socket_address(address);
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let raw = checked(unsafe { libc::socket(family, kind, 0) } as isize)?;
    // SAFETY: the descriptor is new and nobody else's.
    let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(raw as i32) });
    // SAFETY: `length` bytes of `storage` hold the address of `family`.
    let result = unsafe { libc::connect(stream.as_raw_fd(), (&raw const storage).cast(), length) };
    match checked(result as isize) {
        Ok(_) => Ok(stream),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => Ok(stream),
        Err(error) => Err(error),
    }
}

/// The address in the kernel's form: storage, its used length, the address family.
fn socket_address(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t, i32) {
    // SAFETY: an all-zero sockaddr_storage is valid (AF_UNSPEC).
    let mut storage: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let native = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is larger than, and aligned for, every socket address.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(native) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let native = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe {
                (&raw mut storage)
                    .cast::<libc::sockaddr_in6>()
                    .write(native)
            };
            size_of::<libc::sockaddr_in6>()
        }
    };
    let family = i32::from(storage.ss_family);
    (storage, length as libc::socklen_t, family)
}

/// SO_ERROR: why a connection attempt failed; none when it did not. Reading clears it.
pub fn pending_error(fd: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    let mut code: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `code`, and the length into `length`.
    checked(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut code).cast(),
            &mut length,
        )
    } as isize)?;
    Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
}

/// RLIMIT_NOFILE: how many descriptors this process may have open.
pub fn file_limit() -> io::Result<Limit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes one rlimit into ours.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } as isize)?;
    Ok(Limit {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
    })
}

/// Sets RLIMIT_NOFILE for the whole process.
pub fn set_file_limit(limit: Limit) -> io::Result<()> {
    let native = libc::rlimit {
        rlim_cur: limit.soft,
        rlim_max: limit.hard,
    };
    // SAFETY: the kernel reads one rlimit.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &native) } as isize).map(drop)
}

/// Gives the memory that this thread has freed back to the system, as far as mimalloc is its allocator.
pub fn give_memory_back() {
    // SAFETY: no memory is passed; it looks at this thread's own heap.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// PR_SET_DUMPABLE: whether a crash may leave a core dump, and other processes of this user may look into this one.
pub fn set_dumpable(yes: bool) -> io::Result<()> {
    // SAFETY: no memory is passed.
    checked(
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(yes), 0, 0, 0) } as isize,
    )
    .map(drop)
}
