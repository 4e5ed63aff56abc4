//! Decoding ahead of time: everything of a dataset into the cache, by several threads.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_channel::bounded;

use crate::error::{Error, ErrorKind, Result};
use crate::store::{Dataset, Scratch, Volume};

/// A volume whose parts are to be decoded, and the number of all parts before it.
type Share<'a> = (&'a Arc<dyn Volume>, u64);

impl Dataset {
    /// Decodes all chunks and compressed volumes of its subjects into the cache; false where it was stopped.
    ///
    /// `progress` is told the parts that are done, of how many, on this thread, and may stop. Volumes that are
    /// read as they are stored have no such parts.
    ///
    /// # Errors
    /// `Limit` where the cache is too small, before anything is decoded; those of reading.
    pub fn preload(
        &self,
        threads: usize,
        progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    ) -> Result<bool> {
        let mut shares: Vec<Share<'_>> = Vec::new();
        let (mut total, mut needed) = (0u64, 0u64);
        let mut seen = std::collections::HashSet::new();
        for entry in self.subjects().iter().flat_map(|subject| subject.categories()).flat_map(|c| &c.entries)
        {
            let volume = entry.volume();
            if !seen.insert(Arc::as_ptr(volume).cast::<()>()) {
                continue;
            }
            let parts = volume.decoded_parts()?;
            shares.push((volume, total));
            let overflow = || Error::range("the dataset has more decoded bytes than 64 bits count");
            total = total.checked_add(parts.count).ok_or_else(overflow)?;
            needed = needed.checked_add(parts.byte_len).ok_or_else(overflow)?;
        }
        let budget = self.context().decoded.budget() as u64;
        if needed > budget {
            let text = format!(
                "preload needs {needed} bytes for decoded voxels and the cache has {budget}: open the dataset with \
                 larger cache_bytes, or preload a split or subset of it"
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        run(&shares, total, threads.max(1), progress)
    }
}

/// Decodes the parts of all shares in order, as threads come free.
fn run(
    shares: &[Share<'_>],
    total: u64,
    threads: usize,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<bool> {
    let (next, stopped) = (AtomicU64::new(0), AtomicBool::new(false));
    let told_every = (total / 1000).max(1);
    std::thread::scope(|scope| {
        let (sender, receiver) = bounded(threads);
        for _ in 0..threads.min(usize::try_from(total).unwrap_or(usize::MAX)) {
            let (sender, next, stopped) = (sender.clone(), &next, &stopped);
            let work = move || {
                let mut scratch = Scratch::default();
                while !stopped.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        break;
                    }
                    let share = shares.partition_point(|(_, before)| *before <= number).checked_sub(1);
                    let Some((volume, before)) = share.and_then(|share| shares.get(share)) else { break };
                    let decode = || volume.decode_part(number - before, &mut scratch);
                    let done = catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|payload| {
                        scratch = Scratch::default();
                        Err(Error::panicked(format!("while it decoded part {number}"), payload.as_ref()))
                    });
                    if sender.send(done.map_err(|error| error.in_file(&volume.header().origin.path))).is_err()
                    {
                        break;
                    }
                }
            };
            let started =
                std::thread::Builder::new().name("voxfeed-preload".to_owned()).spawn_scoped(scope, work);
            if let Err(cause) = started {
                stopped.store(true, Ordering::Relaxed);
                return Err(Error::memory(format!("a thread cannot be started: {cause}")));
            }
        }
        drop(sender);
        let mut done = 0;
        for outcome in receiver {
            done += 1;
            let told = done % told_every == 0 || done == total;
            let stop = match outcome {
                Ok(()) if told => progress(done, total).is_break() && done < total,
                Ok(()) => false,
                Err(error) => {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            };
            if stop {
                stopped.store(true, Ordering::Relaxed);
                return Ok(false);
            }
        }
        if done == total { Ok(true) } else { Err(Error::internal("a preloading thread ended early")) }
    })
}
