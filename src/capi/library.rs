//! The library itself: its version, and the last error of a thread.

#![allow(non_camel_case_types)]

use std::ffi::{CStr, c_char, c_void};
use std::ops::ControlFlow;

use crate::capi::guard::{guard_done, with_last};
use crate::capi::handle::{Sized32, write, write_sized};
use crate::capi::status::{NAMES, vxf_status};
use crate::device::gpu_count;

/// Told of what is done, of how much, on the thread that called; anything but 0 stops.
pub type vxf_progress = Option<unsafe extern "C" fn(done: u64, total: u64, user_data: *mut c_void) -> i32>;

/// The number of the C interface that this header describes, also in the library's file name.
pub const VXF_ABI_VERSION: u32 = 0;

/// The caller's progress function as ours; where there is none, nothing stops.
pub(super) fn progress_of(
    call: vxf_progress,
    user_data: *mut c_void,
) -> impl FnMut(u64, u64) -> ControlFlow<()> {
    move |done, total| match call {
        Some(call) => {
            // SAFETY: the caller's function, which by the contract may be called with these arguments now.
            let answer = unsafe { call(done, total, user_data) };
            if answer == 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }
        None => ControlFlow::Continue(()),
    }
}

/// The number of the C interface that the library has, as in its file name: libvoxfeed.so.0.
///
/// A program that was built with another VXF_ABI_VERSION must not use it.
#[unsafe(no_mangle)]
pub extern "C" fn vxf_abi_version() -> u32 {
    VXF_ABI_VERSION
}

/// The version as text, "0.1.0". Borrowed, valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn vxf_version_string() -> *const c_char {
    const TEXT: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    };
    TEXT.as_ptr()
}

/// What this build is made of, as JSON: version, ABI, linked libraries, target. Borrowed, valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn vxf_build_info() -> *const c_char {
    static TEXT: std::sync::OnceLock<std::ffi::CString> = std::sync::OnceLock::new();
    let make = || {
        let library = crate::store::library_version();
        let info = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "abi": vxf_abi_version(),
            "HDF5": library,
            "arch": std::env::consts::ARCH,
            "os": std::env::consts::OS,
        });
        std::ffi::CString::new(info.to_string()).unwrap_or_default()
    };
    TEXT.get_or_init(make).as_ptr()
}

/// The name of a status, "VXF_STATUS_END"; "VXF_STATUS_UNKNOWN" for any other number. Borrowed, for ever.
#[unsafe(no_mangle)]
pub extern "C" fn vxf_status_name(status: vxf_status) -> *const c_char {
    let named = NAMES.iter().find(|(known, _)| *known == status);
    named.map_or(c"VXF_STATUS_UNKNOWN", |(_, name)| name).as_ptr()
}

/// Why the last failing call on this thread failed: one line, never NULL, empty before the first failure.
///
/// A call that succeeds leaves it alone, so look at it only after a negative status, on the same thread.
/// Borrowed, valid until the next failing call on this thread.
#[unsafe(no_mangle)]
pub extern "C" fn vxf_last_error_message() -> *const c_char {
    with_last(|last| last.message.as_ptr()).unwrap_or(c"".as_ptr())
}

/// The parts of this thread's last error that a program may want apart from the text.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_error_info {
    /// Set by the caller: sizeof(vxf_error_info).
    pub struct_size: u32,
    /// The status of the last failing call on this thread.
    pub status: vxf_status,
    /// The operating system's error number, 0 where none.
    pub os_error: i32,
    /// The CUDA driver's result, 0 where none.
    pub device_error: i32,
    /// The sample that failed, by its number within the sampler; -1 where none.
    pub sample: i64,
    /// The file concerned, empty where none. Borrowed like the message.
    pub path: *const c_char,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_error_info {
    const NAME: &'static str = "vxf_error_info";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            status: vxf_status::OK,
            os_error: 0,
            device_error: 0,
            sample: -1,
            path: c"".as_ptr(),
        }
    }
}

/// Writes the parts of this thread's last error; set struct_size first.
///
/// Errors: ERR_ARGUMENT where out is NULL or too small.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_last_error_info(out: *mut vxf_error_info) -> vxf_status {
    guard_done(|| {
        let info = with_last(|last| vxf_error_info {
            status: last.status,
            os_error: last.details.os_error,
            device_error: last.details.device_error,
            sample: last.details.sample.map_or(-1, |sample| sample as i64),
            path: last.path.as_ptr(),
            ..vxf_error_info::initial()
        });
        write_sized(out, info.unwrap_or_else(vxf_error_info::initial))
    })
}

/// The number of CUDA devices; 0, and still OK, where there is no driver.
///
/// Nothing touches CUDA before this call, a loader that asks for a device, vxf_pinned_alloc(), or a prediction on
/// a device.
/// Errors: ERR_ARGUMENT where out is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_cuda_device_count(out: *mut i32) -> vxf_status {
    guard_done(|| write(out, gpu_count().map_or(0, |count| count as i32)))
}
