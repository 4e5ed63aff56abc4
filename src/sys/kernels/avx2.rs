//! The kernels for x86-64 processors with AVX2.

use crate::sys::kernels::table::kernels;

kernels!(#[target_feature(enable = "avx2")]);
