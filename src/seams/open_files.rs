//! How many files (sockets among them) the process may have open, and whether an error says that it has no more.
//!
//! Linux starts programs with a soft limit of 1,024 for the sake of old ones that use `select`; the hard limit is what
//! the machine's owner grants. A program that knows what it does raises the one to the other.

use std::io;

/// More than this is never needed here, and some tables of the kernel grow with it.
const ENOUGH: u64 = 65_536;
/// What is assumed where nobody can be asked.
const USUAL: u64 = 1_024;

/// How many files the process may have open now.
#[must_use]
pub fn open_file_limit() -> u64 {
    limits().map_or(USUAL, |(soft, _)| soft)
}

/// Raises the soft limit to the hard one, as far as that is of use, and gives what holds now.
pub fn raise_open_file_limit() -> u64 {
    let Some((soft, hard)) = limits() else { return USUAL };
    let wanted = hard.min(ENOUGH);
    if wanted > soft {
        match set(wanted, hard) {
            Ok(()) => tracing::debug!(from = soft, to = wanted, "the limit of open files was raised"),
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
    }
    open_file_limit()
}

/// True when an error says that the process or the machine has no room for another connection: the far side has no
/// part in that.
#[must_use]
pub fn is_own_shortage(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| SHORTAGES.contains(&code))
}

/// Whether a file can be opened at this moment; to be asked when an error does not tell, as those of the resolver.
/// It opens `/dev/null`, which takes no time.
#[must_use]
pub fn can_open_a_file() -> bool {
    std::fs::File::open("/dev/null").map_or_else(|error| !is_own_shortage(&error), |_| true)
}

#[cfg(target_os = "linux")]
use on_linux::{SHORTAGES, limits, set};

#[cfg(target_os = "linux")]
mod on_linux {
    use rustix::io::Errno;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::io;

    /// Files of the process, files of the machine, buffers and memory of the kernel.
    pub(super) const SHORTAGES: [i32; 4] = [
        Errno::MFILE.raw_os_error(),
        Errno::NFILE.raw_os_error(),
        Errno::NOBUFS.raw_os_error(),
        Errno::NOMEM.raw_os_error(),
    ];

    /// The soft and the hard limit. No limit is a very high one.
    pub(super) fn limits() -> Option<(u64, u64)> {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        Some((current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX)))
    }

    pub(super) fn set(soft: u64, hard: u64) -> io::Result<()> {
        let maximum = (hard != u64::MAX).then_some(hard);
        Ok(setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum })?)
    }
}

/// EMFILE and ENFILE, the same on every Unix.
#[cfg(not(target_os = "linux"))]
const SHORTAGES: [i32; 2] = [24, 23];

#[cfg(not(target_os = "linux"))]
fn limits() -> Option<(u64, u64)> {
    None
}

#[cfg(not(target_os = "linux"))]
fn set(_soft: u64, _hard: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_and_never_lowered() {
        let before = open_file_limit();
        assert!(before > 0 && raise_open_file_limit() >= before);
        assert!(can_open_a_file());
    }

    #[test]
    fn a_shortage_of_ours_is_told_from_a_refusal() {
        for (code, own) in [(24, true), (23, true), (111, false), (113, false), (13, false)] {
            assert_eq!(is_own_shortage(&io::Error::from_raw_os_error(code)), own, "{code}");
        }
        assert!(!is_own_shortage(&io::ErrorKind::ConnectionRefused.into()));
    }
}
