//! The caller who waits for a batch and holds all of them: the log says so once, because it looks like a hang.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::feed::loader::Shared;
use crate::feed::ring::Ring;
use crate::log::{LogLevel, tell};

/// The part of the limit that may lie between two waits that count as one: callers come in slices of time.
const SLACK: u32 = 5;

/// How long callers have waited while all batches were held.
#[derive(Debug)]
pub(super) struct BackPressure {
    slots: usize,
    limit: Duration,
    /// Guarded by a lock of its own, which is taken under the ring's and for a moment.
    waits: Mutex<Waits>,
}

/// The waits that follow each other without a batch between them.
#[derive(Debug, Default)]
struct Waits {
    /// Those who wait now.
    callers: usize,
    since: Option<Instant>,
    /// When a caller was seen last.
    seen: Option<Instant>,
    /// The batches that had been given out then.
    given: u64,
    is_told: bool,
}

/// What is seen of a loader when a wait begins or ends.
#[derive(Debug, Clone, Copy)]
struct Sight {
    now: Instant,
    /// Whether callers hold all batches.
    all_held: bool,
    /// The batches that have been given out.
    given: u64,
}

impl Waits {
    /// How long it is until the log is to be told; nothing where it has been.
    fn left(&mut self, sight: Sight, limit: Duration) -> Option<Duration> {
        let Sight { now, all_held, given } = sight;
        let since = |then: Option<Instant>| then.map(|then| now.saturating_duration_since(then));
        let goes_on = self.callers > 0 || since(self.seen).is_some_and(|gap| gap <= limit / SLACK);
        if !goes_on || !all_held || self.given != given {
            self.since = None;
        }
        self.since = self.since.or(Some(now));
        (self.seen, self.given) = (Some(now), given);
        (!self.is_told).then(|| limit.saturating_sub(since(self.since).unwrap_or_default()))
    }

    fn begin(&mut self, sight: Sight, limit: Duration) -> Option<Duration> {
        let left = self.left(sight, limit);
        self.callers += 1;
        left
    }

    /// Whether the log is to be told now, which is once.
    fn end(&mut self, sight: Sight, limit: Duration) -> bool {
        let is_due = self.left(sight, limit).is_some_and(|left| left.is_zero());
        self.callers -= 1;
        self.is_told |= is_due;
        is_due
    }
}

impl BackPressure {
    /// Nobody has waited yet.
    pub(super) fn new(slots: usize, limit: Duration) -> Self {
        Self { slots, limit, waits: Mutex::default() }
    }

    /// Waits as on the loader's signal: until there may be a batch, for `left` at most.
    pub(super) fn wait<'a>(
        &self,
        shared: &'a Shared,
        ring: MutexGuard<'a, Ring>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, Ring> {
        let until_told = self.lock().begin(self.sight(shared, &ring), self.limit);
        let ring = shared.ready.wait_for(ring, left.into_iter().chain(until_told).min());
        if !self.lock().end(self.sight(shared, &ring), self.limit) {
            return ring;
        }
        // Whoever is told may take his time, and other callers' batches must not wait for that.
        drop(ring);
        let slots = self.slots;
        tell(LogLevel::Warning, || format!("all {slots} slots are held: release batches or raise prefetch"));
        shared.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sight(&self, shared: &Shared, ring: &Ring) -> Sight {
        let given = shared.counters.batches.load(Relaxed);
        Sight { now: Instant::now(), all_held: ring.held >= self.slots, given }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Waits that begin and end at these milliseconds, with a sight each; whether the last one was to be told.
    fn told(waits: &[(u64, u64, bool, u64)]) -> bool {
        let (begun, mut state) = (Instant::now(), Waits::default());
        let mut last = false;
        for &(from, to, all_held, given) in waits {
            let sight = |at| Sight { now: begun + Duration::from_millis(at), all_held, given };
            state.begin(sight(from), LIMIT);
            assert!(!last, "told before the last wait");
            last = state.end(sight(to), LIMIT);
        }
        last
    }

    /// Waits of 200 milliseconds, one after the other.
    fn slices(count: u64) -> Vec<(u64, u64, bool, u64)> {
        (0..count).map(|k| (k * 210, k * 210 + 200, true, 3)).collect()
    }

    #[test]
    fn a_long_wait_with_all_batches_held_is_told() {
        assert!(told(&[(0, 5000, true, 3)]));
        assert!(!told(&[(0, 4999, true, 3)]));
        assert!(!told(&[(0, 9000, false, 3)]));
    }

    #[test]
    fn waits_that_follow_each_other_are_one() {
        assert!(!told(&slices(23)));
        assert!(told(&slices(24)));
        assert!(!told(&[(0, 4000, true, 3), (6000, 8000, true, 3)]));
    }

    #[test]
    fn a_batch_that_is_given_or_free_begins_the_time_anew() {
        assert!(!told(&[(0, 4000, true, 3), (4001, 8000, true, 4)]));
        assert!(!told(&[(0, 4000, true, 3), (4001, 4002, false, 3), (4003, 8000, true, 3)]));
    }

    #[test]
    fn a_loader_says_it_once() {
        let (now, mut state) = (Instant::now(), Waits::default());
        let sight = |seconds| Sight { now: now + Duration::from_secs(seconds), all_held: true, given: 3 };
        assert_eq!(state.begin(sight(0), LIMIT), Some(LIMIT));
        assert_eq!(state.begin(sight(2), LIMIT), Some(Duration::from_secs(3)));
        assert!(state.end(sight(5), LIMIT));
        assert!(!state.end(sight(6), LIMIT));
        assert_eq!(state.begin(sight(6), LIMIT), None);
        assert!(!state.end(sight(60), LIMIT));
    }
}
