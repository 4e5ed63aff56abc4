//! vxf_stream: batches on a CUDA device, in order with the caller's own work there.

#![allow(non_camel_case_types)]

use std::ffi::c_void;

use crate::capi::batch::vxf_batch;
use crate::capi::guard::{guard, guard_done};
use crate::capi::handle::{borrow, check_place, write};
use crate::capi::status::vxf_status;
use crate::device::StreamHandle;

/// A cudaStream_t or CUstream of the caller's, by value.
///
/// NULL and (void *)1 are the legacy default stream, (void *)2 is the calling thread's own default stream: a
/// program that is compiled with CUDA_API_PER_THREAD_DEFAULT_STREAM must pass 2 for its stream 0. (void *)-1
/// is no stream but the host. A stream must live until the batches that it was used with are released.
///
/// The default streams are those of the device that the batch or prediction lies on. A batch in pinned memory lies
/// on none: there they are those of the calling thread's current device when the call is made, and of
/// vxf_loader_options.device_id where the thread has none yet. Streams may be of any device, but of its primary
/// context, which the CUDA runtime uses: a context of cuCtxCreate() may go while the library still asks for its work.
///
/// Streams that are being captured into a CUDA graph are refused with ERR_STATE, as a batch's work would be kept in
/// the graph and not done: name them before the capture begins, and release batches that they work on before, too.
/// The library's own threads and calls disturb no capture of other streams, in any mode.
pub type vxf_stream = *mut c_void;

/// What stands for the host in place of a stream.
const HOST: usize = usize::MAX;

/// The stream of the caller's; none for the host.
pub(super) fn stream_of(stream: vxf_stream) -> Option<StreamHandle> {
    // SAFETY: by the contract of every function that takes one, a stream lives as long as it is used.
    (stream.addr() != HOST).then(|| unsafe { StreamHandle::borrowed(stream) })
}

/// Lets a stream wait for the batch, so that work it is given from now on finds the voxels; call it first.
///
/// Only the device waits, and this call for nothing, unless the stream is (void *)-1: then it returns when
/// the voxels are there. The stream is remembered as by vxf_batch_record_stream(). A batch in host memory is
/// there already. Errors: ERR_ARGUMENT for a stream of a context that is not its device's primary one; ERR_STATE
/// for one that is being captured into a graph; ERR_DEVICE where copying failed or the driver refuses the stream;
/// ERR_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_wait(batch: *const vxf_batch, stream: vxf_stream) -> vxf_status {
    guard_done(|| {
        let batch = borrow(batch)?;
        match stream_of(stream) {
            Some(stream) => batch.wait(stream),
            None => batch.wait_here(),
        }
    })
}

/// Notes that a stream works on the batch: after the release its memory is used again when that is done.
///
/// For further streams than the one that waited. In plain host memory it does nothing.
/// Errors: those of vxf_batch_wait().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_record_stream(batch: *const vxf_batch, stream: vxf_stream) -> vxf_status {
    guard_done(|| {
        let batch = borrow(batch)?;
        stream_of(stream).map_or(Ok(()), |stream| batch.record_stream(stream))
    })
}

/// Writes the CUevent or cudaEvent_t that is past when the voxels are there, for those who wait on their own.
///
/// Borrowed, valid until the batch's last reference is released. Tell vxf_batch_record_stream() of the streams
/// that wait for it. Errors: ERR_UNSUPPORTED for a batch in host memory, which is there already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_ready_event(batch: *const vxf_batch, out: *mut *mut c_void) -> vxf_status {
    guard_done(|| {
        let batch = borrow(batch)?;
        check_place(out)?;
        write(out, batch.ready_event()?.cast())
    })
}

/// Tells whether the voxels are there: OK, or NOT_READY while they are being copied. It does not wait.
///
/// Errors: ERR_DEVICE where copying failed; ERR_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_batch_query(batch: *const vxf_batch) -> vxf_status {
    guard(|| Ok(if borrow(batch)?.is_ready()? { vxf_status::OK } else { vxf_status::NOT_READY }))
}
