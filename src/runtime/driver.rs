//! Which event driver the shards use: io_uring where the kernel lets us, else poll (epoll), saying why.

use std::env;
use std::io;

use io_uring::{IoUring, Probe, opcode};
use monoio::time::TimeDriver;
use monoio::{FusionRuntime, IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::diagnostics::explain_ring;

/// Submission entries per ring. What one event-loop turn asks of the kernel beyond this costs one more system call,
/// nothing else; 1,024 are 64 KiB, so that 16 shards stay far below the usual 8 MiB of locked memory.
pub const RING_ENTRIES: u32 = 1024;

/// Set to anything but empty or 0, this picks the poll driver: to see a gateway on a machine without io_uring.
pub const FORCE_POLL_VARIABLE: &str = "PWS_FORCE_POLL_DRIVER";

/// A shard's runtime on either driver.
pub type ShardRuntime = FusionRuntime<TimeDriver<IoUringDriver>, TimeDriver<LegacyDriver>>;

/// An event driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// io_uring. `tuned`: single issuer and cooperative task running (Linux 6.0), which save inter-processor
    /// interrupts. Never deferred task running: with it monoio 0.2.4 leaves I/O undone while tasks are ready.
    Ring { tuned: bool },
    /// epoll: works everywhere.
    Poll,
}

/// The driver for this kernel.
#[derive(Clone, Debug)]
pub struct Choice {
    pub driver: Driver,
    /// Why it is not the fastest one, with the remedy: for the log. None when it is.
    pub note: Option<String>,
}

/// Tries the drivers, best first. Never fails: poll is always there.
pub fn choose() -> Choice {
    if env::var_os(FORCE_POLL_VARIABLE).is_some_and(|value| !value.is_empty() && value != "0") {
        let note = format!("{FORCE_POLL_VARIABLE} is set: using the poll driver");
        return Choice {
            driver: Driver::Poll,
            note: Some(note),
        };
    }
    for tuned in [true, false] {
        match probe(tuned) {
            Ok(()) => {
                let note = "this kernel has no single-issuer io_uring (Linux 6.0 or newer has): using plain io_uring";
                return Choice {
                    driver: Driver::Ring { tuned },
                    note: (!tuned).then(|| note.to_owned()),
                };
            }
            // An unknown flag; everything else would be refused without it too.
            Err(error) if tuned && error.raw_os_error() == Some(libc::EINVAL) => {}
            Err(error) => {
                let note = format!(
                    "{}; using the poll driver, which is slower",
                    explain_ring(&error)
                );
                return Choice {
                    driver: Driver::Poll,
                    note: Some(note),
                };
            }
        }
    }
    Choice {
        driver: Driver::Poll,
        note: Some("this kernel refuses io_uring with and without flags: using the poll driver, which is slower".to_owned()),
    }
}

fn builder(tuned: bool) -> io_uring::Builder {
    let mut builder = IoUring::builder();
    if tuned {
        builder.setup_single_issuer().setup_coop_taskrun();
    }
    builder
}

/// Tries a ring on a thread of its own: the kernel tears a ring down behind the back of the thread that had it, and
/// would interrupt that thread's next blocking call (EINTR).
fn probe(tuned: bool) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("probe".to_owned());
    let probed = thread.spawn(move || probe_here(tuned))?.join();
    probed.unwrap_or_else(|_| Err(io::Error::other("the probe of io_uring panicked")))
}

/// Sets up and drops a ring of the size that a shard has, with the operations that the room uses.
fn probe_here(tuned: bool) -> io::Result<()> {
    let ring = builder(tuned).build(RING_ENTRIES)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let used = [
        opcode::PollAdd::CODE,
        opcode::AsyncCancel::CODE,
        opcode::Close::CODE,
        opcode::Read::CODE,
        opcode::Timeout::CODE,
    ];
    if used.iter().all(|code| probe.is_supported(*code)) {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

/// Builds the calling thread's runtime, with timers.
///
/// # Errors
/// The kernel's refusal, explained.
pub fn build(driver: Driver) -> io::Result<ShardRuntime> {
    match driver {
        Driver::Ring { tuned } => RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(builder(tuned))
            .with_entries(RING_ENTRIES)
            .enable_timer()
            .build()
            .map(ShardRuntime::from)
            .map_err(|error| io::Error::new(error.kind(), explain_ring(&error))),
        Driver::Poll => RuntimeBuilder::<LegacyDriver>::new()
            .with_entries(RING_ENTRIES)
            .enable_timer()
            .build()
            .map(ShardRuntime::from),
    }
}
