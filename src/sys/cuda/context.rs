//! A device's primary context, which all libraries of a process share.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::sys::cuda::driver::{Driver, Handle, driver};

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
    /// # Errors
    /// `Device` where the driver refuses, as it does when the process ends; `Forked`.
    pub fn enter(&'static self) -> Result<Current> {
        self.driver.check_process()?;
        // SAFETY: the context is retained for ever.
        self.driver.check("cuCtxPushCurrent", unsafe { (self.driver.cuCtxPushCurrent)(self.raw) })?;
        Ok(Current { context: self, pushed: true, here: PhantomData })
    }

    /// Makes it the context of a thread of our own, for good.
    ///
    /// # Errors
    /// `Device` where the driver refuses; `Forked`.
    pub fn settle(&'static self) -> Result<Current> {
        self.driver.check_process()?;
        // SAFETY: the context is retained for ever.
        self.driver.check("cuCtxSetCurrent", unsafe { (self.driver.cuCtxSetCurrent)(self.raw) })?;
        Ok(Current { context: self, pushed: false, here: PhantomData })
    }
}

/// The proof that a context is the calling thread's.
#[derive(Debug)]
pub struct Current {
    context: &'static Context,
    pushed: bool,
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
}

impl Drop for Current {
    fn drop(&mut self) {
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
