//! A condition to wait for, which costs nothing to signal where nobody waits.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// A condition of what one lock guards.
///
/// Who signals has held the lock since the condition became true. So a thread that is not counted yet looks at
/// the condition after that, and finds it true.
#[derive(Debug, Default)]
pub(super) struct Signal {
    condition: Condvar,
    /// The threads that wait; changed under the lock.
    waiting: AtomicUsize,
}

impl Signal {
    /// Waits for the next signal, or for nothing now and then.
    pub(super) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_for(guard, None)
    }

    /// The same for so long at most; without a time for ever.
    pub(super) fn wait_for<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Option<Duration>,
    ) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, Relaxed);
        let guard = match time {
            None => self.condition.wait(guard).unwrap_or_else(PoisonError::into_inner),
            Some(time) => self.condition.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.waiting.fetch_sub(1, Relaxed);
        guard
    }

    /// Wakes one thread that waits, if one does.
    pub(super) fn notify_one(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.condition.notify_one();
        }
    }

    /// Wakes all threads that wait.
    pub(super) fn notify_all(&self) {
        if self.waiting.load(Relaxed) > 0 {
            self.condition.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn no_signal_is_missed_and_none_is_waited_for_too_long() {
        let (signal, turn) = (Signal::default(), Mutex::new(0u32));
        std::thread::scope(|scope| {
            for own in 0..3 {
                let (signal, turn) = (&signal, &turn);
                scope.spawn(move || {
                    for round in 0..2000 {
                        let mut turn = turn.lock().unwrap();
                        while *turn != round * 3 + own {
                            turn = signal.wait(turn);
                        }
                        *turn += 1;
                        drop(turn);
                        signal.notify_all();
                    }
                });
            }
        });
        assert_eq!(*turn.lock().unwrap(), 6000);
        assert_eq!(signal.waiting.load(Relaxed), 0);
        drop(signal.wait_for(turn.lock().unwrap(), Some(Duration::from_millis(1))));
        assert_eq!(signal.waiting.load(Relaxed), 0);
    }
}
