//! When a file's size was last looked at.

use std::sync::atomic::{AtomicU64, Ordering};

/// A stretch of work, such as a batch, in which a look at a file's size is good for all that reads it.
///
/// The default is no such stretch: every use of a file looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment(u64);

impl Moment {
    /// One that no other is equal to.
    pub fn begin() -> Self {
        static BEGUN: AtomicU64 = AtomicU64::new(0);
        Self(BEGUN.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// The moment in which something was looked at last.
#[derive(Debug, Default)]
pub(super) struct Looked(AtomicU64);

impl Looked {
    /// Whether it was looked at in this moment.
    pub(super) fn at(&self, moment: Moment) -> bool {
        moment != Moment::default() && self.0.load(Ordering::Acquire) == moment.0
    }

    /// Notes that it was.
    pub(super) fn note(&self, moment: Moment) {
        self.0.store(moment.0, Ordering::Release);
    }
}
