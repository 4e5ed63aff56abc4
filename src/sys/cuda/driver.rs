//! The driver's functions, looked up in its library when a GPU is first asked for.
//!
//! A table of our own: the crates that have one end the process where a library lacks a function, and make
//! their context current on threads that are not theirs.
#![expect(non_snake_case, reason = "the driver's functions keep their names")]

use std::error::Error as StdError;
use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use libloading::Library;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::Process;

/// What the driver calls a context, a stream, an event, a module or a function: a number to us.
pub(super) type Handle = usize;

/// A place in a device's memory.
pub(super) type Address = u64;

/// The names under which the library is looked for; containers often have only the first, and in the Windows
/// subsystem for Linux it may be on no path.
const LIBRARIES: [&str; 3] = ["libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1"];

/// The oldest driver that is used: CUDA 11.4, as the driver writes it.
const OLDEST: i32 = 11040;

/// The results that have a kind of their own.
pub(super) const OUT_OF_MEMORY: i32 = 2;
const NOT_INITIALIZED: i32 = 3;
const DEINITIALIZED: i32 = 4;
const DEVICE_UNAVAILABLE: i32 = 46;
const NO_DEVICE: i32 = 100;
const INVALID_DEVICE: i32 = 101;
pub(super) const NOT_READY: i32 = 600;
pub(super) const CAPTURE_IMPLICIT: i32 = 906;

/// The results after which nothing works in this process any more.
const LOST: [i32; 14] = [214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 721];

macro_rules! driver_functions {
    ($($name:ident = $symbol:literal ( $($argument:ty),* );)*) => {
        /// The functions of the driver's library.
        pub(super) struct Driver {
            $(pub(super) $name: unsafe extern "system" fn($($argument),*) -> i32,)*
            process: Process,
            _library: Library,
        }

        impl Driver {
            fn of(library: Library, name: &str) -> std::result::Result<Self, String> {
                let missing = |symbol: &str| {
                    format!("{name} has no function {symbol}: the NVIDIA driver is too old, expected CUDA 11.4 or newer")
                };
                $(
                    // SAFETY: in every driver since CUDA 11 the function of this name has this signature.
                    let found = unsafe {
                        library.get::<unsafe extern "system" fn($($argument),*) -> i32>($symbol.as_bytes())
                    };
                    let $name = *found.map_err(|_| missing($symbol))?;
                )*
                Ok(Self { $($name,)* process: Process::current(), _library: library })
            }
        }
    };
}

