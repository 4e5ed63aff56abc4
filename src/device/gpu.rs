//! The GPUs of this machine.

use crate::device::{Here, StreamHandle};
use crate::error::Result;
use crate::sys::cuda::{Context, device_count};

/// The number of GPUs that the driver shows.
///
/// # Errors
/// `NoDevice` with the reason where there is no driver or it does not start.
pub fn gpu_count() -> Result<usize> {
    device_count()
}

/// One GPU.
#[derive(Debug, Clone, Copy)]
pub struct Gpu {
    context: &'static Context,
}

impl PartialEq for Gpu {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.context, other.context)
    }
}

impl Eq for Gpu {}

impl Gpu {
    /// The GPU of this number.
    ///
    /// # Errors
    /// `NoDevice` where there is none, or no driver; `Device` or `Memory` where the driver fails.
    pub fn open(id: i32) -> Result<Self> {
        Ok(Self { context: Context::of(id)? })
    }

    /// The GPU for memory that is no single one's: the calling thread's, one in use, or the first.
    ///
    /// # Errors
    /// Those of [`Gpu::open`].
    pub fn any() -> Result<Self> {
        Ok(Self { context: Context::any()? })
    }

    /// The calling thread's GPU; none where it has none yet.
    ///
    /// # Errors
    /// `Argument` where the thread uses a context that is not its device's primary one; `Device`.
    pub fn of_thread() -> Result<Option<Self>> {
        Ok(Context::of_thread()?.map(|context| Self { context }))
    }

    /// The GPU that a stream belongs to; a default stream's is the thread's.
    ///
    /// # Errors
    /// As [`Gpu::of_thread`]; `Device` where the driver does not know the stream.
    pub fn of_stream(here: &Here, stream: StreamHandle) -> Result<Self> {
        Ok(Self { context: Context::of_stream(here, stream)? })
    }

    /// Its number.
    pub fn id(self) -> i32 {
        self.context.ordinal()
    }

    /// Its name, as the driver says it.
    pub fn name(self) -> String {
        self.context.device_name()
    }

    /// Makes it the calling thread's until the result is dropped; the one before is back then.
    ///
    /// # Errors
    /// `Device` where the driver refuses.
    pub fn enter(self) -> Result<Here> {
        self.context.enter()
    }

    /// Makes it a thread's for good: one of our own.
    ///
    /// # Errors
    /// `Device` where the driver refuses.
    pub fn settle(self) -> Result<Here> {
        self.context.settle()
    }
}
