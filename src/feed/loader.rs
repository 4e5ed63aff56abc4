//! The loader: what starts the threads, lends the batches and ends it all.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::feed::back_pressure::BackPressure;
use crate::feed::foresight::Foresight;
use crate::feed::layout::Layout;
use crate::feed::pools::{Pools, Sizes};
use crate::feed::ring::{Place, Ring};
use crate::feed::signal::Signal;
use crate::feed::slot::Memory;
use crate::feed::statistics::KnownStatistics;
use crate::feed::stats::{Counters, add, add_time};
use crate::feed::{Batch, LoaderOptions, OnError, Stats, state, upload, worker};
use crate::log::{LogLevel, tell};
use crate::plan::{Plan, Sampler};
use crate::sys::{Process, core_count};

/// The most threads that are started where nobody says how many.
const MOST_THREADS: usize = 8;

/// The most rows that a thread fills at once.
const MOST_ROWS: usize = 16;

/// The most threads that are started for anybody.
const THREAD_LIMIT: usize = 1024;

/// What a loader, its threads and its batches share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Arc<Plan>,
    pub(super) layout: Layout,
    pub(super) options: LoaderOptions,
    pub(super) ring: Mutex<Ring>,
    /// Threads wait here for a row to fill.
    pub(super) work: Signal,
    /// The thread that sends batches to a GPU waits here for one.
    pub(super) sealed: Signal,
    /// Callers wait here for a batch.
    pub(super) ready: Signal,
    /// Who closes waits here for the threads to end.
    pub(super) ended: Signal,
    pub(super) counters: Counters,
    pub(super) statistics: KnownStatistics,
    pub(super) foresight: Foresight,
    pub(super) back_pressure: BackPressure,
    sizes: Sizes,
    /// What had been found in the cache, and what not, when the loader was made.
    cache_before: (u64, u64),
    threads: usize,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes lent memory back; nobody is waited for who still works on it.
    pub(super) fn release(&self, memory: Memory) {
        if let Some(uses) = memory.uses() {
            uses.retire();
        }
        let left = self.lock().release(memory);
        self.work.notify_all();
        self.sealed.notify_one();
        if let Some(memory) = left.filter(|memory| memory.uses().is_some()) {
            let_go(memory);
        }
    }
}

/// Fills batches ahead of time and lends them in epoch order.
#[derive(Debug)]
pub struct Loader {
    shared: Option<Arc<Shared>>,
    /// The process whose threads fill the batches.
    process: OnceLock<Process>,
}

/// What came of waiting for a batch.
#[derive(Debug)]
pub enum Next {
    /// A batch.
    Batch(Batch),
    /// The epoch is over.
    End,
    /// The time is up.
    Timeout,
    /// The loader was cancelled.
    Cancelled,
}

impl Loader {
    /// A loader of a sampler's samples; no thread is started yet, all memory is had.
    ///
    /// # Errors
    /// `Argument` where options contradict each other or the data; `NotFound` for a category or entry that
    /// a subject lacks; `Memory` where the slots do not fit; `NoDevice` or `Device` where batches for a GPU
    /// are asked for; `Unsupported`.
    pub fn new(sampler: Arc<Sampler>, options: LoaderOptions) -> Result<Self> {
        if options.threads > THREAD_LIMIT {
            let text = format!("threads is {}, expected at most {THREAD_LIMIT}", options.threads);
            return Err(Error::argument(text));
        }
        let plan = Arc::new(Plan::new(sampler, options.epoch)?);
        let mut layout = Layout::new(&plan, &options)?;
        let row_bytes = layout.row_bytes()?.iter().fold(0usize, |sum, &bytes| sum.saturating_add(bytes));
        let rows = plan.options().batch_size.min(usize::try_from(plan.len()).unwrap_or(usize::MAX));
        layout.choose_stores(&options, row_bytes.saturating_mul(rows).saturating_mul(Pools::slots(&options)));
        let pools = Pools::new(&options, rows, &layout)?;
        let threads = if options.threads == 0 { core_count().min(MOST_THREADS) } else { options.threads };
        let most_rows = rows_at_once(rows, pools.host.len(), threads);
        let shared = Shared {
            cache_before: plan.sampler().dataset().context().decoded.hits_and_misses(),
            back_pressure: BackPressure::new(pools.sizes.slots, options.held_limit),
            sizes: pools.sizes,
            threads,
            ring: Mutex::new(Ring::new(pools.host, most_rows, pools.uploads)),
            plan,
            layout,
            options,
            work: Signal::default(),
            sealed: Signal::default(),
            ready: Signal::default(),
            ended: Signal::default(),
            counters: Counters::default(),
            statistics: KnownStatistics::default(),
            foresight: Foresight::new(row_bytes),
        };
        Ok(Self { shared: Some(Arc::new(shared)), process: OnceLock::new() })
    }

