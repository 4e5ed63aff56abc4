//! What every function returns, and the text that goes with a failure.

#![allow(non_camel_case_types)]

use crate::error::ErrorKind;

/// What a function returns: 0 done, above 0 not an error, below 0 an error. Numbers are never reused.
///
/// So a caller has one rule: negative means failure, and vxf_last_error_message() says why.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_status(pub i32);

impl vxf_status {
    /// Done.
    pub const OK: vxf_status = vxf_status(0);
    /// The epoch is over, or every subject has been given out.
    pub const END: vxf_status = vxf_status(1);
    /// The time is up; nothing was lost, call again.
    pub const TIMEOUT: vxf_status = vxf_status(2);
    /// Not there yet; nothing was waited for.
    pub const NOT_READY: vxf_status = vxf_status(3);
    /// The loader was cancelled, or a progress callback asked to stop.
    pub const CANCELLED: vxf_status = vxf_status(4);
    /// A fault of voxfeed itself, a caught panic too; the object is unusable, freeing it still works.
    pub const ERR_INTERNAL: vxf_status = vxf_status(-1);
    /// A value that makes no sense.
    pub const ERR_ARGUMENT: vxf_status = vxf_status(-2);
    /// A handle that is NULL, freed or of another kind (found out where it can be, not a promise).
    pub const ERR_HANDLE: vxf_status = vxf_status(-3);
    /// A call out of order.
    pub const ERR_STATE: vxf_status = vxf_status(-4);
    /// A sound file or request that this build cannot serve; the message names it.
    pub const ERR_UNSUPPORTED: vxf_status = vxf_status(-5);
    /// Memory could not be had.
    pub const ERR_MEMORY: vxf_status = vxf_status(-6);
    /// An index or region outside, or a number that does not fit the dtype.
    pub const ERR_RANGE: vxf_status = vxf_status(-7);
    /// No such file, dataset, category, entry, subject or split.
    pub const ERR_NOT_FOUND: vxf_status = vxf_status(-8);
    /// The operating system refused; vxf_last_error_info() has its error number.
    pub const ERR_IO: vxf_status = vxf_status(-9);
    /// A file breaks its own format: truncated, bad magic, impossible header.
    pub const ERR_FORMAT: vxf_status = vxf_status(-10);
    /// A budget is too small.
    pub const ERR_LIMIT: vxf_status = vxf_status(-11);
    /// A GPU or its driver failed; vxf_last_error_info() has the driver's result.
    pub const ERR_DEVICE: vxf_status = vxf_status(-12);
    /// No GPU, no driver, or none that can be used.
    pub const ERR_NO_DEVICE: vxf_status = vxf_status(-13);
    /// The object was made before a fork and is used in the child: make it in the child, or spawn.
    pub const ERR_FORKED: vxf_status = vxf_status(-14);
    /// The caller's buffer is too small; where the call has an output for the size needed, it has been written.
    pub const ERR_BUFFER: vxf_status = vxf_status(-15);
}

/// Every status with its name, for vxf_status_name().
pub(super) const NAMES: [(vxf_status, &std::ffi::CStr); 20] = [
    (vxf_status::OK, c"VXF_STATUS_OK"),
    (vxf_status::END, c"VXF_STATUS_END"),
    (vxf_status::TIMEOUT, c"VXF_STATUS_TIMEOUT"),
    (vxf_status::NOT_READY, c"VXF_STATUS_NOT_READY"),
    (vxf_status::CANCELLED, c"VXF_STATUS_CANCELLED"),
    (vxf_status::ERR_INTERNAL, c"VXF_STATUS_ERR_INTERNAL"),
    (vxf_status::ERR_ARGUMENT, c"VXF_STATUS_ERR_ARGUMENT"),
    (vxf_status::ERR_HANDLE, c"VXF_STATUS_ERR_HANDLE"),
    (vxf_status::ERR_STATE, c"VXF_STATUS_ERR_STATE"),
    (vxf_status::ERR_UNSUPPORTED, c"VXF_STATUS_ERR_UNSUPPORTED"),
    (vxf_status::ERR_MEMORY, c"VXF_STATUS_ERR_MEMORY"),
    (vxf_status::ERR_RANGE, c"VXF_STATUS_ERR_RANGE"),
    (vxf_status::ERR_NOT_FOUND, c"VXF_STATUS_ERR_NOT_FOUND"),
    (vxf_status::ERR_IO, c"VXF_STATUS_ERR_IO"),
    (vxf_status::ERR_FORMAT, c"VXF_STATUS_ERR_FORMAT"),
    (vxf_status::ERR_LIMIT, c"VXF_STATUS_ERR_LIMIT"),
    (vxf_status::ERR_DEVICE, c"VXF_STATUS_ERR_DEVICE"),
    (vxf_status::ERR_NO_DEVICE, c"VXF_STATUS_ERR_NO_DEVICE"),
    (vxf_status::ERR_FORKED, c"VXF_STATUS_ERR_FORKED"),
    (vxf_status::ERR_BUFFER, c"VXF_STATUS_ERR_BUFFER"),
];

impl From<ErrorKind> for vxf_status {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Io => Self::ERR_IO,
            ErrorKind::Memory => Self::ERR_MEMORY,
            ErrorKind::Device => Self::ERR_DEVICE,
            ErrorKind::NoDevice => Self::ERR_NO_DEVICE,
            ErrorKind::Format => Self::ERR_FORMAT,
            ErrorKind::Unsupported => Self::ERR_UNSUPPORTED,
            ErrorKind::Argument => Self::ERR_ARGUMENT,
            ErrorKind::Range => Self::ERR_RANGE,
            ErrorKind::NotFound => Self::ERR_NOT_FOUND,
            ErrorKind::Handle => Self::ERR_HANDLE,
            ErrorKind::Buffer => Self::ERR_BUFFER,
            ErrorKind::State => Self::ERR_STATE,
            ErrorKind::Forked => Self::ERR_FORKED,
            ErrorKind::Limit => Self::ERR_LIMIT,
            ErrorKind::Internal => Self::ERR_INTERNAL,
        }
    }
}
