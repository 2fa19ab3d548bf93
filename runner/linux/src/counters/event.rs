//! One performance event of the kernel: perf_event_open(2), its ioctls, and the reading of its count.

#![expect(
    unsafe_code,
    reason = "the system call and its ioctls have no safe form in the crates that build for every board"
)]

use nix::libc;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// `PERF_TYPE_HARDWARE`, linux/perf_event.h.
const HARDWARE: u32 = 0;
/// Flags of the attributes: disabled, without the kernel, without a hypervisor. The kernel's header has them as bit
/// fields, the first in the lowest bit on little-endian machines.
const FLAGS: u64 = 1 | 1 << 5 | 1 << 6;
/// `PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING`.
const FORMAT: u64 = 1 | 2;
/// `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: libc::c_ulong = 8;
/// `PERF_IOC_FLAG_GROUP`: what is asked of the first of a group is done to all of it.
const GROUP: libc::c_ulong = 1;

#[cfg(target_endian = "big")]
compile_error!("the attributes' flags are laid out for little-endian machines");

/// `struct perf_event_attr` in its first version, which every kernel takes.
#[repr(C)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    breakpoint_address: u64,
}

const _: () = assert!(size_of::<Attributes>() == 64);

/// What is asked of a group: `_IO('$', n)`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Enable = 0x2400,
    Disable = 0x2401,
    Reset = 0x2403,
}

/// A counter of this thread.
#[derive(Debug)]
pub(super) struct Event(File);

impl Event {
    /// Opens the counter of the generic hardware event `config`, stopped, in the group that `first` leads.
    pub(super) fn open(config: u64, first: Option<&Self>) -> io::Result<Self> {
        let attributes = Attributes {
            kind: HARDWARE,
            size: size_of::<Attributes>() as u32,
            config,
            sample_period: 0,
            sample_type: 0,
            read_format: FORMAT,
            flags: FLAGS,
            wakeup_events: 0,
            breakpoint_type: 0,
            breakpoint_address: 0,
        };
        let (this_thread, any_core): (libc::pid_t, libc::c_int) = (0, -1);
        let group: RawFd = first.map_or(-1, |first| first.0.as_raw_fd());
        // SAFETY: the arguments are those of perf_event_open(2); the kernel reads as many bytes of the attributes as
        // their `size` says, which is theirs, and keeps no pointer to them.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                this_thread,
                any_core,
                group,
                CLOSE_ON_EXEC,
            )
        };
        let fd = RawFd::try_from(fd)
            .ok()
            .filter(|fd| *fd >= 0)
            .ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the kernel has just given this descriptor, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self(fd.into()))
    }

    /// Asks something of the whole group that this event leads.
    pub(super) fn ask(&self, what: Ask) -> io::Result<()> {
        // SAFETY: these requests take a number, and touch no memory of this process.
        let done = unsafe { libc::ioctl(self.0.as_raw_fd(), what as _, GROUP) };
        if done < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// The count; `None` when the event had to share its counter with others, and saw only a part.
    pub(super) fn count(&self) -> io::Result<Option<u64>> {
        let mut bytes = [0; 24];
        (&self.0).read_exact(&mut bytes)?;
        let (words, _) = bytes.as_chunks::<8>();
        let [count, enabled, running] = [0, 1, 2].map(|at| u64::from_ne_bytes(words[at]));
        Ok((running > 0 && running == enabled).then_some(count))
    }
}