    fn shared(&self) -> Result<&Arc<Shared>> {
        if self.process.get().is_some_and(|process| process.is_another()) {
            return Err(Error::forked(
                "the loader was started before a fork: make it in the child, or spawn processes instead of \
                 forking them (multiprocessing.set_start_method(\"spawn\"))",
            ));
        }
        self.shared.as_ref().ok_or_else(|| Error::internal("the loader is gone"))
    }

    /// The epochs as this rank goes through them.
    ///
    /// # Errors
    /// `Forked` in a child of the process that started it.
    pub fn plan(&self) -> Result<&Arc<Plan>> {
        Ok(&self.shared()?.plan)
    }

    /// Begins an epoch; a running one is given up, batches that are lent stay valid.
    ///
    /// # Errors
    /// `State` after a close; `Forked`; `Memory` where a thread cannot be started.
    pub fn start(&self, epoch: u64) -> Result<()> {
        self.start_at(Place { epoch, place: 0 })
    }

    fn start_at(&self, at: Place) -> Result<()> {
        let shared = self.shared()?;
        let mut ring = shared.lock();
        if ring.closed {
            return Err(Error::state("the loader is closed"));
        }
        self.process.get_or_init(Process::current);
        let (fill, send) = (shared.threads, usize::from(ring.has_uploads()));
        while ring.workers < fill + send {
            let own = Arc::clone(shared);
            let name = format!("voxfeed-{}", ring.workers);
            let run = if ring.workers < fill { worker::run } else { upload::run };
            std::thread::Builder::new()
                .name(name)
                .spawn(move || {
                    run(&own);
                    leave(&own);
                })
                .map_err(|cause| Error::memory(format!("a thread cannot be started: {cause}")))?;
            ring.workers += 1;
        }
        ring.start(at);
        drop(ring);
        shared.work.notify_all();
        shared.ready.notify_all();
        Ok(())
    }

    /// Waits for the next batch, in epoch order; for ever without a timeout.
    ///
    /// # Errors
    /// Those of the batch's samples, in order; `State` before the first start or after a close; `Forked`.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Next> {
        let shared = self.shared()?;
        let begun = Instant::now();
        let mut waited = false;
        let mut ring = shared.lock();
        loop {
            if ring.closed {
                return Err(Error::state("the loader is closed"));
            }
            if ring.cancelled {
                return Ok(Next::Cancelled);
            }
            if !ring.started {
                return Err(Error::state("the loader is not started: call start with an epoch first"));
            }
            if let Some(ready) = ring.pop(&shared.plan) {
                if waited {
                    add_time(&shared.counters.wait_ns, begun.elapsed());
                }
                return match ready.error {
                    None => {
                        drop(ring);
                        ready.passed.iter().for_each(|passed| shared.layout.pass(passed));
                        let batch =
                            Batch::new(Arc::clone(shared), ready.memory, (ready.samples, ready.extents));
                        count(&shared.counters, &batch);
                        Ok(Next::Batch(batch))
                    }
                    Some(error) => {
                        add(&shared.counters.errors, 1);
                        if shared.options.on_error == OnError::Stop {
                            ring.give_up();
                        }
                        drop(ring);
                        shared.work.notify_all();
                        Err(error)
                    }
                };
            }
            if ring.is_over(&shared.plan, shared.options.endless) {
                return Ok(Next::End);
            }
            if !std::mem::replace(&mut waited, true) {
                add(&shared.counters.waits, 1);
            }
            let Some(left) = left_of(begun, timeout) else {
                add_time(&shared.counters.wait_ns, begun.elapsed());
                return Ok(Next::Timeout);
            };
            ring = shared.back_pressure.wait(shared, ring, left);
        }
    }

    /// Wakes every waiting [`Loader::next`] and ends the epoch; a start begins anew.
    ///
    /// # Errors
    /// `Forked`.
    pub fn cancel(&self) -> Result<()> {
        let shared = self.shared()?;
        let mut ring = shared.lock();
        ring.give_up();
        ring.cancelled = true;
        drop(ring);
        shared.ready.notify_all();
        Ok(())
    }

    /// Cancels for good and waits until the threads have ended; true where they have.
    ///
    /// # Errors
    /// `Forked`.
    pub fn close(&self, timeout: Option<Duration>) -> Result<bool> {
        let shared = self.shared()?;
        let begun = Instant::now();
        end(shared);
        let mut ring = shared.lock();
        while ring.workers > 0 {
            let Some(left) = left_of(begun, timeout) else { return Ok(false) };
            ring = shared.ended.wait_for(ring, left);
        }
        Ok(true)
    }

    /// The place behind the last batch that was lent, as text.
    ///
    /// # Errors
    /// `Forked`.
    pub fn save_state(&self) -> Result<String> {
        let shared = self.shared()?;
        let at = shared.lock().place();
        state::save(&shared.plan, at)
    }

    /// Goes on at a saved place.
    ///
    /// # Errors
    /// `Argument` where the text is damaged or belongs to another plan; those of [`Loader::start`].
    pub fn load_state(&self, text: &str) -> Result<()> {
        let at = state::load(&self.shared()?.plan, text)?;
        self.start_at(at)
    }

    /// What it has done since it was made.
    ///
    /// # Errors
    /// `Forked`.
    pub fn stats(&self) -> Result<Stats> {
        use std::sync::atomic::Ordering::Relaxed;
        let shared = self.shared()?;
        let counters = &shared.counters;
        let decoded = &shared.plan.sampler().dataset().context().decoded;
        let (hits, misses) = decoded.hits_and_misses();
        let (hits_before, misses_before) = shared.cache_before;
        Ok(Stats {
            threads: shared.threads,
            batches: counters.batches.load(Relaxed),
            samples: counters.samples.load(Relaxed),
            bytes: counters.bytes.load(Relaxed),
            errors: counters.errors.load(Relaxed),
            waits: counters.waits.load(Relaxed),
            wait_ns: counters.wait_ns.load(Relaxed),
            work_ns: counters.work_ns.load(Relaxed),
            idle_ns: counters.idle_ns.load(Relaxed),
            held: shared.lock().held as u64,
            slots: shared.sizes.slots as u64,
            slot_bytes: shared.sizes.host_bytes as u64,
            cache_hits: hits.saturating_sub(hits_before),
            cache_misses: misses.saturating_sub(misses_before),
            cache_bytes: decoded.memory_bytes(),
            scratch_bytes: counters.scratch_bytes.load(Relaxed),
            pinned_bytes: shared.sizes.pinned_bytes as u64,
            device_bytes: shared.sizes.device_bytes as u64,
            uploads: counters.uploads.load(Relaxed),
            upload_bytes: counters.upload_bytes.load(Relaxed),
            event_waits: counters.event_waits.load(Relaxed),
        })
    }
}

