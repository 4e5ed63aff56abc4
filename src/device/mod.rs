//! Where bytes lie: so far host memory, and the question what else there is.

mod cuda;

pub use cuda::cuda_device_count;
