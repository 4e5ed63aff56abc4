//! Predictions on their way from a GPU: copied to pinned memory behind the work that makes them, added by a
//! thread of the assembler's.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use crate::device::{Event, Gpu, Here, LentMemory, PinnedBuffer, Stream, StreamHandle};
use crate::error::{Error, Result};
use crate::sys::{Process, lock};

/// The most predictions that are on their way at a time; who adds more waits for the first.
const MOST: usize = 4;

/// What is done with a prediction that has come: its bytes are given.
pub(super) type Then = Box<dyn FnOnce(&[u8]) -> Result<()> + Send>;

/// Predictions on their way from GPUs, added in the order in which they were given.
#[derive(Debug)]
pub(super) struct Incoming {
    shared: Arc<Shared>,
    process: Process,
    /// Whether anything ever came.
    used: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// The thread waits here for a prediction; others wait for the thread.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lanes: Vec<Arc<Lane>>,
    idle: Vec<Landing>,
    /// Those that exist, idle or not.
    landings: usize,
    /// Those that others took the place of, for the thread to drop: freeing pinned memory may wait for the GPU.
    replaced: Vec<Landing>,
    coming: VecDeque<Coming>,
    /// Whether the thread works on one that it has taken from `coming`.
    busy: bool,
    running: bool,
    closed: bool,
    /// The first failure, until somebody is told of it.
    failed: Option<Error>,
}

/// The stream that brings predictions of one GPU.
#[derive(Debug)]
struct Lane {
    gpu: Gpu,
    stream: Stream,
}

/// Pinned memory for one prediction.
#[derive(Debug)]
struct Landing {
    lane: Arc<Lane>,
    memory: PinnedBuffer,
    /// Past when the prediction is made.
    made: Event,
    /// Past when it has come.
    come: Event,
}

/// A prediction on its way.
struct Coming {
    landing: Landing,
    len: usize,
    then: Then,
}

impl std::fmt::Debug for Coming {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "{} bytes", self.len)
    }
}

impl Incoming {
    /// None yet; no thread and no memory before the first.
    pub(super) fn new() -> Self {
        Self { shared: Arc::default(), process: Process::current(), used: AtomicBool::new(false) }
    }

    /// Begins to bring a prediction, behind what its stream has been given so far.
    ///
    /// `checked` runs when the copy is under way, and says what is done with the bytes; where it fails nothing
    /// is. What the stream is given from now on waits, on the GPU, until the copy is past. Without a stream the
    /// prediction is there already, and this waits for the copy.
    ///
    /// # Errors
    /// Those of `checked`; `NoDevice`, `Memory`, `Device`; one that an earlier prediction met.
    pub(super) fn bring(
        &self,
        from: LentMemory,
        stream: Option<StreamHandle>,
        checked: impl FnOnce() -> Result<Then>,
    ) -> Result<()> {
        let gpu = Gpu::open(from.gpu())?;
        let here = gpu.enter()?;
        let mut queue = self.landed()?;
        self.run(&mut queue)?;
        self.used.store(true, Ordering::Relaxed);
        let (mut queue, mut landing) = self.landing(queue, &here, (gpu, from.byte_len()))?;
        // The queue stays locked: the order of the copies is that of adding.
        if let Err(error) = landing.begin(&here, from, stream) {
            // Nothing says when a copy that was begun is past; where this fails too, nothing is copied.
            let _ = landing.lane.stream.synchronize(&here);
            queue.idle.push(landing);
            self.shared.changed.notify_all();
            return Err(error);
        }
        let (then, refused): (Then, _) = match checked() {
            Ok(then) => (then, Ok(())),
            Err(error) => (Box::new(|_: &[u8]| Ok(())), Err(error)),
        };
        let waited = if stream.is_none() { landing.come.synchronize(&here) } else { Ok(()) };
        queue.coming.push_back(Coming { landing, len: from.byte_len(), then });
        self.shared.changed.notify_all();
        refused.and(waited)
    }

    /// Waits until all that is on its way has been added.
    ///
    /// # Errors
    /// What a prediction met that could not be brought or added, once; `Forked`.
    pub(super) fn settle(&self) -> Result<()> {
        if !self.used.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut queue = self.landed()?;
        while queue.busy || !queue.coming.is_empty() {
            queue = self.shared.wait(queue);
        }
        queue.told()
    }