driver_functions! {
    cuInit = "cuInit"(u32);
    cuDriverGetVersion = "cuDriverGetVersion"(*mut i32);
    cuGetErrorName = "cuGetErrorName"(i32, *mut *const c_char);
    cuGetErrorString = "cuGetErrorString"(i32, *mut *const c_char);
    cuDeviceGetCount = "cuDeviceGetCount"(*mut i32);
    cuDeviceGet = "cuDeviceGet"(*mut i32, i32);
    cuDeviceGetName = "cuDeviceGetName"(*mut c_char, i32, i32);
    cuDevicePrimaryCtxRetain = "cuDevicePrimaryCtxRetain"(*mut Handle, i32);
    cuDevicePrimaryCtxGetState = "cuDevicePrimaryCtxGetState"(i32, *mut u32, *mut i32);
    cuCtxPushCurrent = "cuCtxPushCurrent_v2"(Handle);
    cuCtxPopCurrent = "cuCtxPopCurrent_v2"(*mut Handle);
    cuCtxGetCurrent = "cuCtxGetCurrent"(*mut Handle);
    cuCtxSetCurrent = "cuCtxSetCurrent"(Handle);
    cuCtxGetDevice = "cuCtxGetDevice"(*mut i32);
    cuCtxSynchronize = "cuCtxSynchronize"();
    cuThreadExchangeStreamCaptureMode = "cuThreadExchangeStreamCaptureMode"(*mut i32);
    cuPointerGetAttributes = "cuPointerGetAttributes"(u32, *mut i32, *mut *mut c_void, Address);
    cuMemGetInfo = "cuMemGetInfo_v2"(*mut usize, *mut usize);
    cuMemHostAlloc = "cuMemHostAlloc"(*mut *mut c_void, usize, u32);
    cuMemFreeHost = "cuMemFreeHost"(*mut c_void);
    cuMemAlloc = "cuMemAlloc_v2"(*mut Address, usize);
    cuMemFree = "cuMemFree_v2"(Address);
    cuMemcpyHtoDAsync = "cuMemcpyHtoDAsync_v2"(Address, *const c_void, usize, Handle);
    cuMemcpyDtoHAsync = "cuMemcpyDtoHAsync_v2"(*mut c_void, Address, usize, Handle);
    cuMemsetD8Async = "cuMemsetD8Async"(Address, u8, usize, Handle);
    cuStreamCreate = "cuStreamCreate"(*mut Handle, u32);
    cuCtxGetStreamPriorityRange = "cuCtxGetStreamPriorityRange"(*mut i32, *mut i32);
    cuStreamCreateWithPriority = "cuStreamCreateWithPriority"(*mut Handle, u32, i32);
    cuStreamGetCtx = "cuStreamGetCtx"(Handle, *mut Handle);
    cuStreamIsCapturing = "cuStreamIsCapturing"(Handle, *mut i32);
    cuStreamDestroy = "cuStreamDestroy_v2"(Handle);
    cuStreamSynchronize = "cuStreamSynchronize"(Handle);
    cuStreamWaitEvent = "cuStreamWaitEvent"(Handle, Handle, u32);
    cuEventCreate = "cuEventCreate"(*mut Handle, u32);
    cuEventDestroy = "cuEventDestroy_v2"(Handle);
    cuEventRecord = "cuEventRecord"(Handle, Handle);
    cuEventQuery = "cuEventQuery"(Handle);
    cuEventSynchronize = "cuEventSynchronize"(Handle);
    cuModuleLoadDataEx = "cuModuleLoadDataEx"(*mut Handle, *const c_void, u32, *mut i32, *mut *mut c_void);
    cuModuleGetFunction = "cuModuleGetFunction"(*mut Handle, Handle, *const c_char);
    cuLaunchKernel = "cuLaunchKernel"(
        Handle, u32, u32, u32, u32, u32, u32, u32, Handle, *mut *mut c_void, *mut *mut c_void
    );
}

/// Whether an error says that nothing works on memory of a device's any more, as far as this process can tell.
pub fn is_all_over(error: &Error) -> bool {
    let code = error.details().device_error;
    error.kind() == ErrorKind::Forked || code == DEINITIALIZED || LOST.contains(&code)
}

/// The driver, started; looked for once, on the first call.
///
/// # Errors
/// `NoDevice` with the reason where there is no driver, or none that can be used; `Forked` in a child of the
/// process that started it.
pub(super) fn driver() -> Result<&'static Driver> {
    static STARTED: OnceLock<std::result::Result<Driver, (String, i32)>> = OnceLock::new();
    match STARTED.get_or_init(start) {
        Ok(driver) => driver.check_process().map(|()| driver),
        Err((reason, code)) => {
            let kind = if *code == NOT_INITIALIZED { ErrorKind::Forked } else { ErrorKind::NoDevice };
            Err(Error::new(kind, reason.clone()).with_device_error(*code))
        }
    }
}

/// The driver's library, and the name that it was found under.
fn open() -> std::result::Result<(Library, &'static str), String> {
    let mut refused = None;
    for name in LIBRARIES {
        // SAFETY: opening the driver's library runs its initialisers, which every CUDA program relies on.
        match unsafe { Library::new(name) } {
            Ok(library) => return Ok((library, name)),
            Err(error) => {
                let said = StdError::source(&error).unwrap_or(&error).to_string();
                // A library that is there and cannot be opened says more than those that are not.
                refused = refused.or_else(|| (!said.contains("No such file")).then_some(said));
            }
        }
    }
    Err(match refused {
        None => "libcuda.so.1 not found: no NVIDIA driver is installed".to_owned(),
        Some(said) => format!(
            "the NVIDIA driver's library cannot be opened: {said} (in a container: is it run with its GPUs?)"
        ),
    })
}

