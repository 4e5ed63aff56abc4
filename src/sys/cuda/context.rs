//! A device's primary context, which all libraries of a process share.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::sys::cuda::StreamHandle;
use crate::sys::cuda::driver::{Driver, Handle, driver};

/// What a thread may do while a stream is being captured into a graph: all that does not touch the capture.
const RELAXED: i32 = 2;

/// The number of GPUs that the driver shows.
///
/// # Errors
/// `NoDevice` with the reason where there is no driver, or none that can be used.
pub fn device_count() -> Result<usize> {
    let driver = driver()?;
    let mut count = 0;
    // SAFETY: the place for the result is ours.
    driver.check("cuDeviceGetCount", unsafe { (driver.cuDeviceGetCount)(&raw mut count) })?;
    usize::try_from(count).map_err(|_| Error::no_device(format!("the NVIDIA driver shows {count} devices")))
}

/// A device's primary context; retained once in a process, and never let go of, since others may use it.
#[derive(Debug)]
pub struct Context {
    pub(super) driver: &'static Driver,
    ordinal: i32,
    raw: Handle,
}

/// The contexts that this process has retained.
static RETAINED: Mutex<Vec<&'static Context>> = Mutex::new(Vec::new());

impl Context {
    /// The context of the device of this number.
    ///
    /// # Errors
    /// `NoDevice` where there is no such device; `Device` or `Memory` where the driver makes no context.
    pub fn of(ordinal: i32) -> Result<&'static Self> {
        let count = device_count()?;
        if usize::try_from(ordinal).ok().is_none_or(|number| number >= count) {
            let shown = match count {
                0 => "no device".to_owned(),
                1 => "only device 0".to_owned(),
                _ => format!("devices 0 to {}", count - 1),
            };
            return Err(Error::no_device(format!(
                "there is no CUDA device {ordinal}: the NVIDIA driver shows {shown} (CUDA_VISIBLE_DEVICES may \
                 hide others)"
            )));
        }
        let mut retained = RETAINED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = retained.iter().find(|context| context.ordinal == ordinal) {
            return Ok(known);
        }
        let driver = driver()?;
        let (mut device, mut raw) = (0, 0);
        // SAFETY: the place for the result is ours.
        driver.check("cuDeviceGet", unsafe { (driver.cuDeviceGet)(&raw mut device, ordinal) })?;
        // SAFETY: the device is the driver's own, and the place for the result is ours.
        let code = unsafe { (driver.cuDevicePrimaryCtxRetain)(&raw mut raw, device) };
        driver.check("cuDevicePrimaryCtxRetain", code)?;
        let context: &'static Self = Box::leak(Box::new(Self { driver, ordinal, raw }));
        retained.push(context);
        Ok(context)
    }

    /// A context for memory that belongs to no device: the thread's, else one that is retained, else device 0's.
    ///
    /// # Errors
    /// Those of [`Context::of`].
    pub fn any() -> Result<&'static Self> {
        let driver = driver()?;
        let mut device = 0;
        // SAFETY: the place for the result is ours.
        if unsafe { (driver.cuCtxGetDevice)(&raw mut device) } == 0 {
            // What the driver calls a device is its number, in all its versions.
            return Self::of(device);
        }
        let known = RETAINED.lock().unwrap_or_else(PoisonError::into_inner).first().copied();
        known.map_or_else(|| Self::of(0), Ok)
    }

    /// The context of the calling thread; none where it has none.
    ///
    /// # Errors
    /// `Argument` where it is not its device's primary one; `Device` where the driver refuses.
    pub fn of_thread() -> Result<Option<&'static Self>> {
        let (driver, mut raw) = (driver()?, 0);
        // SAFETY: the place for the result is ours.
        driver.check("cuCtxGetCurrent", unsafe { (driver.cuCtxGetCurrent)(&raw mut raw) })?;
        if raw == 0 { Ok(None) } else { Self::known_as(driver, raw).map(Some) }
    }

    /// The context that a stream belongs to; a default stream's is the current one.
    ///
    /// # Errors
    /// `Argument` where it is not its device's primary one; `Device` where the driver does not know the stream.
    pub fn of_stream(current: &Current, stream: StreamHandle) -> Result<&'static Self> {
        if stream.is_default() {
            return Ok(current.context());
        }
        let (driver, mut raw) = (current.context().driver, 0);
        // SAFETY: who made the stream's handle promised that it lives, and the place for the result is ours.
        driver.check("cuStreamGetCtx", unsafe { (driver.cuStreamGetCtx)(stream.0, &raw mut raw) })?;
        Self::known_as(driver, raw)
    }

    /// The primary context that the driver knows by this handle.
    fn known_as(driver: &Driver, raw: Handle) -> Result<&'static Self> {
        let retained = RETAINED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = retained.iter().find(|context| context.raw == raw).copied();
        drop(retained);
        if let Some(known) = known {
            return Ok(known);
        }
        let (mut device, mut popped, mut flags, mut is_active) = (0, 0, 0, 0);
        // SAFETY: the driver gave this context as one that is in use.
        driver.check("cuCtxPushCurrent", unsafe { (driver.cuCtxPushCurrent)(raw) })?;
        // SAFETY: the place for the result is ours.
        let asked = driver.check("cuCtxGetDevice", unsafe { (driver.cuCtxGetDevice)(&raw mut device) });
        // SAFETY: pushed above on this thread; the place for the result is ours.
        driver.check("cuCtxPopCurrent", unsafe { (driver.cuCtxPopCurrent)(&raw mut popped) })?;
        asked?;
        // Asked first, since retaining a primary context that is not there would make it.
        // SAFETY: the places for the results are ours.
        let code = unsafe { (driver.cuDevicePrimaryCtxGetState)(device, &raw mut flags, &raw mut is_active) };
        driver.check("cuDevicePrimaryCtxGetState", code)?;
        if is_active != 0 {
            // What the driver calls a device is its number, in all its versions.
            let primary = Self::of(device)?;
            if primary.raw == raw {
                return Ok(primary);
            }
        }
        Err(Error::argument(format!(
            "the stream belongs to a CUDA context that is not the primary one of device {device}, and that may be \
             destroyed at any time: use a stream of the primary context, which the CUDA runtime uses, or wait \
             with (void *)-1 and be done with the batch before its release"
        )))
    }

    /// The device's number.
    pub fn ordinal(&self) -> i32 {
        self.ordinal
    }

    /// The device's name; empty where the driver does not say.
    pub fn device_name(&self) -> String {
        const ROOM: i32 = 256;
        let mut name: [c_char; ROOM as usize] = [0; ROOM as usize];
        // SAFETY: the driver writes ROOM bytes at most, a NUL among them.
        if unsafe { (self.driver.cuDeviceGetName)(name.as_mut_ptr(), ROOM, self.ordinal) } != 0 {
            return String::new();
        }
        let bytes: &[u8] = bytemuck::cast_slice(&name);
        CStr::from_bytes_until_nul(bytes)
            .map_or_else(|_| String::new(), |name| name.to_string_lossy().into_owned())
    }

    /// Makes it the thread's context until the result is dropped, when the one before is back.
    ///
    /// Meanwhile the thread does not disturb streams that others are capturing into graphs.
    ///
    /// # Errors
    /// `Device` where the driver refuses, as it does when the process ends; `Forked`.
    pub fn enter(&'static self) -> Result<Current> {
        self.driver.check_process()?;
        // SAFETY: the context is retained for ever.
        self.driver.check("cuCtxPushCurrent", unsafe { (self.driver.cuCtxPushCurrent)(self.raw) })?;
        let mut current = Current { context: self, pushed: true, before: None, here: PhantomData };
        current.before = Some(self.relax()?);
        Ok(current)
    }

    /// Makes it the context of a thread of our own, for good.
    ///
    /// # Errors
    /// `Device` where the driver refuses; `Forked`.
    pub fn settle(&'static self) -> Result<Current> {
        self.driver.check_process()?;
        // SAFETY: the context is retained for ever.
        self.driver.check("cuCtxSetCurrent", unsafe { (self.driver.cuCtxSetCurrent)(self.raw) })?;
        self.relax()?;
        Ok(Current { context: self, pushed: false, before: None, here: PhantomData })
    }

    /// Lets the thread go on while others capture streams into graphs; how it was before.
    ///
    /// Otherwise a query or an allocation on any thread breaks every capture that is under way in the process.
    fn relax(&self) -> Result<i32> {
        let mut mode = RELAXED;
        // SAFETY: the place is ours, and holds one of the modes.
        let code = unsafe { (self.driver.cuThreadExchangeStreamCaptureMode)(&raw mut mode) };
        self.driver.check("cuThreadExchangeStreamCaptureMode", code).map(|()| mode)
    }
}

