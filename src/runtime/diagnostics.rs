//! What the kernel refuses, said with the remedy; and the limits that a gateway should raise before it needs them.
//! It words errors and touches no socket.

use std::fs;
use std::io;

use super::sys::{self, Limit};

/// The open-file limit after [`raise_file_limit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// Descriptors this process may have open: every socket is one.
    pub files: u64,
    /// What it was at the start.
    pub before: u64,
}

/// Raises the soft open-file limit to the hard one, which needs no privilege.
///
/// # Errors
/// When the kernel refuses; the old limit holds then.
pub fn raise_file_limit() -> io::Result<FileLimit> {
    let Limit { soft, hard } = sys::file_limit()?;
    if soft < hard {
        sys::set_file_limit(Limit { soft: hard, hard })?;
    }
    Ok(FileLimit {
        files: hard.max(soft),
        before: soft,
    })
}

/// How many descriptors this process may have open.
///
/// # Errors
/// When the kernel does not tell.
pub fn file_limit() -> io::Result<u64> {
    Ok(sys::file_limit()?.soft)
}

/// How many it has open.
///
/// # Errors
/// Where there is no `/proc`.
pub fn open_files() -> io::Result<usize> {
    // The folder itself is open meanwhile.
    Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1))
}

/// From now on a crash leaves no image of this process's memory, which holds keys and tokens, and nobody but root may look
/// into it (`PR_SET_DUMPABLE`).
///
/// # Errors
/// When the kernel refuses.
pub fn forbid_core_dumps() -> io::Result<()> {
    sys::set_dumpable(false)
}

/// Why io_uring could not be set up, with what a person can do about it.
pub fn explain_ring(error: &io::Error) -> String {
    let remedy = match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "this kernel has no io_uring (Linux 5.10 or newer has), or a container's seccomp profile hides it".to_owned()
        }
        Some(libc::EPERM | libc::EACCES) => forbidden_ring(),
        Some(libc::ENOMEM) => {
            "the locked-memory limit is too low for the rings: raise it (ulimit -l, LimitMEMLOCK=, docker --ulimit memlock=) or use fewer cores".to_owned()
        }
        Some(libc::EMFILE | libc::ENFILE) => explain_files(),
        _ => "the kernel gives no further reason".to_owned(),
    };
    format!("io_uring is not available ({error}): {remedy}")
}

/// EPERM comes from the sysctl or from a seccomp filter; the sysctl can be read.
fn forbidden_ring() -> String {
    let disabled = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    match disabled.as_deref().map(str::trim) {
        Ok("2") => "it is switched off for everybody: sysctl kernel.io_uring_disabled=0".to_owned(),
        Ok("1") => "it is for members of one group only: sysctl kernel.io_uring_disabled=0, or put this user into the group of kernel.io_uring_group".to_owned(),
        _ => "a seccomp filter forbids it: allow io_uring_setup, io_uring_enter and io_uring_register (docker: --security-opt seccomp=profile.json)".to_owned(),
    }
}

/// No descriptor was left (EMFILE, ENFILE): which limit, and how to raise it.
pub fn explain_files() -> String {
    let limit = sys::file_limit().map_or(0, |limit| limit.soft);
    format!(
        "no file descriptor is left (this process may have {limit}): raise it (ulimit -n, LimitNOFILE=, docker --ulimit nofile=), or fs.file-max for the machine"
    )
}

/// True for the errors of a machine or process that ran out of descriptors or socket memory: trying again at once
/// cannot help, a little later may.
pub fn is_exhaustion(error: &io::Error) -> bool {
    is_without_files(error) || matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}

/// True where no descriptor was left: [`explain_files`] says more.
pub fn is_without_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_names_a_remedy() {
        for (code, says) in [
            (libc::ENOSYS, "Linux 5.10"),
            (libc::ENOMEM, "ulimit -l"),
            (libc::EMFILE, "ulimit -n"),
            (libc::EPERM, "io_uring"),
        ] {
            let text = explain_ring(&io::Error::from_raw_os_error(code));
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn the_file_limit_is_raised_to_the_hard_one() {
        let limit = raise_file_limit().unwrap();
        assert!(limit.files >= limit.before);
        assert_eq!(sys::file_limit().unwrap().soft, limit.files);
    }
}
