//! This process: its number, to notice a fork, its cores, its limits, and what its threads read.

/// The process that an object was made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(u32);

impl Process {
    /// The process that asks.
    pub fn current() -> Self {
        Self(std::process::id())
    }

    /// Whether the process that asks is another one: a child after a fork.
    pub fn is_another(self) -> bool {
        self != Self::current()
    }
}

/// The cores that this process may use, at least 1.
pub fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The files that this process may have open at a time; none where the system does not say.
pub fn descriptor_limit() -> Option<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes into the struct that it is given, and nowhere else.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result == 0 { usize::try_from(limit.rlim_cur).ok() } else { None }
}

/// A number that grows whenever the calling thread makes the system read from a disk, by whatever way.
///
/// It counts what the thread's faults, reads and advice started; always 0 where the system does not count.
pub fn disk_reads() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the call writes into the struct that it is given, and nowhere else.
        unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
        // SAFETY: all of it was zero, which is a value of every field, before the call may have written it.
        let usage = unsafe { usage.assume_init() };
        (usage.ru_inblock as u64).wrapping_add(usage.ru_majflt as u64)
    }
    #[cfg(not(target_os = "linux"))]
    0
}
