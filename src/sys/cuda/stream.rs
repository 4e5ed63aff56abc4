//! Streams: queues of work for a device, ours and those of callers.

use std::ffi::c_void;

use crate::error::{Error, Result};
use crate::sys::RowBuffer;
use crate::sys::cuda::driver::{CAPTURE_IMPLICIT, Handle};
use crate::sys::cuda::{Context, Current, DeviceBuffer, Event, LentMemory, PinnedBuffer};

/// Not ordered with the legacy default stream.
const NON_BLOCKING: u32 = 1;

/// Somebody's stream. 0 and 1 are the legacy default stream, 2 the calling thread's own default stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamHandle(pub(super) Handle);

impl StreamHandle {
    /// The legacy default stream: what it is given comes after all that streams which are not non-blocking
    /// have, every thread's own default stream among them.
    pub const LEGACY: Self = Self(1);

    /// Whether it is another stream on every thread.
    pub fn is_of_each_thread(self) -> bool {
        self.0 == 2
    }

    /// Whether it is one of the numbers, which mean a stream of whichever context is current.
    pub fn is_default(self) -> bool {
        self.0 <= 2
    }

    /// Refuses a stream that is being captured into a graph: what it is given would run later, or never.
    ///
    /// # Errors
    /// `State` where it is, or, for the legacy stream, where one is that comes before and after it; `Device`.
    pub fn check_not_captured(self, current: &Current) -> Result<()> {
        let (driver, mut status) = (current.context().driver, 0);
        // SAFETY: who made the stream's handle promised that it lives, and the place for the result is ours.
        let code = unsafe { (driver.cuStreamIsCapturing)(self.0, &raw mut status) };
        if code == CAPTURE_IMPLICIT || (code == 0 && status != 0) {
            return Err(Error::state(
                "the stream is being captured into a CUDA graph, where work is kept and not done: do this before \
                 the capture begins or after it has ended",
            ));
        }
        driver.check("cuStreamIsCapturing", code)
    }

    /// The stream that the driver knows by this handle.
    ///
    /// # Safety
    /// It is one of the numbers above, or a stream that lives as long as this value and its copies are used.
    pub unsafe fn borrowed(handle: *mut c_void) -> Self {
        Self(handle.addr())
    }
}

/// A stream of our own, in order with no other.
#[derive(Debug)]
pub struct Stream {
    context: &'static Context,
    raw: Handle,
    /// What who waits for the stream waits for, asleep: the driver waits for a stream by asking again and again.
    past: Event,
}

impl Stream {
    /// A stream without work.
    ///
    /// # Errors
    /// `Device` or `Memory` where the driver makes none.
    pub fn new(current: &Current) -> Result<Self> {
        let (context, past) = (current.context(), Event::new(current)?);
        let mut raw = 0;
        // SAFETY: the place for the result is ours.
        let code = unsafe { (context.driver.cuStreamCreate)(&raw mut raw, NON_BLOCKING) };
        context.driver.check("cuStreamCreate", code)?;
        Ok(Self { context, raw, past })
    }

    /// A stream whose kernels come before those of other streams that wait for a place on the device.
    ///
    /// # Errors
    /// As [`Stream::new`].
    pub fn urgent(current: &Current) -> Result<Self> {
        let (context, past) = (current.context(), Event::new(current)?);
        let (driver, mut raw) = (context.driver, 0);
        let (mut least, mut greatest) = (0, 0);
        // SAFETY: the places for the results are ours.
        let code = unsafe { (driver.cuCtxGetStreamPriorityRange)(&raw mut least, &raw mut greatest) };
        driver.check("cuCtxGetStreamPriorityRange", code)?;
        // SAFETY: the place for the result is ours.
        let code = unsafe { (driver.cuStreamCreateWithPriority)(&raw mut raw, NON_BLOCKING, greatest) };
        driver.check("cuStreamCreateWithPriority", code)?;
        Ok(Self { context, raw, past })
    }

    /// Its handle, for events.
    pub fn handle(&self) -> StreamHandle {
        StreamHandle(self.raw)
    }

    /// Begins to copy the first bytes of a buffer to a device, and does not wait.
    ///
    /// The caller keeps both, and writes to neither, until an event says that the copy is past.
    ///
    /// # Errors
    /// `Internal` where one of the two is shorter; `Device` where the driver refuses.
    pub fn upload(
        &self,
        current: &Current,
        from: &RowBuffer,
        (into, len): (&DeviceBuffer, usize),
    ) -> Result<()> {
        if len > from.byte_len() || len > into.byte_len() {
            return Err(Error::internal(format!("a copy of {len} bytes is longer than its buffers")));
        }
        if len == 0 {
            return Ok(());
        }
        let driver = current.context().driver;
        // SAFETY: both have that many bytes, and the caller keeps them, as said above: the driver may free memory
        // without waiting for copies, so who frees it waits.
        let code = unsafe {
            (driver.cuMemcpyHtoDAsync)(into.address(), from.address().cast_const().cast(), len, self.raw)
        };
        driver.check("cuMemcpyHtoDAsync", code)
    }

