//! Pinned memory: host memory that CUDA devices copy from and to directly.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use crate::capi::guard::{guard_done, guard_silent};
use crate::capi::handle::{check_place, write};
use crate::capi::status::vxf_status;
use crate::device::{PinnedAllocator, pinned_alloc, pinned_free};
use crate::error::{Error, Result};

/// Gives pinned memory of this many bytes, aligned to 64, or NULL.
pub type vxf_pinned_allocate =
    Option<unsafe extern "C" fn(bytes: u64, user_data: *mut c_void) -> *mut c_void>;

/// Takes back what allocate gave.
pub type vxf_pinned_release =
    Option<unsafe extern "C" fn(memory: *mut c_void, bytes: u64, user_data: *mut c_void)>;

/// The caller's own pool of pinned memory. The layout is final.
///
/// A loader allocates while it is made; it releases when it and its batches are gone, on any thread, so the
/// functions and user_data must stay as long, and may not unwind or jump out.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_pinned_allocator {
    /// Gives memory.
    pub allocate: vxf_pinned_allocate,
    /// Takes it back.
    pub release: vxf_pinned_release,
    /// Given to both.
    pub user_data: *mut c_void,
}

impl vxf_pinned_allocator {
    pub(super) fn parse(&self) -> Result<PinnedAllocator> {
        let (Some(allocate), Some(release)) = (self.allocate, self.release) else {
            return Err(Error::argument("pinned: allocate or release is NULL"));
        };
        // SAFETY: by the contract above both may be called on any thread as long as their memory is used.
        Ok(unsafe { PinnedAllocator::new(allocate, release, self.user_data) })
    }
}

/// Gives zeroed pinned memory of this many bytes; vxf_pinned_free() takes it back.
///
/// It can be slow and may wait for the device: allocate once, not in a loop.
/// Errors: ERR_NO_DEVICE where there is no CUDA device, ERR_MEMORY, ERR_DEVICE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_pinned_alloc(bytes: u64, out: *mut *mut c_void) -> vxf_status {
    guard_done(|| {
        check_place(out)?;
        write(out, pinned_alloc(bytes)?.cast())
    })
}

/// Takes memory of vxf_pinned_alloc() back; it may wait for the device. NULL and other memory is left alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_pinned_free(memory: *mut c_void) {
    guard_silent(|| pinned_free(memory.cast()));
}