/// Counts a batch that is lent.
fn count(counters: &Counters, batch: &Batch) {
    add(&counters.batches, 1);
    add(&counters.samples, batch.samples().len() as u64);
    let bytes: usize = batch
        .categories()
        .filter_map(|name| batch.tensor(Some(name)).ok())
        .map(|view| view.extents.iter().product::<usize>() * view.dtype.byte_len())
        .sum();
    add(&counters.bytes, bytes as u64);
}

/// Lets go of memory that a GPU may still work on, which waits for it: on a thread of its own.
fn let_go(memory: Memory) {
    let memory = Arc::new(Mutex::new(Some(memory)));
    let own = Arc::clone(&memory);
    let take = |memory: &Mutex<Option<Memory>>| memory.lock().unwrap_or_else(PoisonError::into_inner).take();
    let begun = std::thread::Builder::new().name("voxfeed-reaper".to_owned()).spawn(move || drop(take(&own)));
    if let Err(cause) = begun {
        // Without a thread the memory is kept: a release does not wait.
        std::mem::forget(take(&memory));
        let line = || format!("a batch's memory is kept for good: no thread can wait for its GPU: {cause}");
        tell(LogLevel::Error, line);
    }
}

/// How many rows of a batch a thread fills at once: enough that what neighbours share is looked up once, few enough that
/// no thread is left without rows, and all parts of a batch alike.
fn rows_at_once(rows: usize, slots: usize, threads: usize) -> usize {
    let most = (slots.saturating_mul(rows) / (2 * threads)).clamp(1, MOST_ROWS);
    rows.div_ceil(rows.div_ceil(most))
}

/// What is left of a time that has begun, none where it is for ever; nothing where it is up.
fn left_of(begun: Instant, timeout: Option<Duration>) -> Option<Option<Duration>> {
    let left = timeout.map(|time| time.saturating_sub(begun.elapsed()));
    (left != Some(Duration::ZERO)).then_some(left)
}

/// Tells the threads to end.
fn end(shared: &Shared) {
    let mut ring = shared.lock();
    ring.give_up();
    ring.closed = true;
    drop(ring);
    shared.work.notify_all();
    shared.sealed.notify_all();
    shared.ready.notify_all();
}

/// Ends a thread; the last one gives the slots back that nobody holds.
fn leave(shared: &Shared) {
    let mut ring = shared.lock();
    if ring.workers == 1 {
        let free = ring.dissolve();
        drop(ring);
        // Where a GPU works on them, this waits: here, and not where the loader is freed.
        drop(free);
        ring = shared.lock();
    }
    ring.workers -= 1;
    shared.ended.notify_all();
}

impl Drop for Loader {
    /// Never waits: the threads end by themselves, and the last to go frees the memory.
    fn drop(&mut self) {
        if self.process.get().is_some_and(|process| process.is_another()) {
            // The lock may be held by a thread that this forked child does not have: leave all as it is.
            std::mem::forget(self.shared.take());
            return;
        }
        if let Some(shared) = &self.shared {
            end(shared);
        }
    }
}
