//! Events: marks in a stream's work that others can wait for.

use crate::error::Result;
use crate::sys::cuda::driver::{Handle, NOT_READY};
use crate::sys::cuda::{Context, Current, StreamHandle};

/// Sleep in place of spinning where a thread waits, and keep no time.
const FLAGS: u32 = 0x1 | 0x2;

/// A mark in a stream's work.
#[derive(Debug)]
pub struct Event {
    context: &'static Context,
    raw: Handle,
}

impl Event {
    /// An event that nobody has recorded: waiting for it is over at once.
    ///
    /// # Errors
    /// `Device` or `Memory` where the driver makes none.
    pub fn new(current: &Current) -> Result<Self> {
        let context = current.context();
        let mut raw = 0;
        // SAFETY: the place for the result is ours.
        let code = unsafe { (context.driver.cuEventCreate)(&raw mut raw, FLAGS) };
        context.driver.check("cuEventCreate", code)?;
        Ok(Self { context, raw })
    }

    /// Records all work that the stream has now; what waited for an earlier record is not affected.
    ///
    /// # Errors
    /// `Device` where the driver refuses: the stream is another context's, or is gone.
    pub fn record(&self, current: &Current, stream: StreamHandle) -> Result<()> {
        let driver = current.context().driver;
        // SAFETY: the event is ours; who made the stream's handle promised that it lives.
        driver.check("cuEventRecord", unsafe { (driver.cuEventRecord)(self.raw, stream.0) })
    }

    /// Lets the device wait, before it begins what the stream is given from now on; this thread does not wait.
    ///
    /// # Errors
    /// `Device` where the driver refuses.
    pub fn hold(&self, current: &Current, stream: StreamHandle) -> Result<()> {
        let driver = current.context().driver;
        // SAFETY: as above; the flags are 0, as they must be.
        driver.check("cuStreamWaitEvent", unsafe { (driver.cuStreamWaitEvent)(stream.0, self.raw, 0) })
    }

    /// Whether the recorded work is done.
    ///
    /// # Errors
    /// `Device` where earlier work failed.
    pub fn is_past(&self, current: &Current) -> Result<bool> {
        let driver = current.context().driver;
        // SAFETY: the event is ours.
        match unsafe { (driver.cuEventQuery)(self.raw) } {
            NOT_READY => Ok(false),
            code => driver.check("cuEventQuery", code).map(|()| true),
        }
    }

    /// Waits until the recorded work is done.
    ///
    /// # Errors
    /// `Device` where earlier work failed.
    pub fn synchronize(&self, current: &Current) -> Result<()> {
        let driver = current.context().driver;
        // SAFETY: the event is ours.
        driver.check("cuEventSynchronize", unsafe { (driver.cuEventSynchronize)(self.raw) })
    }

    /// The driver's handle of it, for callers who wait by themselves.
    pub fn pointer(&self) -> *mut u8 {
        std::ptr::without_provenance_mut(self.raw)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // A driver that has gone has taken its events along.
        if let Ok(current) = self.context.enter() {
            // SAFETY: made by `new`, and destroyed once; the driver keeps it until its work is done.
            let _ = unsafe { (current.context().driver.cuEventDestroy)(self.raw) };
        }
    }
}
