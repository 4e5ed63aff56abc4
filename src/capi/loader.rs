//! vxf_loader: fills batches ahead of time.

#![allow(non_camel_case_types)]

use std::ffi::c_char;
use std::time::Duration;

use crate::capi::batch::{BatchObject, vxf_batch};
use crate::capi::guard::{guard, guard_done, guard_silent};
use crate::capi::handle::{
    Noun, Sized32, array, array_mut, borrow, check_place, free, give, init_sized, read_sized_or_default,
    text, write, write_sized,
};
use crate::capi::loader_options::vxf_loader_options;
use crate::capi::sampler::vxf_sampler;
use crate::capi::status::vxf_status;
use crate::error::Error;
use crate::feed::{Loader, Next};

/// Fills batches ahead of time with threads of its own, and lends them in epoch order.
///
/// The batches are the same for any number of threads. At most prefetch + 1 batches exist at a time: one
/// that you hold keeps its memory, so release it before you wait for more.
///
/// Threads: vxf_loader_next() and vxf_loader_cancel() from any thread, also at once; start, save_state and
/// load_state from one thread at a time. After a fork, calls in the child give ERR_FORKED.
pub struct vxf_loader {
    _private: [u8; 0],
}

impl Noun for vxf_loader {
    type Object = Loader;
    const NAME: &'static str = "vxf_loader";
    const MAGIC: u64 = 0x7678_665F_6C6F_6164;
}

/// Writes the defaults into options of struct_size bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_options_init(
    options: *mut vxf_loader_options,
    struct_size: usize,
) -> vxf_status {
    guard_done(|| init_sized(options, struct_size))
}

/// Makes a loader of a sampler's samples; it starts no thread before vxf_loader_start(). options may be NULL.
///
/// The loader keeps sampler, dataset and transform alive. Free with vxf_loader_free().
/// Errors: ERR_ARGUMENT where options contradict each other or the data, ERR_NOT_FOUND for a category or
/// entry that a subject lacks, ERR_MEMORY where the batches are more than the machine's memory,
/// ERR_NO_DEVICE where there is no driver, none that can be used, or not that device; ERR_FORKED where CUDA was
/// started before a fork; ERR_DEVICE, ERR_UNSUPPORTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_new(
    sampler: *const vxf_sampler,
    options: *const vxf_loader_options,
    out: *mut *mut vxf_loader,
) -> vxf_status {
    guard_done(|| {
        let options = read_sized_or_default(options)?.parse()?;
        give(Loader::new(borrow(sampler)?.clone(), options)?, out)
    })
}

/// Begins an epoch, 0 being the first; a running one is given up, its batches that you hold stay valid.
///
/// After END, start the next epoch. Batches that you hold go on to take their place in memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_start(loader: *mut vxf_loader, epoch: u64) -> vxf_status {
    guard_done(|| borrow(loader)?.start(epoch))
}

/// Writes the number of batches of an epoch on this rank.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_len(loader: *const vxf_loader, out: *mut u64) -> vxf_status {
    guard_done(|| write(out, borrow(loader)?.plan()?.batches()))
}

/// Waits for the next batch, in epoch order, at most timeout_ns nanoseconds; below 0 for ever, 0 not at all.
///
/// Release the batch with vxf_batch_release(). Gives END after the epoch's last batch, TIMEOUT, CANCELLED;
/// *out is then untouched. With every batch held by you there is nothing to wait for but your own release: the
/// log says so, once, when that has lasted 5 seconds, in one call or in several that follow each other.
/// Errors: those of the batch's samples, in order, the message naming file and region; ERR_STATE before the
/// first start; ERR_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_next(
    loader: *mut vxf_loader,
    timeout_ns: i64,
    out: *mut *mut vxf_batch,
) -> vxf_status {
    guard(|| {
        // A batch that could not be written would be lost to the epoch.
        check_place(out)?;
        let timeout = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
        Ok(match borrow(loader)?.next(timeout)? {
            Next::Batch(batch) => {
                give(BatchObject::new(batch), out)?;
                vxf_status::OK
            }
            Next::End => vxf_status::END,
            Next::Timeout => vxf_status::TIMEOUT,
            Next::Cancelled => vxf_status::CANCELLED,
        })
    })
}

/// Wakes every waiting vxf_loader_next() with CANCELLED, and ends the epoch.
///
/// Further calls of vxf_loader_next() give CANCELLED at once, until a start.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_cancel(loader: *mut vxf_loader) -> vxf_status {
    guard_done(|| borrow(loader)?.cancel())
}

/// Cancels and waits until the threads have ended, at most timeout_ns nanoseconds; below 0 for ever.
///
/// Gives TIMEOUT where a thread still reads. The handle must still be freed. Close loaders whose batches lie
/// on a GPU, or in pinned memory, before the process ends: threads that use its driver while that goes may not
/// survive it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_close(loader: *mut vxf_loader, timeout_ns: i64) -> vxf_status {
    guard(|| {
        let timeout = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
        let ended = borrow(loader)?.close(timeout)?;
        Ok(if ended { vxf_status::OK } else { vxf_status::TIMEOUT })
    })
}

