//! The CUDA driver, opened at run time; nothing here is touched before somebody asks for a GPU.

mod driver;

pub use driver::device_count;
