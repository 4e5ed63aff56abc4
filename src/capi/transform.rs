//! vxf_transform: what happens to a sample's voxels.

#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::sync::Arc;

use crate::capi::guard::{guard_done, guard_silent};
use crate::capi::handle::{Noun, borrow, free, give, text};
use crate::capi::status::vxf_status;
use crate::transform::Chain;

/// A chain of steps that is applied to every sample, in order, in the row of its batch.
///
/// It is written as a JSON list of objects, each with a "name", a "category" and its own parameters, or as one:
///
///   {"name": "cast", "category": C, "dtype": "f32", "fit": "exact" | "saturate"}
///   {"name": "scale", "category": C, "slope": a, "offset": b}              x * a + b
///   {"name": "window", "category": C, "low": l, "high": h, "to": [p, q]}   clip to l..h, then l..h to p..q;
///                                                                          "to" is [0, 1] by default
///   {"name": "zscore", "category": C, "mean": m, "std": s}                 (x - m) / s; lists: one a channel
///   {"name": "zscore", "category": C, "statistics": "subject",             each channel's own mean and
///    "voxels": "all" | "nonzero"}                                          population std, of the whole volume
///   {"name": "lookup", "category": C, "map": {"2": 1, "3": 1}, "default": 0 | "keep" | "error"}
///
/// By default "fit" is "exact", a slope 1, an offset 0, "voxels" "all" and a lookup's "default" "error".
/// A category without cast has the dtype that holds all stored values, or the one that the loader's options
/// say. scale, window and zscore need a floating dtype, lookup an integer one: cast first. Threads: any.
pub struct vxf_transform {
    _private: [u8; 0],
}

impl Noun for vxf_transform {
    type Object = Arc<Chain>;
    const NAME: &'static str = "vxf_transform";
    const MAGIC: u64 = 0x7678_665F_7472_616E;
}

/// Reads a chain from JSON. Free with vxf_transform_free().
///
/// Errors: ERR_ARGUMENT where the text is not JSON, or for an unknown step, key or value; the message says
/// which step, and what is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_transform_parse(
    json: *const c_char,
    out: *mut *mut vxf_transform,
) -> vxf_status {
    guard_done(|| give(Arc::new(Chain::parse(text(json, "json")?)?), out))
}

/// Frees the handle; loaders made with it live on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_transform_free(transform: *mut vxf_transform) {
    guard_silent(|| free(transform));
}

/// The chain behind a handle that may be NULL.
pub(super) fn chain(transform: *const vxf_transform) -> crate::error::Result<Arc<Chain>> {
    if transform.is_null() { Ok(Arc::default()) } else { borrow(transform).map(Arc::clone) }
}