    /// Begins to copy a caller's memory of a device to the start of pinned memory, and does not wait.
    ///
    /// Who owns the pinned memory neither reads nor frees it until an event says that the copy is past.
    ///
    /// # Errors
    /// `Internal` where the pinned memory is shorter; `Device` where the driver refuses.
    pub fn download(&self, current: &Current, from: LentMemory, into: &mut PinnedBuffer) -> Result<()> {
        let len = from.byte_len();
        if len > into.byte_len() {
            return Err(Error::internal(format!("a copy of {len} bytes is longer than its buffer")));
        }
        if len == 0 {
            return Ok(());
        }
        let driver = current.context().driver;
        // SAFETY: the pinned memory has that many bytes, and the owner keeps it, as said above; who lent the
        // other promised the same of it.
        let code =
            unsafe { (driver.cuMemcpyDtoHAsync)(into.address().cast(), from.address(), len, self.raw) };
        driver.check("cuMemcpyDtoHAsync", code)
    }

    /// Copies bytes of a device's buffer, from an offset on, to the start of pinned memory, and waits for that.
    ///
    /// # Errors
    /// `Internal` where one of the two is shorter; `Device` where the driver refuses or earlier work failed.
    pub fn download_and_wait(
        &self,
        current: &Current,
        (from, offset): (&DeviceBuffer, usize),
        (into, len): (&mut PinnedBuffer, usize),
    ) -> Result<()> {
        let end = offset.checked_add(len).filter(|&end| end <= from.byte_len() && len <= into.byte_len());
        if end.is_none() {
            return Err(Error::internal(format!("a copy of {len} bytes is longer than its buffers")));
        }
        if len == 0 {
            return Ok(());
        }
        let (driver, source) = (current.context().driver, from.address() + offset as u64);
        // SAFETY: both have that many bytes, and both are borrowed until the copy is done, as is waited for below.
        let code = unsafe { (driver.cuMemcpyDtoHAsync)(into.address().cast(), source, len, self.raw) };
        let begun = driver.check("cuMemcpyDtoHAsync", code);
        begun.and(self.synchronize(current))
    }

    /// Begins to copy all of pinned memory to the start of a device's, and does not wait.
    ///
    /// The caller keeps both, and writes to neither, until the copy is past.
    ///
    /// # Errors
    /// `Internal` where the device's memory is shorter; `Device` where the driver refuses.
    pub fn send(&self, current: &Current, from: &PinnedBuffer, into: &DeviceBuffer) -> Result<()> {
        let (driver, len) = (current.context().driver, from.byte_len());
        if len > into.byte_len() {
            return Err(Error::internal(format!("a copy of {len} bytes is longer than its buffer")));
        }
        let source = from.address().cast_const().cast();
        // SAFETY: both have that many bytes, and the caller keeps them, as said above.
        let code = unsafe { (driver.cuMemcpyHtoDAsync)(into.address(), source, len, self.raw) };
        driver.check("cuMemcpyHtoDAsync", code)
    }

    /// Begins to fill a device's memory with zeros, and does not wait.
    ///
    /// The caller keeps it until that is past.
    ///
    /// # Errors
    /// `Device` where the driver refuses.
    pub fn clear(&self, current: &Current, memory: &DeviceBuffer) -> Result<()> {
        let driver = current.context().driver;
        // SAFETY: the memory has that many bytes, and the caller keeps it, as said above.
        let code = unsafe { (driver.cuMemsetD8Async)(memory.address(), 0, memory.byte_len(), self.raw) };
        driver.check("cuMemsetD8Async", code)
    }

    /// Waits until all its work is done.
    ///
    /// # Errors
    /// `Device` where work failed.
    pub fn synchronize(&self, current: &Current) -> Result<()> {
        if self.past.record(current, self.handle()).is_ok() {
            return self.past.synchronize(current);
        }
        let driver = current.context().driver;
        // SAFETY: the stream is ours.
        driver.check("cuStreamSynchronize", unsafe { (driver.cuStreamSynchronize)(self.raw) })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A driver that has gone has taken its streams along.
        if let Ok(current) = self.context.enter() {
            // SAFETY: made by `new`, and destroyed once; the driver keeps it until its work is done.
            let _ = unsafe { (current.context().driver.cuStreamDestroy)(self.raw) };
        }
    }
}