/// The proof that a context is the calling thread's.
#[derive(Debug)]
pub struct Current {
    context: &'static Context,
    pushed: bool,
    /// How the thread was before towards captures, to be so again.
    before: Option<i32>,
    /// It must not go to another thread.
    here: PhantomData<*mut ()>,
}

impl Current {
    /// The context.
    pub fn context(&self) -> &'static Context {
        self.context
    }

    /// The bytes of the device's memory that are free, and all.
    ///
    /// # Errors
    /// `Device` where the driver does not say.
    pub fn memory(&self) -> Result<(usize, usize)> {
        let (mut free, mut total) = (0, 0);
        let driver = self.context.driver;
        // SAFETY: the places for the results are ours.
        let code = unsafe { (driver.cuMemGetInfo)(&raw mut free, &raw mut total) };
        driver.check("cuMemGetInfo", code)?;
        Ok((free, total))
    }

    /// Waits until everything is done that anybody has given to any stream of the context.
    ///
    /// # Errors
    /// `Device` where work failed, or a stream of the context is being captured into a graph.
    pub fn synchronize_all(&self) -> Result<()> {
        let driver = self.context.driver;
        // SAFETY: it is said of the thread's context, which is this one.
        driver.check("cuCtxSynchronize", unsafe { (driver.cuCtxSynchronize)() })
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        if let Some(mut mode) = self.before.take() {
            // SAFETY: the place is ours, and holds the mode that the thread had.
            let _ = unsafe { (self.context.driver.cuThreadExchangeStreamCaptureMode)(&raw mut mode) };
        }
        if self.pushed {
            let mut popped = 0;
            // A driver that has gone has no stack of contexts to be kept in order.
            // SAFETY: pushed by `enter` on this thread, and popped once; the place for the result is ours.
            let _ = unsafe { (self.context.driver.cuCtxPopCurrent)(&raw mut popped) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_machine_without_a_driver_is_told_so() {
        match device_count() {
            Ok(count) => assert!(count < 1000),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NoDevice),
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_no_device() {
        for ordinal in [-1, 100_000] {
            assert_eq!(Context::of(ordinal).unwrap_err().kind(), ErrorKind::NoDevice);
        }
    }
}
