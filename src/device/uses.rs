//! Who still works on memory that is to be used again: streams while it is lent, events afterwards.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::device::{Event, Gpu, Here, StreamHandle};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{LogLevel, tell};

/// The events that are made ahead: one for each stream that a caller is likely to use.
const EVENTS_AHEAD: usize = 4;

/// The streams that work on a piece of memory, and what must pass before it is used again.
///
/// While it is lent, streams are remembered. When it comes back an event is recorded on each: that waits for
/// nothing. Who uses it next waits for these events, on the device or on the host.
#[derive(Debug)]
pub struct Uses {
    gpu: Gpu,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    streams: Vec<User>,
    /// At least one for each stream; the first `recorded` are to be waited for.
    events: Vec<Event>,
    recorded: usize,
    /// Why a stream could not be recorded.
    failed: Option<Error>,
}

/// A stream that works on the memory, and the thread that said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    stream: StreamHandle,
    /// 0 where the stream is the same on all threads.
    thread: u64,
}

impl User {
    fn of(stream: StreamHandle) -> Self {
        Self { stream, thread: if stream.is_of_each_thread() { thread_number() } else { 0 } }
    }

    /// The stream to be recorded by this thread: another thread's own can only be reached by way of the
    /// legacy stream.
    fn recorded(self) -> StreamHandle {
        if self == Self::of(self.stream) { self.stream } else { StreamHandle::LEGACY }
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

impl Uses {
    /// Nobody's use, of memory that this GPU works on.
    ///
    /// # Errors
    /// `Device` or `Memory` where the driver makes no event.
    pub fn new(gpu: Gpu) -> Result<Self> {
        let here = gpu.enter()?;
        let events = (0..EVENTS_AHEAD).map(|_| Event::new(&here)).collect::<Result<_>>()?;
        let streams = Vec::with_capacity(EVENTS_AHEAD);
        Ok(Self { gpu, state: Mutex::new(State { streams, events, recorded: 0, failed: None }) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The GPU.
    pub fn gpu(&self) -> Gpu {
        self.gpu
    }

    /// Notes that a stream works on the memory.
    ///
    /// # Errors
    /// `Device` or `Memory` where another event is needed and the driver makes none.
    pub fn remember(&self, here: &Here, stream: StreamHandle) -> Result<()> {
        let (mut state, user) = (self.lock(), User::of(stream));
        if state.streams.contains(&user) {
            return Ok(());
        }
        // Made now, so that giving the memory back has nothing to ask for.
        if state.events.len() <= state.streams.len() {
            state.events.push(Event::new(here)?);
        }
        state.streams.push(user);
        Ok(())
    }

    /// Records what the remembered streams have been given; nobody is waited for, and nothing fails here.
    ///
    /// What could not be recorded is the error of who uses the memory next. A driver that has gone works on
    /// nothing any more.
    pub fn retire(&self) {
        let mut state = self.lock();
        let had_failed = state.failed.is_some();
        let State { streams, events, recorded, failed } = &mut *state;
        if streams.is_empty() {
            return;
        }
        match self.gpu.enter() {
            Ok(here) => {
                // An event that could not be recorded still says what it said before: nothing new to wait for.
                *recorded = streams.len();
                for (user, event) in streams.iter().zip(events.iter()) {
                    let noted = event.record(&here, user.recorded());
                    *failed = failed.take().or(noted.err());
                }
            }
            Err(error) => *failed = Some(error),
        }
        streams.clear();
        let lost = failed.as_ref().filter(|error| !had_failed && !is_the_end(error));
        let line = lost.map(|error| lost_line(self.gpu.id(), error));
        drop(state);
        if let Some(line) = line {
            tell(LogLevel::Warning, || line);
        }
    }

    /// Records at once what a stream of ours has been given, in place of what was recorded before.
    ///
    /// # Errors
    /// `Device` where the driver refuses.
    pub fn record(&self, here: &Here, stream: StreamHandle) -> Result<()> {
        let mut state = self.lock();
        let State { events, recorded, .. } = &mut *state;
        let event = events.first().ok_or_else(|| Error::internal("no event was made ahead"))?;
        event.record(here, stream)?;
        *recorded = 1;
        Ok(())
    }

    /// Lets the device wait for everybody before the stream goes on; this thread does not wait.
    ///
    /// # Errors
    /// `Device` where a use could not be recorded when it ended, or the driver refuses.
    pub fn hold(&self, here: &Here, stream: StreamHandle) -> Result<()> {
        let mut state = self.lock();
        let State { events, recorded, failed, .. } = &mut *state;
        told(failed.as_ref())?;
        for event in events.iter().take(*recorded) {
            event.hold(here, stream)?;
        }
        *recorded = 0;
        Ok(())
    }

    /// Waits for everybody on this thread; how many events were not past yet.
    ///
    /// # Errors
    /// `Device` where a use could not be recorded when it ended, or work failed.
    pub fn wait(&self, here: &Here) -> Result<u64> {
        let mut state = self.lock();
        let State { events, recorded, failed, .. } = &mut *state;
        told(failed.as_ref())?;
        let mut waited = 0;
        for event in events.iter().take(*recorded) {
            if !event.is_past(here)? {
                waited += 1;
                event.synchronize(here)?;
            }
        }
        *recorded = 0;
        Ok(waited)
    }
}

/// Whether nothing is lost that anybody could use: the driver has gone as the process ends, or it is another's.
fn is_the_end(error: &Error) -> bool {
    /// CUDA_ERROR_DEINITIALIZED.
    const DEINITIALIZED: i32 = 4;
    error.kind() == ErrorKind::Forked || error.details().device_error == DEINITIALIZED
}

fn lost_line(gpu: i32, error: &Error) -> String {
    format!(
        "a batch's memory for GPU {gpu} cannot be used again, and each batch that comes to it fails: a stream that \
         worked on it could not be recorded at its release: {}",
        error.message()
    )
}

/// The error of a use that could not be recorded: for good, since nobody can tell any more when it has ended.
fn told(failed: Option<&Error>) -> Result<()> {
    let Some(error) = failed else { return Ok(()) };
    let text = format!(
        "a stream that worked on an earlier batch in this memory could not be recorded at its release, so that \
         the memory cannot be used again: {}",
        error.message()
    );
    Err(Error::new(error.kind(), text).with_device_error(error.details().device_error))
}
