//! The CUDA devices of this machine.

use crate::error::Result;
use crate::sys::cuda;

/// The number of CUDA devices that the driver shows.
///
/// # Errors
/// `NoDevice` with the reason where there is no driver or it does not start.
pub fn cuda_device_count() -> Result<usize> {
    cuda::device_count()
}
