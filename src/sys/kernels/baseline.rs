//! The kernels that every machine of its kind can run.

use crate::sys::kernels::stream::stream_line;
use crate::sys::kernels::table::kernels;

kernels!();
