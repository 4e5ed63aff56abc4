//! What a thread of a loader does: one row after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::device::{Gpu, Here};
use crate::error::{Error, Result};
use crate::feed::foresight::Watch;
use crate::feed::loader::Shared;
use crate::feed::ring::{Finished, Ticket};
use crate::feed::stats::{add, add_time};
use crate::plan::Sample;
use crate::store::Reader;

/// What a thread keeps from row to row.
#[derive(Default)]
struct Bench {
    reader: Reader,
    scratch: Vec<u8>,
    watch: Watch,
    /// The GPU, once it is this thread's.
    here: Option<Here>,
}

impl Bench {
    /// The GPU on this thread.
    fn here(&mut self, gpu: Gpu) -> Result<&Here> {
        let here = match self.here.take() {
            Some(here) => here,
            None => gpu.settle()?,
        };
        Ok(self.here.insert(here))
    }

    fn byte_len(&self) -> usize {
        self.reader.byte_len() + self.scratch.capacity()
    }
}

/// Fills rows until the loader is closed.
pub(super) fn run(shared: &Shared) {
    let mut bench = Bench::default();
    let mut counted = 0;
    while let Some(ticket) = next_ticket(shared) {
        let begun = Instant::now();
        let filled = catch_unwind(AssertUnwindSafe(|| fill(shared, &ticket, &mut bench)));
        let outcome = filled.unwrap_or_else(|payload| {
            bench = Bench::default();
            let (place, epoch) = (ticket.place, ticket.epoch);
            let place = format!("while it read the sample at place {place} of epoch {epoch}");
            Err(Error::panicked(place, payload.as_ref()))
        });
        add_time(&shared.counters.work_ns, begun.elapsed());
        let scratch_bytes = bench.byte_len() as u64;
        add(&shared.counters.scratch_bytes, scratch_bytes.wrapping_sub(counted));
        counted = scratch_bytes;
        let finished = shared.lock().finish(ticket, outcome);
        match finished {
            Finished::Row => {}
            Finished::Batch => {
                shared.ready.notify_all();
                shared.sealed.notify_one();
            }
            Finished::Slot => shared.work.notify_all(),
        }
    }
    add(&shared.counters.scratch_bytes, 0u64.wrapping_sub(counted));
}

/// Waits for a row to fill; none when the loader is closed.
fn next_ticket(shared: &Shared) -> Option<Ticket> {
    let mut ring = shared.lock();
    loop {
        if ring.closed {
            return None;
        }
        if let Some(ticket) = ring.take(&shared.plan, shared.options.endless, shared.foresight.ahead()) {
            return Some(ticket);
        }
        let begun = Instant::now();
        ring = shared.work.wait(ring).unwrap_or_else(PoisonError::into_inner);
        add_time(&shared.counters.idle_ns, begun.elapsed());
    }
}

/// Fills one row: gathers every category's voxels into their place, then runs the steps there.
fn fill(shared: &Shared, ticket: &Ticket, bench: &mut Bench) -> Result<(Sample, Vec<usize>)> {
    let epoch = shared.plan.epoch(ticket.epoch);
    for place in ticket.foreseen.clone() {
        // A sample that cannot be had is told at its own turn.
        if let Ok(sample) = epoch.sample(place) {
            foresee(shared, &sample, bench);
        }
    }
    if let Some(uses) = ticket.slot.uses() {
        let waited = uses.wait(bench.here(uses.gpu())?)?;
        add(&shared.counters.event_waits, waited);
    }
    let sample = epoch.sample(ticket.place)?;
    let named = |error: Error| {
        let id = shared.plan.sampler().dataset().subject(sample.subject).map_or("?", |subject| subject.id());
        error.at(format!("sample {} of subject \"{id}\"", sample.index)).of_sample(sample.index)
    };
    let filled = fill_sample(shared, ticket, (&sample, bench));
    shared.foresight.note(&mut bench.watch);
    filled.map(|extents| (sample, extents)).map_err(named)
}

/// Tells the disk what a sample will need.
fn foresee(shared: &Shared, sample: &Sample, bench: &mut Bench) {
    let Ok((region, _)) = shared.layout.row(shared.plan.sampler(), sample) else { return };
    for category in &shared.layout.categories {
        let entries = category.entries.get(sample.subject).map_or(&[][..], Vec::as_slice);
        bench.reader.will_need(entries, &region, category.extraction.padding);
    }
}

fn fill_sample(
    shared: &Shared,
    ticket: &Ticket,
    (sample, bench): (&Sample, &mut Bench),
) -> Result<Vec<usize>> {
    let (region, extents) = shared.layout.row(shared.plan.sampler(), sample)?;
    for (number, (category, buffer)) in shared.layout.categories.iter().zip(&ticket.slot.buffers).enumerate()
    {
        let entries = category.entries.get(sample.subject);
        let entries = entries.ok_or_else(|| Error::internal("a sample's subject is unknown"))?;
        let program = &category.program;
        let mut row = buffer.row(ticket.row)?;
        let bytes = region.shape().byte_len(category.channels, category.host_dtype().byte_len())?;
        let row = row.get_mut(..bytes).ok_or_else(|| Error::internal("a row is too small for its sample"))?;
        let known = || match program.statistics() {
            Some(voxels) => shared.statistics.get((number, sample.subject), entries, voxels),
            None => Ok(Arc::default()),
        };
        if category.conversion.is_some() {
            bench.reader.read(entries, &region, &category.extraction, row)?;
            if let Some(Some(buffer)) = ticket.slot.statistics.get(number) {
                let numbers = program.row_statistics(&known()?);
                let mut row = buffer.row(ticket.row)?;
                row.iter_mut().zip(bytemuck::cast_slice(&numbers)).for_each(|(into, byte)| *into = *byte);
            }
            continue;
        }
        if program.needs_scratch() {
            let gathered = program.gathered().0.byte_len();
            bench.scratch.resize(region.shape().byte_len(category.channels, gathered)?, 0);
            bench.reader.read(entries, &region, &category.extraction, &mut bench.scratch)?;
        } else {
            bench.reader.read(entries, &region, &category.extraction, row)?;
        }
        program.run(&known()?, &mut bench.scratch, row)?;
    }
    Ok(extents)
}