/// Writes the loader's place as a text of *inout_size bytes at most, its closing 0 counted.
///
/// The place is behind the last batch that vxf_loader_next() gave; an assembler's sums are not in it, so save
/// between subjects when you predict. With text NULL only the size is written.
/// Errors: ERR_BUFFER where the text does not fit; *inout_size is then what it needs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_save_state(
    loader: *const vxf_loader,
    text: *mut c_char,
    inout_size: *mut usize,
) -> vxf_status {
    guard_done(|| {
        let state = borrow(loader)?.save_state()?;
        let needed = state.len() + 1;
        let room = array(inout_size.cast_const(), 1, "size")?.first().copied().unwrap_or_default();
        write(inout_size, needed)?;
        if text.is_null() {
            return Ok(());
        }
        if room < needed {
            return Err(Error::buffer(format!("the state needs {needed} bytes, there are {room}")));
        }
        let into = array_mut(text.cast::<u8>(), needed as u64, "text")?;
        for (slot, byte) in into.iter_mut().zip(state.bytes().chain([0])) {
            *slot = byte;
        }
        Ok(())
    })
}

/// Goes to a saved place, in place of a start: the next batch continues exactly there.
///
/// Batch size, prefetch and threads may be others than when the state was saved.
///
/// Errors: ERR_ARGUMENT where the state is damaged or belongs to other subjects' ids or shapes, another
/// sampler, seed or share.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_load_state(loader: *mut vxf_loader, state: *const c_char) -> vxf_status {
    guard_done(|| borrow(loader)?.load_state(text(state, "state")?))
}

/// What a loader has done so far.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_loader_stats {
    /// Set by the caller: sizeof(vxf_loader_stats).
    pub struct_size: u32,
    /// The threads that fill batches.
    pub threads: u32,
    /// Batches given out.
    pub batches: u64,
    /// Samples given out.
    pub samples: u64,
    /// Bytes of the batches given out.
    pub bytes: u64,
    /// Batches that failed.
    pub errors: u64,
    /// How often vxf_loader_next() had to wait.
    pub waits: u64,
    /// How long it waited, in nanoseconds.
    pub wait_ns: u64,
    /// How long all threads together read and transformed, in nanoseconds.
    pub work_ns: u64,
    /// How long all threads together had nothing to do: every batch ready or held, or the epoch over.
    pub idle_ns: u64,
    /// Batches that callers hold now.
    pub held: u64,
    /// Batches that exist at a time.
    pub slots: u64,
    /// The bytes of all slots.
    pub slot_bytes: u64,
    /// How often decoded chunks and volumes were looked up and found in the cache of the dataset since the loader was
    /// made, by all that read it: a preload before does not count, other loaders at the same time do. Chunks that
    /// have been joined to a layer are looked up as one, and slices that are read together look each part up once,
    /// so it depends on batch size and threads.
    pub cache_hits: u64,
    /// Those that had to be decoded.
    pub cache_misses: u64,
    /// The bytes that the cache holds now, with memory that lies ready for what is decoded next: cache_bytes of the
    /// dataset's options at most, but for the moment in which chunks are joined to a layer that is counted already.
    pub cache_bytes: u64,
    /// The bytes that the threads hold to decode and convert in. With slot_bytes and cache_bytes it is all
    /// that the loader has of memory, however large the volumes are, but for seek indexes (some hundredths of
    /// such volumes); mapped files are the system's cache.
    pub scratch_bytes: u64,
    /// The bytes of pinned memory: those of slot_bytes, or none.
    pub pinned_bytes: u64,
    /// The bytes of a device's memory.
    pub device_bytes: u64,
    /// Batches that were sent to a device.
    pub uploads: u64,
    /// The bytes that were sent to a device.
    pub upload_bytes: u64,
    /// How often a thread of the library had to wait until a device was done with memory to be filled again.
    pub event_waits: u64,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_loader_stats {
    const NAME: &'static str = "vxf_loader_stats";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        // SAFETY: a struct of integers, for which zeros are values.
        let zeros: Self = unsafe { std::mem::zeroed() };
        Self { struct_size: size_of::<Self>() as u32, ..zeros }
    }
}

/// Writes what the loader has done since it was made. Set struct_size first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_get_stats(
    loader: *const vxf_loader,
    out: *mut vxf_loader_stats,
) -> vxf_status {
    guard_done(|| {
        let stats = borrow(loader)?.stats()?;
        let info = vxf_loader_stats {
            threads: stats.threads as u32,
            batches: stats.batches,
            samples: stats.samples,
            bytes: stats.bytes,
            errors: stats.errors,
            waits: stats.waits,
            wait_ns: stats.wait_ns,
            work_ns: stats.work_ns,
            idle_ns: stats.idle_ns,
            held: stats.held,
            slots: stats.slots,
            slot_bytes: stats.slot_bytes,
            cache_hits: stats.cache_hits,
            cache_misses: stats.cache_misses,
            cache_bytes: stats.cache_bytes,
            scratch_bytes: stats.scratch_bytes,
            pinned_bytes: stats.pinned_bytes,
            device_bytes: stats.device_bytes,
            uploads: stats.uploads,
            upload_bytes: stats.upload_bytes,
            event_waits: stats.event_waits,
            ..vxf_loader_stats::initial()
        };
        write_sized(out, info)
    })
}

/// Frees the handle at once: never blocks, never fails; threads end by themselves. NULL is allowed.
///
/// Batches that you hold stay valid until you release them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_loader_free(loader: *mut vxf_loader) {
    guard_silent(|| free(loader));
}
