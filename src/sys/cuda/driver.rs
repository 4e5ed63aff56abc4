//! Whether there is a driver, and how many GPUs it shows.

use std::sync::OnceLock;

use cudarc::driver::{result, sys};

use crate::error::{Error, Result};

/// The number of GPUs that the driver shows.
///
/// # Errors
/// `NoDevice` with the reason where there is no driver library or the driver does not start.
pub fn device_count() -> Result<usize> {
    static STARTED: OnceLock<std::result::Result<usize, (String, i32)>> = OnceLock::new();
    let count = STARTED.get_or_init(start);
    count.clone().map_err(|(reason, code)| Error::no_device(reason).with_device_error(code))
}

fn start() -> std::result::Result<usize, (String, i32)> {
    // SAFETY: the call only tries to open the driver library.
    if !unsafe { sys::is_culib_present() } {
        return Err(("libcuda.so.1 not found: no NVIDIA driver is installed".to_owned(), 0));
    }
    let refused = |error: result::DriverError| {
        let code = error.0 as i32;
        (format!("cuInit: the NVIDIA driver does not start, result {code}"), code)
    };
    result::init().map_err(refused)?;
    let count = result::device::get_count().map_err(refused)?;
    usize::try_from(count).map_err(|_| (format!("the NVIDIA driver shows {count} devices"), 0))
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
}
