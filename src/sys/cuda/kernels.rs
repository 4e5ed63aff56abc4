//! The library's kernels: text that the driver compiles for the device at hand.

use std::ffi::{CStr, c_void};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::sys::cuda::driver::Handle;
use crate::sys::cuda::{Context, Current, StreamHandle};

/// The text of the kernels; made of the source beside it, which names the command.
const TEXT: &str = concat!(include_str!("kernels/kernels.ptx"), "\0");

/// The threads of a block.
const THREADS: u64 = 256;

/// The most blocks along a row or channel; threads go on to what is beyond.
const MOST_ACROSS: u64 = 4096;

/// The most blocks across rows and channels; likewise.
const MOST_DOWN: u64 = 65535;

/// The options for the buffer that the driver's compiler complains into, and for its length.
const ERROR_LOG: [i32; 2] = [5, 6];

/// The most bytes of such a complaint.
const LOG_BYTES: usize = 1024;

/// The results of a driver that does not compile the text for its device: an image that it does not know, a device
/// or a version of the text that it has no way for, a text that it refuses, a compiler that is not installed or is
/// forbidden.
const NOT_COMPILED: [i32; 6] = [200, 209, 218, 221, 222, 223];

/// The kernels on one device.
#[derive(Debug)]
pub struct Kernels {
    context: &'static Context,
    pub(super) convert: Handle,
    pub(super) accumulate: Handle,
}

/// The devices that have them; for ever, as their contexts are.
static LOADED: Mutex<Vec<&'static Kernels>> = Mutex::new(Vec::new());

impl Kernels {
    /// The kernels on the current device; the first call compiles them.
    ///
    /// # Errors
    /// `Device` where the driver refuses the text; `Memory`.
    pub fn of(current: &Current) -> Result<&'static Self> {
        let context = current.context();
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = loaded.iter().find(|kernels| std::ptr::eq(kernels.context, context)) {
            return Ok(known);
        }
        let (driver, module) = (context.driver, load(context)?);
        let entry = |name: &CStr| {
            let mut function = 0;
            // SAFETY: the module is loaded, the name ends in NUL, and the place for the result is ours.
            let code = unsafe { (driver.cuModuleGetFunction)(&raw mut function, module, name.as_ptr()) };
            driver.check("cuModuleGetFunction", code).map(|()| function)
        };
        let (convert, accumulate) = (entry(c"voxfeed_convert")?, entry(c"voxfeed_accumulate")?);
        let kernels: &'static Self = Box::leak(Box::new(Self { context, convert, accumulate }));
        loaded.push(kernels);
        Ok(kernels)
    }

    /// Whether the driver compiles the kernels for the current device; the first call does so.
    ///
    /// # Errors
    /// `Device` where it fails for another reason; `Memory`.
    pub fn are_compiled(current: &Current) -> Result<bool> {
        match Self::of(current) {
            Ok(_) => Ok(true),
            Err(error) if NOT_COMPILED.contains(&error.details().device_error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a kernel to a stream: threads for so many elements across and so many rows of them.
    ///
    /// # Safety
    /// `arguments` is the struct that the kernel takes, and its addresses hold what it says of them until the
    /// work is past.
    pub(super) unsafe fn launch<T>(
        &self,
        function: Handle,
        stream: StreamHandle,
        (across, down): (u64, u64),
        arguments: &T,
    ) -> Result<()> {
        let across = across.div_ceil(THREADS).clamp(1, MOST_ACROSS) as u32;
        let down = down.clamp(1, MOST_DOWN) as u32;
        let mut places = [std::ptr::from_ref(arguments).cast_mut().cast::<c_void>()];
        let (places, extra) = (places.as_mut_ptr(), std::ptr::null_mut());
        let driver = self.context.driver;
        // SAFETY: by this function's own contract; the driver copies the arguments before it returns.
        let code = unsafe {
            (driver.cuLaunchKernel)(
                function,
                across,
                down,
                1,
                THREADS as u32,
                1,
                1,
                0,
                stream.0,
                places,
                extra,
            )
        };
        driver.check("cuLaunchKernel", code)
    }
}

/// The module of the text; what the driver's compiler says of it is part of the error.
fn load(context: &Context) -> Result<Handle> {
    let (driver, mut module, mut log) = (context.driver, 0, [0u8; LOG_BYTES]);
    let (buffer, len) = (log.as_mut_ptr().cast(), std::ptr::without_provenance_mut(LOG_BYTES));
    let (mut options, mut values) = (ERROR_LOG, [buffer, len]);
    let (count, options, values) = (options.len() as u32, options.as_mut_ptr(), values.as_mut_ptr());
    // SAFETY: the text ends in NUL, each option has its value, the log is as long as said and outlives the call,
    // and the place for the result is ours.
    let code =
        unsafe { (driver.cuModuleLoadDataEx)(&raw mut module, TEXT.as_ptr().cast(), count, options, values) };
    driver.check("cuModuleLoadDataEx", code).map_err(|error| {
        let said = CStr::from_bytes_until_nul(&log).map(CStr::to_string_lossy).unwrap_or_default();
        let lines: Vec<_> = said.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect();
        match lines.as_slice() {
            [] => error,
            _ => {
                let text = format!("{}: {}", error.message(), lines.join("; "));
                Error::new(error.kind(), text).with_device_error(code)
            }
        }
    })?;
    Ok(module)
}

/// A number of elements as kernels count them.
pub(super) fn counted(number: usize) -> Result<u32> {
    let most = |_| Error::unsupported(format!("{number} elements at once are more than a kernel counts"));
    i32::try_from(number).map(i32::cast_unsigned).map_err(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_made_of_the_source() {
        let source = include_str!("kernels/kernels.cu");
        let hash = source.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let named = format!("// kernels.cu, FNV-1a {hash:016x}\n");
        assert!(
            TEXT.starts_with(&named),
            "kernels.ptx is not made of this kernels.cu: see kernels/README.md"
        );
    }

    #[test]
    fn the_text_asks_for_an_old_driver_and_rounds_each_operation() {
        assert!(TEXT.contains(".version 4.1") && TEXT.contains(".target sm_50"));
        for name in ["voxfeed_convert", "voxfeed_accumulate"] {
            assert!(TEXT.contains(&format!(".visible .entry {name}(")));
        }
        for part in ["fma", ".ftz", ".approx", "mul.f32", "add.f32", "mul.f64", "add.f64"] {
            assert!(!TEXT.contains(part), "{part}");
        }
    }

    #[test]
    fn numbers_that_a_kernel_cannot_count_are_refused() {
        assert_eq!(counted(1 << 30).unwrap(), 1 << 30);
        counted(1 << 31).unwrap_err();
    }
}
