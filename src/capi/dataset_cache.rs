//! What a dataset keeps decoded: filled ahead of time, and let go.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use crate::capi::dataset::vxf_dataset;
use crate::capi::guard::{guard, guard_done};
use crate::capi::handle::borrow;
use crate::capi::library::{progress_of, vxf_progress};
use crate::capi::status::vxf_status;
use crate::sys::core_count;

/// Decodes all chunks and compressed volumes of the subjects into the cache, so that no epoch waits for it.
///
/// threads: 0 is one for each core. progress is told of the parts that are done, at most about a thousand
/// times, on this thread; it may be NULL. Files that are read as they are stored (.npy, .nii, contiguous HDF5)
/// need no decoding. A split or subset shares the cache of the dataset that it was taken from.
///
/// Gives CANCELLED where progress asked to stop; what was decoded so far stays.
/// Errors: ERR_LIMIT, before anything is decoded, where cache_bytes is too small; as the reading of the volumes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_preload(
    dataset: *const vxf_dataset,
    threads: u32,
    progress: vxf_progress,
    user_data: *mut c_void,
) -> vxf_status {
    guard(|| {
        let dataset = borrow(dataset)?.now();
        let threads = if threads == 0 { core_count() } else { threads as usize };
        let mut report = progress_of(progress, user_data);
        let complete = dataset.preload(threads.min(THREAD_LIMIT), &mut report)?;
        Ok(if complete { vxf_status::OK } else { vxf_status::CANCELLED })
    })
}

/// The most threads that preloading starts.
const THREAD_LIMIT: usize = 256;

/// Lets the decoded bytes go that nobody reads at the moment; what is wanted again is decoded again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_dataset_evict(dataset: *const vxf_dataset) -> vxf_status {
    guard_done(|| {
        borrow(dataset)?.now().context().decoded.clear();
        Ok(())
    })
}
