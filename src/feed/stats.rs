//! What a loader has done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a loader has done since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// The threads that fill batches.
    pub threads: usize,
    /// Batches given out.
    pub batches: u64,
    /// Samples given out.
    pub samples: u64,
    /// Bytes of the batches given out.
    pub bytes: u64,
    /// Batches that failed.
    pub errors: u64,
    /// How often a caller had to wait for a batch.
    pub waits: u64,
    /// How long callers waited, in nanoseconds.
    pub wait_ns: u64,
    /// How long all threads together read and transformed, in nanoseconds.
    pub work_ns: u64,
    /// How long all threads together waited for a slot, in nanoseconds.
    pub idle_ns: u64,
    /// Batches that callers hold.
    pub held: u64,
    /// Batches that exist at a time.
    pub slots: u64,
    /// The bytes of all slots.
    pub slot_bytes: u64,
    /// Decoded chunks and volumes that were found in the cache since the loader was made.
    pub cache_hits: u64,
    /// Those that had to be decoded.
    pub cache_misses: u64,
    /// The bytes in the cache.
    pub cache_bytes: u64,
    /// The bytes that the threads hold to decode and convert in.
    pub scratch_bytes: u64,
    /// The bytes of pinned memory.
    pub pinned_bytes: u64,
    /// The bytes of a GPU's memory.
    pub device_bytes: u64,
    /// Batches that were sent to a GPU.
    pub uploads: u64,
    /// The bytes that were sent to a GPU.
    pub upload_bytes: u64,
    /// How often a thread had to wait until a GPU was done with memory that is to be filled again.
    pub event_waits: u64,
}

/// The counts that threads add to while they work.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) batches: AtomicU64,
    pub(super) samples: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) waits: AtomicU64,
    pub(super) wait_ns: AtomicU64,
    pub(super) work_ns: AtomicU64,
    pub(super) idle_ns: AtomicU64,
    pub(super) scratch_bytes: AtomicU64,
    pub(super) uploads: AtomicU64,
    pub(super) upload_bytes: AtomicU64,
    pub(super) event_waits: AtomicU64,
}

/// Adds to a count.
pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// Adds a time to a count of nanoseconds.
pub(super) fn add_time(counter: &AtomicU64, time: Duration) {
    add(counter, u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
}
