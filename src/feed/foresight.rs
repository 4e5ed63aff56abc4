//! Whether samples come from the disk, so that telling it of the next ones pays.
//!
//! A disk that knows the next samples reads them while this one is filled. Where all of it lies in memory
//! already, even asking costs a call for every stretch of a file: a tenth of the time that a patch takes. So
//! the system's own count of what this thread made it read decides. As long as samples, or the advice itself,
//! still make it read, advice is given; when nothing has been read for a while, it ends, until a sample is
//! read from the disk again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::sys::disk_reads;

/// How many samples without a read from the disk end the advice.
const PATIENCE: u64 = 64;
/// How many samples are filled between two looks at the count while no advice is given.
const SAMPLES_A_LOOK: u64 = 8;
/// The bytes of samples that are foreseen together: enough to keep a disk busy, few enough to stay in memory.
const AHEAD_BYTES: usize = 128 << 20;
/// The fewest and the most samples that are foreseen.
const AHEAD: (usize, usize) = (2, 64);

/// How far ahead samples are foreseen, for all threads of a loader.
#[derive(Debug)]
pub(super) struct Foresight {
    ahead: u64,
    /// The samples without a read from the disk until the advice ends.
    patience: AtomicU64,
}

/// What one thread has seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    reads: u64,
    samples: u64,
}

impl Foresight {
    /// For rows of this many bytes.
    pub(super) fn new(row_bytes: usize) -> Self {
        let (fewest, most) = AHEAD;
        let ahead = (AHEAD_BYTES / row_bytes.max(1)).clamp(fewest, most);
        Self { ahead: ahead as u64, patience: AtomicU64::new(PATIENCE) }
    }

    /// How many samples ahead the disk is to be told of.
    pub(super) fn ahead(&self) -> u64 {
        if self.patience.load(Relaxed) > 0 { self.ahead } else { 0 }
    }

    /// Notes that a thread has filled a row.
    pub(super) fn note(&self, watch: &mut Watch) {
        self.note_reads(watch, disk_reads);
    }

    fn note_reads(&self, watch: &mut Watch, reads: impl Fn() -> u64) {
        let patience = self.patience.load(Relaxed);
        watch.samples += 1;
        if patience == 0 && watch.samples < SAMPLES_A_LOOK {
            return;
        }
        watch.samples = 0;
        let now = reads();
        if std::mem::replace(&mut watch.reads, now) != now {
            self.patience.store(PATIENCE, Relaxed);
        } else if patience > 0 {
            // Threads may overwrite each other here, which only lets the advice end a little later.
            self.patience.store(patience - 1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_ends_when_nothing_is_read_and_begins_with_the_next_read() {
        let foresight = Foresight::new(1 << 20);
        let mut watch = Watch::default();
        assert_eq!(foresight.ahead(), 64);
        for _ in 0..PATIENCE {
            assert_eq!(foresight.ahead(), 64);
            foresight.note_reads(&mut watch, || 0);
        }
        assert_eq!(foresight.ahead(), 0);
        for _ in 0..SAMPLES_A_LOOK {
            foresight.note_reads(&mut watch, || 5);
        }
        assert_eq!(foresight.ahead(), 64);
    }

    #[test]
    fn large_samples_are_foreseen_in_small_numbers() {
        assert_eq!(Foresight::new(16 << 20).ahead(), 8);
        assert_eq!(Foresight::new(usize::MAX).ahead(), 2);
        assert_eq!(Foresight::new(0).ahead(), 64);
    }
}