    /// The queue, after a failure was told.
    fn landed(&self) -> Result<MutexGuard<'_, Queue>> {
        if self.process.is_another() {
            return Err(Error::forked("the assembler was made before a fork: make it in the child"));
        }
        let mut queue = self.shared.lock();
        queue.told()?;
        Ok(queue)
    }

    /// Starts the thread where it does not run.
    fn run(&self, queue: &mut Queue) -> Result<()> {
        if !queue.running {
            let shared = Arc::clone(&self.shared);
            let thread = Builder::new().name("voxfeed-add".to_owned()).spawn(move || serve(&shared));
            thread.map_err(|cause| Error::memory(format!("a thread cannot be started: {cause}")))?;
            queue.running = true;
        }
        Ok(())
    }

    /// Memory for a prediction of this many bytes; this waits for the thread where too many are on their way.
    fn landing<'a>(
        &self,
        mut queue: MutexGuard<'a, Queue>,
        here: &Here,
        (gpu, bytes): (Gpu, usize),
    ) -> Result<(MutexGuard<'a, Queue>, Landing)>
    where
        Self: 'a,
    {
        let fits = |one: &Landing| one.lane.gpu.id() == gpu.id() && one.memory.byte_len() >= bytes;
        loop {
            if let Some(place) = queue.idle.iter().position(fits) {
                let landing = queue.idle.swap_remove(place);
                return Ok((queue, landing));
            }
            if queue.landings >= MOST
                && let Some(replaced) = queue.idle.pop()
            {
                queue.replaced.push(replaced);
                queue.landings -= 1;
            }
            if queue.landings < MOST {
                let lane = queue.lane(here, gpu)?;
                let landing = Landing::new(here, lane, bytes)?;
                queue.landings += 1;
                return Ok((queue, landing));
            }
            queue = self.shared.wait(queue);
        }
    }
}

impl Drop for Incoming {
    /// Never waits: the thread ends by itself and frees the memory.
    fn drop(&mut self) {
        if self.process.is_another() {
            std::mem::forget(Arc::clone(&self.shared));
            return;
        }
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn told(&mut self) -> Result<()> {
        let place = "a prediction that was added before, and is lost";
        self.failed.take().map_or(Ok(()), |error| Err(error.at(place)))
    }

    fn lane(&mut self, here: &Here, gpu: Gpu) -> Result<Arc<Lane>> {
        if let Some(known) = self.lanes.iter().find(|lane| lane.gpu.id() == gpu.id()) {
            return Ok(Arc::clone(known));
        }
        let lane = Arc::new(Lane { gpu, stream: Stream::new(here)? });
        self.lanes.push(Arc::clone(&lane));
        Ok(lane)
    }
}

impl Landing {
    fn new(here: &Here, lane: Arc<Lane>, bytes: usize) -> Result<Self> {
        let memory = PinnedBuffer::zeroed(here, bytes, None)?;
        Ok(Self { lane, memory, made: Event::new(here)?, come: Event::new(here)? })
    }

    /// Begins the copy, between what a stream was given and what it will be given.
    fn begin(&mut self, here: &Here, from: LentMemory, stream: Option<StreamHandle>) -> Result<()> {
        let own = self.lane.stream.handle();
        if let Some(stream) = stream {
            self.made.record(here, stream)?;
            self.made.hold(here, own)?;
        }
        self.lane.stream.download(here, from, &mut self.memory)?;
        self.come.record(here, own)?;
        stream.map_or(Ok(()), |stream| self.come.hold(here, stream))
    }
}

/// Adds what comes, in order, until the assembler is gone; what is on its way then is only waited for.
fn serve(shared: &Shared) {
    loop {
        let mut queue = shared.lock();
        while queue.coming.is_empty() && !queue.closed {
            queue = shared.wait(queue);
        }
        let closed = queue.closed;
        let Some(Coming { mut landing, len, then }) = queue.coming.pop_front() else { break };
        queue.busy = true;
        drop(queue);
        let come = landing.lane.gpu.settle().and_then(|here| landing.come.synchronize(&here));
        let added = match come {
            Ok(()) if !closed => {
                let bytes = landing.memory.bytes().get(..len).unwrap_or_default();
                let added = catch_unwind(AssertUnwindSafe(|| then(bytes)));
                added.unwrap_or_else(|payload| {
                    Err(Error::panicked("while it added a prediction", payload.as_ref()))
                })
            }
            other => other,
        };
        let mut queue = shared.lock();
        queue.busy = false;
        queue.failed = queue.failed.take().or(added.err());
        queue.idle.push(landing);
        let replaced = std::mem::take(&mut queue.replaced);
        shared.changed.notify_all();
        drop(queue);
        drop(replaced);
    }
    let mut queue = shared.lock();
    let (idle, replaced) = (std::mem::take(&mut queue.idle), std::mem::take(&mut queue.replaced));
    let gone = (idle, replaced, std::mem::take(&mut queue.lanes));
    drop(queue);
    drop(gone);
}
