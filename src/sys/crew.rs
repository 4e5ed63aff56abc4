//! Threads that help their owner's calls, and wait for the next one in between.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::sys::{Process, lock};

/// How long a thread waits for another call before it ends.
const PATIENCE: Duration = Duration::from_secs(1);

/// Threads for the work of one call at a time.
///
/// None is begun before there is work for it, and it ends when there has been none for a second. A call never waits for
/// a thread that has not come yet: where the cores are taken, it does all by itself. In a child of the process that it
/// was made in there are none.
#[derive(Debug)]
pub struct Crew {
    shared: Arc<Shared>,
    /// Held by the call that has the threads.
    owner: Mutex<Vec<JoinHandle<()>>>,
    process: Process,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// There is work, or the crew is closed.
    work: Condvar,
    /// The last thread has left the work.
    left: Condvar,
}

#[derive(Debug, Default)]
struct State {
    work: Option<Work>,
    /// How many more threads may come to the work.
    wanted: usize,
    /// The threads that are at it.
    busy: usize,
    /// All threads.
    threads: usize,
    closed: bool,
}

/// The work of a call that is under way.
#[derive(Debug, Clone, Copy)]
struct Work(*const (dyn Fn() + Sync));

// SAFETY: what it points to may be used by several threads, and lives for as long as a call has it stand here.
unsafe impl Send for Work {}

impl Default for Crew {
    fn default() -> Self {
        Self { shared: Arc::default(), owner: Mutex::default(), process: Process::current() }
    }
}

impl Crew {
    /// Does work on this thread and on up to `helpers` others, and returns when all that came to it have left it.
    ///
    /// The work divides itself among those that come, and must not panic. Where another call has the threads, this one
    /// does without.
    pub fn run(&self, helpers: usize, work: &(dyn Fn() + Sync)) {
        let owner = if helpers == 0 || self.process.is_another() { None } else { self.owner.try_lock().ok() };
        let Some(mut handles) = owner else { return work() };
        handles.retain(|handle| !handle.is_finished());
        let erased = std::ptr::from_ref(work);
        // SAFETY: only the lifetime is let go of. The guard below takes the work away and waits for all threads that
        // are at it before this call returns or unwinds, so that none uses it any longer.
        let erased: *const (dyn Fn() + Sync) = unsafe { std::mem::transmute(erased) };
        let under_way = UnderWay(&self.shared);
        let mut state = lock(&self.shared.state);
        (state.work, state.wanted) = (Some(Work(erased)), helpers);
        while state.threads < helpers {
            let shared = Arc::clone(&self.shared);
            let begun = Builder::new().name("voxfeed-add".to_owned()).spawn(move || shared.serve());
            let Ok(handle) = begun else { break };
            handles.push(handle);
            state.threads += 1;
        }
        drop(state);
        for _ in 0..helpers {
            self.shared.work.notify_one();
        }
        work();
        drop(under_way);
    }
}

/// A call's work, which threads come to until this is dropped.
struct UnderWay<'a>(&'a Shared);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        (state.work, state.wanted) = (None, 0);
        while state.busy > 0 {
            state = self.0.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    /// Comes to the work of one call after the other.
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(work) = state.work.filter(|_| state.wanted > 0) {
                state.wanted -= 1;
                state.busy += 1;
                drop(state);
                // SAFETY: the call waits for this thread, which is counted as busy, before the work goes.
                let work = unsafe { &*work.0 };
                work();
                state = lock(&self.state);
                state.busy -= 1;
                if state.busy == 0 {
                    self.left.notify_all();
                }
                continue;
            }
            if state.closed {
                break;
            }
            let (again, waited) =
                self.work.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner);
            state = again;
            if waited.timed_out() && (state.work.is_none() || state.wanted == 0) {
                break;
            }
        }
        state.threads -= 1;
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let handles = std::mem::take(self.owner.get_mut().unwrap_or_else(PoisonError::into_inner));
        if self.process.is_another() {
            std::mem::forget(handles);
            return;
        }
        lock(&self.shared.state).closed = true;
        self.shared.work.notify_all();
        for handle in handles {
            // Work does not panic, so there is nothing that the thread could tell.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_same_threads_come_to_call_after_call() {
        let crew = Crew::default();
        let seen = Mutex::new(HashSet::new());
        for _ in 0..50 {
            let (meeting, came) = (Barrier::new(3), AtomicUsize::new(0));
            let work = || {
                came.fetch_add(1, Ordering::Relaxed);
                lock(&seen).insert(std::thread::current().id());
                meeting.wait();
            };
            crew.run(2, &work);
            assert_eq!(came.into_inner(), 3);
        }
        assert_eq!(lock(&seen).len(), 3);
        assert_eq!(lock(&crew.shared.state).threads, 2);
    }

    #[test]
    fn a_call_waits_for_those_that_came_and_for_no_others() {
        let crew = Crew::default();
        for round in 0..2000 {
            let (parts, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let work = || {
                while parts.fetch_add(1, Ordering::Relaxed) < 8 {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            };
            crew.run(round % 4, &work);
            assert_eq!(done.into_inner(), 8);
        }
    }

    #[test]
    fn calls_at_the_same_time_and_within_each_other_do_without() {
        let crew = Crew::default();
        let done = AtomicUsize::new(0);
        let inner = || {
            done.fetch_add(1, Ordering::Relaxed);
        };
        let (meeting, outer) = (Barrier::new(2), Mutex::new(0));
        let work = || {
            meeting.wait();
            *lock(&outer) += 1;
            crew.run(5, &inner);
        };
        crew.run(1, &work);
        assert_eq!((done.into_inner(), *lock(&outer)), (2, 2));
    }

    #[test]
    fn threads_end_where_nothing_comes() {
        let crew = Crew::default();
        let meeting = Barrier::new(2);
        crew.run(1, &|| {
            meeting.wait();
        });
        let begun = std::time::Instant::now();
        while lock(&crew.shared.state).threads > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "the thread is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
        crew.run(1, &|| {
            meeting.wait();
        });
    }
}
