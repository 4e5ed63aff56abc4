//! Who still works on memory that is to be used again: streams while it is lent, events afterwards.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::device::{Event, Gpu, Here, Location, StreamHandle, is_all_over};
use crate::error::{Error, Result};

/// The events that are made ahead: one for each stream that a caller is likely to use.
const EVENTS_AHEAD: usize = 4;

/// The streams that work on a piece of memory, and what must pass before it is used again.
///
/// While it is lent, streams are remembered. When it comes back an event is recorded on each: that waits for
/// nothing. Who uses it next waits for these events, on the device or on the host.
#[derive(Debug)]
pub struct Uses {
    gpu: Gpu,
    memory: Location,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    users: Vec<(User, Mark)>,
    /// What must pass before the memory is used again.
    recorded: Vec<Mark>,
    spare: Vec<Mark>,
    /// Where streams could not be recorded, and why.
    missed: Vec<(Gpu, Error)>,
}

/// An event, and the GPU on whose streams it can be recorded.
#[derive(Debug)]
struct Mark {
    gpu: Gpu,
    event: Event,
}

/// A stream that works on the memory, the GPU that it belongs to, and the thread that said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    stream: StreamHandle,
    gpu: Gpu,
    /// 0 where the stream is the same on all threads.
    thread: u64,
}

impl User {
    fn of(stream: StreamHandle, gpu: Gpu) -> Self {
        Self { stream, gpu, thread: if stream.is_of_each_thread() { thread_number() } else { 0 } }
    }

    /// Records what the stream has been given; another thread's own stream can only be reached by way of the
    /// legacy stream.
    fn record(self, event: &Event) -> Result<()> {
        let is_own = self == Self::of(self.stream, self.gpu);
        let stream = if is_own { self.stream } else { StreamHandle::LEGACY };
        let here = self.gpu.enter()?;
        // In a capture the event would be a part of the graph, and tell nothing.
        stream.check_not_captured(&here)?;
        event.record(&here, stream)
    }
}

/// A number of the calling thread that no other has or had; asked for also while a thread is being ended.
fn thread_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static OWN: Cell<u64> = const { Cell::new(0) };
    }
    OWN.with(|own| {
        if own.get() == 0 {
            own.set(LAST.fetch_add(1, Relaxed) + 1);
        }
        own.get()
    })
}

impl State {
    /// An event for streams of a GPU; made where none was made ahead.
    fn mark(&mut self, gpu: Gpu) -> Result<Mark> {
        match self.spare.iter().position(|mark| mark.gpu == gpu) {
            Some(known) => Ok(self.spare.swap_remove(known)),
            None => Ok(Mark { gpu, event: Event::new(&gpu.enter()?)? }),
        }
    }

    /// Waits for all that GPUs do on which a stream could not be recorded: nothing less says when that is past.
    fn make_up(&mut self) -> Result<()> {
        while let Some((gpu, why)) = self.missed.last() {
            gpu.enter().and_then(|here| here.synchronize_all()).map_err(|error| {
                let text = format!(
                    "a stream that worked on an earlier batch in this memory could not be recorded at its \
                     release ({}), and the GPU cannot be waited for: {}",
                    why.message(),
                    error.message()
                );
                Error::new(error.kind(), text).with_device_error(error.details().device_error)
            })?;
            self.missed.pop();
        }
        Ok(())
    }
}

impl Mark {
    /// Waits until it is past; whether it was not yet.
    fn wait(&self, here: &Here) -> Result<bool> {
        let waited = match self.event.is_past(here) {
            Ok(true) => return Ok(false),
            Ok(false) => self.event.synchronize(here),
            Err(error) => Err(error),
        };
        // Where the event does not say when, the whole GPU does.
        waited
            .or_else(|error| self.gpu.enter().and_then(|here| here.synchronize_all()).map_err(|_| error))?;
        Ok(true)
    }
}

