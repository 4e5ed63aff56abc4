//! The log: what is no error, and would otherwise happen in silence.

#![allow(non_camel_case_types)]

use std::ffi::{CString, c_char, c_void};

use crate::capi::dataset::unknown;
use crate::capi::guard::guard_done;
use crate::capi::status::vxf_status;
use crate::error::Result;
use crate::log::{Delivery, Listener, LogLevel, process_events, set_listener};

/// How much a line of the log matters.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_log_level(pub i32);

impl vxf_log_level {
    /// Something is lost, and no call could return an error for it.
    pub const ERROR: vxf_log_level = vxf_log_level(1);
    /// It goes on, but not as you would want it to.
    pub const WARNING: vxf_log_level = vxf_log_level(2);
    /// What the library has decided by itself.
    pub const INFO: vxf_log_level = vxf_log_level(3);
}

/// When and where the log calls back.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_log_mode(pub i32);

impl vxf_log_mode {
    /// At once, on any thread, the library's own too, and on several at a time.
    pub const DIRECT: vxf_log_mode = vxf_log_mode(0);
    /// Lines wait for vxf_process_events(), 256 at most: then the oldest go, and their number is told.
    pub const QUEUED: vxf_log_mode = vxf_log_mode(1);
}

/// Told one line of text, without its end, that is borrowed for the call.
///
/// It may not unwind or jump out. Called directly it must be quick, and call no function of this library;
/// called by vxf_process_events() it may call all but that one and vxf_set_log(), which give ERR_STATE.
pub type vxf_log =
    Option<unsafe extern "C" fn(level: vxf_log_level, line: *const c_char, user_data: *mut c_void)>;

/// The caller's function with what is given to it.
struct Caller {
    call: unsafe extern "C" fn(level: vxf_log_level, line: *const c_char, user_data: *mut c_void),
    user_data: *mut c_void,
}

// SAFETY: by the contract of `vxf_set_log` the function may be called with its data on any thread.
unsafe impl Send for Caller {}
// SAFETY: as above, and by several threads at a time.
unsafe impl Sync for Caller {}

impl Caller {
    fn hear(&self, level: LogLevel, line: &str) {
        let level = match level {
            LogLevel::Error => vxf_log_level::ERROR,
            LogLevel::Warning => vxf_log_level::WARNING,
            LogLevel::Info => vxf_log_level::INFO,
        };
        let line = CString::new(line).unwrap_or_default();
        // SAFETY: the caller's function, set and not yet taken back; the text lives during the call.
        unsafe { (self.call)(level, line.as_ptr(), self.user_data) };
    }
}

fn listener(
    level: vxf_log_level,
    mode: vxf_log_mode,
    call: vxf_log,
    user_data: *mut c_void,
) -> Result<Option<Listener>> {
    let Some(call) = call else { return Ok(None) };
    let least = match level {
        vxf_log_level::ERROR => LogLevel::Error,
        vxf_log_level::WARNING => LogLevel::Warning,
        vxf_log_level::INFO => LogLevel::Info,
        other => return Err(unknown("level", other.0)),
    };
    let delivery = match mode {
        vxf_log_mode::DIRECT => Delivery::Direct,
        vxf_log_mode::QUEUED => Delivery::Queued,
        other => return Err(unknown("mode", other.0)),
    };
    let caller = Caller { call, user_data };
    let hear = Box::new(move |level, line: &str| caller.hear(level, line));
    Ok(Some(Listener { least, delivery, hear }))
}

/// Sets who is told the lines of this level and of those that matter more; NULL for nobody, as at first.
///
/// There is one for the whole process. Lines are about what no call returns: what the library has decided by
/// itself, batches that are all held while one is waited for, memory that is never given back. With the
/// variable VXF_LOG (error, warn or info) they are printed to the standard error besides.
///
/// When it returns, calls of the function that was set before have ended, on whichever thread, so its
/// user_data may be freed; lines that wait for vxf_process_events() are gone.
/// Threads: any. Errors: ERR_ARGUMENT for an unknown level or mode; ERR_STATE inside the log's own function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_set_log(
    level: vxf_log_level,
    mode: vxf_log_mode,
    callback: vxf_log,
    user_data: *mut c_void,
) -> vxf_status {
    guard_done(|| set_listener(listener(level, mode, callback, user_data)?))
}

/// Tells the lines that wait under VXF_LOG_MODE_QUEUED, on this thread; nothing happens where there are none.
///
/// For hosts that cannot be called on any thread: call it where it suits you, such as once a batch.
/// Threads: any; of several at a time each tells some of the lines. Errors: ERR_STATE inside the log's function.
#[unsafe(no_mangle)]
pub extern "C" fn vxf_process_events() -> vxf_status {
    guard_done(process_events)
}
