//! Pinned memory that callers ask for by itself.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::device::{Gpu, PinnedBuffer};
use crate::error::{Error, Result};

/// What was given out, by its address.
static GIVEN: LazyLock<Mutex<HashMap<usize, PinnedBuffer>>> = LazyLock::new(Mutex::default);

/// Zeroed pinned memory of this many bytes, until [`pinned_free`] takes it back.
///
/// # Errors
/// `NoDevice` where there is no GPU; `Memory` where there is not that much; `Device`.
pub fn pinned_alloc(bytes: u64) -> Result<*mut u8> {
    let refused = |_| Error::memory(format!("no memory for {bytes} bytes"));
    let len = usize::try_from(bytes).map_err(refused)?;
    let buffer = PinnedBuffer::zeroed(&Gpu::any()?.enter()?, len, None)?;
    let address = buffer.address();
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address.addr(), buffer);
    Ok(address)
}

/// Takes pinned memory back; what was not given out is left alone.
pub fn pinned_free(memory: *mut u8) {
    let given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&memory.addr());
    drop(given);
}