impl Uses {
    /// Nobody's use, of memory in this place that this GPU works on.
    ///
    /// # Errors
    /// `Device` or `Memory` where the driver makes no event.
    pub fn new(gpu: Gpu, memory: Location) -> Result<Self> {
        let here = gpu.enter()?;
        let mark = |_| Event::new(&here).map(|event| Mark { gpu, event });
        let spare = (0..EVENTS_AHEAD).map(mark).collect::<Result<_>>()?;
        let room = || Vec::with_capacity(EVENTS_AHEAD);
        let state =
            State { users: Vec::with_capacity(EVENTS_AHEAD), recorded: room(), spare, missed: Vec::new() };
        Ok(Self { gpu, memory, state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The GPU.
    pub fn gpu(&self) -> Gpu {
        self.gpu
    }

    /// The stream as one that is to work on the memory.
    ///
    /// The default streams are those of the GPU that the memory lies on. Host memory lies on none: there they
    /// are those of the calling thread's GPU, and of the one that the memory was pinned for where the thread
    /// has none.
    ///
    /// # Errors
    /// `Argument` where the stream is of a context that is not its device's primary one; `State` where it is
    /// being captured into a graph; `Device` where the driver refuses; `Forked`.
    pub fn user(&self, stream: StreamHandle) -> Result<User> {
        let gpu = match self.memory {
            Location::Gpu(_) if stream.is_default() => self.gpu,
            _ if stream.is_default() => Gpu::of_thread()?.unwrap_or(self.gpu),
            _ => Gpu::of_stream(&self.gpu.enter()?, stream)?,
        };
        stream.check_not_captured(&gpu.enter()?)?;
        Ok(User::of(stream, gpu))
    }

    /// Notes that a stream works on the memory.
    ///
    /// # Errors
    /// `Device` or `Memory` where another event is needed and the driver makes none.
    pub fn remember(&self, user: User) -> Result<()> {
        let mut state = self.lock();
        if state.users.iter().all(|(known, _)| *known != user) {
            // Made now, so that giving the memory back has nothing to ask for.
            let mark = state.mark(user.gpu)?;
            state.users.push((user, mark));
        }
        Ok(())
    }

    /// Records what the remembered streams have been given; nobody is waited for, and nothing fails here.
    ///
    /// Who uses the memory next waits for all that a GPU does where a stream could not be recorded.
    pub fn retire(&self) {
        let mut state = self.lock();
        let State { users, recorded, spare, missed } = &mut *state;
        for (user, mark) in users.drain(..) {
            match user.record(&mark.event) {
                Ok(()) => recorded.push(mark),
                Err(error) => {
                    spare.push(mark);
                    missed.push((user.gpu, error));
                }
            }
        }
    }

    /// Records at once what a stream of ours has been given, in place of what was recorded before.
    ///
    /// # Errors
    /// `Device` where the driver refuses.
    pub fn record(&self, here: &Here, stream: StreamHandle) -> Result<()> {
        let mut state = self.lock();
        let mark = state.mark(self.gpu)?;
        let done = mark.event.record(here, stream);
        let State { recorded, spare, .. } = &mut *state;
        if done.is_err() {
            spare.push(mark);
            return done;
        }
        spare.append(recorded);
        recorded.push(mark);
        Ok(())
    }

    /// Lets the device wait for everybody before the stream goes on; this thread does not wait, but for what
    /// could not be recorded.
    ///
    /// # Errors
    /// `Device` where the driver refuses.
    pub fn hold(&self, here: &Here, stream: StreamHandle) -> Result<()> {
        let mut state = self.lock();
        state.make_up()?;
        let State { recorded, spare, .. } = &mut *state;
        for mark in recorded.iter() {
            mark.event.hold(here, stream)?;
        }
        spare.append(recorded);
        Ok(())
    }

    /// Waits for everybody on this thread; how many events were not past yet.
    ///
    /// # Errors
    /// `Device` where the driver does not say when a use is past, or work failed.
    pub fn wait(&self, here: &Here) -> Result<u64> {
        let mut state = self.lock();
        state.make_up()?;
        let State { recorded, spare, .. } = &mut *state;
        let mut waited = Ok(0);
        for mark in recorded.iter() {
            // Whatever one says, the others are waited for.
            match mark.wait(here) {
                Ok(late) => waited = waited.map(|count| count + u64::from(late)),
                Err(error) => waited = waited.and(Err(error)),
            }
        }
        if waited.is_ok() {
            spare.append(recorded);
        }
        waited
    }

    /// Waits for everybody, and whether nobody works on the memory any more then, so that it can be freed.
    pub fn end(&self) -> bool {
        match self.gpu.enter().and_then(|here| self.wait(&here)) {
            Ok(_) => true,
            Err(error) => is_all_over(&error),
        }
    }
}
