//! Datasets made: volumes written subject by subject, and whole datasets converted in parallel.

mod convert;
mod writer;

pub use convert::{ConvertOptions, Outcome, convert};
pub use writer::{DatasetWriter, Existing, WriterOptions};