fn start() -> std::result::Result<Driver, (String, i32)> {
    let (library, name) = open().map_err(|reason| (reason, 0))?;
    let driver = Driver::of(library, name).map_err(|reason| (reason, 0))?;
    // SAFETY: the flags are 0, as they must be.
    let code = unsafe { (driver.cuInit)(0) };
    if code != 0 {
        let said = driver.say("cuInit", code);
        let meaning = match code {
            NO_DEVICE => "the NVIDIA driver shows no device (CUDA_VISIBLE_DEVICES may hide them)",
            NOT_INITIALIZED => {
                "the NVIDIA driver does not start, as in a child of a process that uses CUDA: spawn processes \
                 instead of forking them (multiprocessing.set_start_method(\"spawn\"))"
            }
            34 => "the CUDA toolkit's stub was found in place of the NVIDIA driver's libcuda.so.1",
            802 => "the NVIDIA driver is not ready: is the fabric manager running?",
            803 => "the NVIDIA driver's library and its kernel module are of different versions",
            804 => "the CUDA compatibility library does not work on this device: take it off LD_LIBRARY_PATH",
            _ => "the NVIDIA driver does not start",
        };
        return Err((format!("{meaning}: {said}"), code));
    }
    let mut version = 0;
    // SAFETY: the place for the result is ours.
    let code = unsafe { (driver.cuDriverGetVersion)(&raw mut version) };
    if code != 0 {
        return Err((driver.say("cuDriverGetVersion", code), code));
    }
    if version < OLDEST {
        let (major, minor) = (version / 1000, version % 1000 / 10);
        return Err((format!("the NVIDIA driver is for CUDA {major}.{minor}, expected 11.4 or newer"), 0));
    }
    Ok(driver)
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Driver")
    }
}

impl Driver {
    /// Refuses to work in a child of the process that started the driver.
    pub(super) fn check_process(&self) -> Result<()> {
        if self.process.is_another() {
            return Err(Error::forked(
                "the CUDA driver was started before a fork, and does not work in the child: ask for a GPU in \
                 the child first, or spawn processes instead of forking them",
            ));
        }
        Ok(())
    }

    /// Makes an error of a result that is not 0.
    pub(super) fn check(&self, function: &str, code: i32) -> Result<()> {
        if code == 0 { Ok(()) } else { Err(self.error(function, code)) }
    }

    /// The error that a function's result stands for.
    pub(super) fn error(&self, function: &str, code: i32) -> Error {
        let mut text = self.say(function, code);
        let kind = match code {
            OUT_OF_MEMORY => ErrorKind::Memory,
            NO_DEVICE | INVALID_DEVICE => ErrorKind::NoDevice,
            _ => ErrorKind::Device,
        };
        if LOST.contains(&code) {
            let cause = match code {
                214 | 220 | 226 => "the device or its link went wrong",
                709 => "somebody destroyed or reset it",
                _ => "a kernel went wrong",
            };
            text.push_str(&format!("; this process's CUDA context is lost: {cause}: end the process"));
        }
        if code == DEVICE_UNAVAILABLE {
            text.push_str("; the device is for one process at a time (its compute mode), and another has it");
        }
        Error::new(kind, text).with_device_error(code)
    }

    /// The function, and the name, number and meaning of its result.
    fn say(&self, function: &str, code: i32) -> String {
        let text = |look: unsafe extern "system" fn(i32, *mut *const c_char) -> i32| {
            let mut text = std::ptr::null();
            // SAFETY: the place for the result is ours.
            let known = unsafe { look(code, &raw mut text) } == 0 && !text.is_null();
            // SAFETY: the driver's texts end in NUL and live as long as its library, which is never closed.
            known.then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
        };
        let name = text(self.cuGetErrorName).unwrap_or_else(|| "an unknown result".to_owned());
        let meaning = text(self.cuGetErrorString).map(|text| format!(": {text}")).unwrap_or_default();
        format!("{function} gave {name} ({code}){meaning}")
    }
}
