//! Host memory that a device copies from directly, and memory of a device.

use std::ffi::c_void;
use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::sys::check_memory;
use crate::sys::cuda::driver::{Address, OUT_OF_MEMORY};
use crate::sys::cuda::{Context, Current, Stream};

/// Pinned for every device; cached, since the processor fills it and may read it.
const PORTABLE: u32 = 1;

/// What a caller's memory must be aligned to.
const ALIGNMENT: usize = 64;

/// Functions of the caller's that pinned memory is had from, in place of the driver.
#[derive(Debug, Clone, Copy)]
pub struct PinnedAllocator {
    allocate: unsafe extern "C" fn(bytes: u64, user_data: *mut c_void) -> *mut c_void,
    release: unsafe extern "C" fn(memory: *mut c_void, bytes: u64, user_data: *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: who made it promised that the functions may be called on any thread.
unsafe impl Send for PinnedAllocator {}
// SAFETY: as above.
unsafe impl Sync for PinnedAllocator {}

impl PinnedAllocator {
    /// An allocator of these functions.
    ///
    /// # Safety
    /// Both may be called on any thread with this user data for as long as memory of theirs is used; what
    /// `allocate` gives is nobody else's memory of that many bytes, or NULL.
    pub unsafe fn new(
        allocate: unsafe extern "C" fn(u64, *mut c_void) -> *mut c_void,
        release: unsafe extern "C" fn(*mut c_void, u64, *mut c_void),
        user_data: *mut c_void,
    ) -> Self {
        Self { allocate, release, user_data }
    }
}

/// Zeroed host memory that devices copy from directly.
#[derive(Debug)]
pub struct PinnedBuffer {
    context: &'static Context,
    start: NonNull<u8>,
    len: usize,
    /// Whose memory it is; the driver's where none is named.
    allocator: Option<PinnedAllocator>,
}

// SAFETY: the buffer owns its bytes; who hands out parts of them sees to it that they are disjoint.
unsafe impl Send for PinnedBuffer {}
// SAFETY: as above.
unsafe impl Sync for PinnedBuffer {}

impl PinnedBuffer {
    /// This many zero bytes, from the caller's allocator where there is one.
    ///
    /// # Errors
    /// `Memory` where they cannot be had; `Argument` where the allocator's memory is not aligned; `Device`.
    pub fn zeroed(current: &Current, len: usize, allocator: Option<PinnedAllocator>) -> Result<Self> {
        check_memory(len as u128)?;
        let bytes = len.max(1);
        let memory = match &allocator {
            None => allocate(current, bytes)?,
            // SAFETY: who made the allocator promised that it may be called so.
            Some(own) => unsafe { (own.allocate)(bytes as u64, own.user_data) },
        };
        let Some(start) = NonNull::new(memory.cast::<u8>()) else {
            let text = format!("the allocator of pinned memory has no {len} bytes");
            return Err(Error::memory(text));
        };
        let buffer = Self { context: current.context(), start, len: bytes, allocator };
        if start.as_ptr().align_offset(ALIGNMENT) != 0 {
            let text = format!(
                "the allocator of pinned memory gave {start:?}, expected alignment to {ALIGNMENT} bytes"
            );
            return Err(Error::argument(text));
        }
        // SAFETY: the memory has that many bytes, and nobody else has it.
        unsafe { start.as_ptr().write_bytes(0, bytes) };
        Ok(buffer)
    }

    /// The address of the first byte.
    pub fn address(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// The number of bytes, at least 1.
    pub fn byte_len(&self) -> usize {
        self.len
    }

    /// All bytes, for whom the buffer belongs to alone; no device works on them.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: that many initialised bytes are ours, and a unique borrow of us is held.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

fn allocate(current: &Current, bytes: usize) -> Result<*mut c_void> {
    let driver = current.context().driver;
    let mut memory = std::ptr::null_mut();
    // SAFETY: the place for the result is ours.
    let code = unsafe { (driver.cuMemHostAlloc)(&raw mut memory, bytes, PORTABLE) };
    driver
        .check("cuMemHostAlloc", code)
        .map_err(|error| error.at(format!("{bytes} bytes of pinned memory")))?;
    Ok(memory)
}

impl Drop for PinnedBuffer {
    fn drop(&mut self) {
        let memory = self.start.as_ptr().cast();
        if let Some(own) = &self.allocator {
            // A forked child has not the caller's pool, whatever its memory looks like.
            if self.context.driver.check_process().is_err() {
                return;
            }
            // SAFETY: from `allocate`, and given back once.
            unsafe { (own.release)(memory, self.len as u64, own.user_data) };
        } else if let Ok(current) = self.context.enter() {
            // SAFETY: from the driver, and given back once. A driver that has gone is not asked.
            let _ = unsafe { (current.context().driver.cuMemFreeHost)(memory) };
        }
    }
}

/// Memory of a device.
#[derive(Debug)]
pub struct DeviceBuffer {
    context: &'static Context,
    address: Address,
    len: usize,
}

impl DeviceBuffer {
    /// This many bytes, of any values.
    ///
    /// # Errors
    /// `Memory` where the device has not that many; `Device`.
    pub fn new(current: &Current, len: usize) -> Result<Self> {
        let context = current.context();
        let (mut address, bytes) = (0, len.max(1));
        // SAFETY: the place for the result is ours.
        let code = unsafe { (context.driver.cuMemAlloc)(&raw mut address, bytes) };
        context.driver.check("cuMemAlloc", code).map_err(|error| {
            let place = format!("{len} bytes on CUDA device {}", context.ordinal());
            match (code, current.memory()) {
                (OUT_OF_MEMORY, Ok((free, total))) => {
                    error.at(format!("{place}, where {free} of {total} are free"))
                }
                _ => error.at(place),
            }
        })?;
        Ok(Self { context, address, len: bytes })
    }

    /// The bytes of the host, and waits until they are there: for what is made once.
    ///
    /// # Errors
    /// Those of [`DeviceBuffer::new`] and [`PinnedBuffer::zeroed`].
    pub fn holding(current: &Current, bytes: &[u8]) -> Result<Self> {
        let (buffer, stream) = (Self::new(current, bytes.len())?, Stream::new(current)?);
        let mut pinned = PinnedBuffer::zeroed(current, bytes.len(), None)?;
        crate::sys::memory::copy(bytes, pinned.bytes().get_mut(..bytes.len()).unwrap_or_default());
        let (driver, from) = (current.context().driver, pinned.address().cast_const().cast());
        let to = stream.handle().0;
        // SAFETY: both have that many bytes, and both live until the copy is done, as is waited for below.
        let code = unsafe { (driver.cuMemcpyHtoDAsync)(buffer.address, from, buffer.len, to) };
        let begun = driver.check("cuMemcpyHtoDAsync", code);
        begun.and(stream.synchronize(current)).map(|()| buffer)
    }

    /// The address of the first byte, in the device's memory.
    pub(super) fn address(&self) -> Address {
        self.address
    }

    /// The address of the first byte, as callers write it: nothing can be read there on the host.
    pub fn pointer(&self) -> *mut u8 {
        std::ptr::without_provenance_mut(self.address as usize)
    }

    /// The number of bytes, at least 1.
    pub fn byte_len(&self) -> usize {
        self.len
    }
}

impl Drop for DeviceBuffer {
    fn drop(&mut self) {
        // A driver that has gone has taken its memory along.
        if let Ok(current) = self.context.enter() {
            // SAFETY: made by `new`, and freed once.
            let _ = unsafe { (current.context().driver.cuMemFree)(self.address) };
        }
    }
}
