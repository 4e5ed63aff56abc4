//! What a thread of a loader does: one row after the other, or several at once that lie side by side.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::device::{Gpu, Here};
use crate::error::{Error, Result};
use crate::feed::foresight::Watch;
use crate::feed::loader::Shared;
use crate::feed::ring::{Ahead, Finished, Task, Ticket};
use crate::feed::stats::{add, add_time};
use crate::plan::Sample;
use crate::store::{ArraysRead, Patience, Reader, Rows, Wanted};

/// What a thread keeps from row to row.
#[derive(Default)]
struct Bench {
    reader: Reader,
    scratch: Vec<u8>,
    /// What of a row, or of several, is read already, category by category.
    read: Vec<ArraysRead>,
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
    while let Some(task) = next_task(shared) {
        let begun = Instant::now();
        let (mut ticket, patience) = match task {
            Task::Fill(ticket, patience) => (ticket, patience),
            Task::Ahead(ahead) => {
                // What goes wrong is told when it is the sample's turn.
                let decoded =
                    catch_unwind(AssertUnwindSafe(|| decode_ahead(shared, &ahead, &mut bench.reader)));
                shared.lock().finish_ahead(&ahead, decoded.unwrap_or_default());
                add_time(&shared.counters.work_ns, begun.elapsed());
                continue;
            }
        };
        let filled = catch_unwind(AssertUnwindSafe(|| fill(shared, &mut ticket, (&mut bench, patience))));
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
        let mut ring = shared.lock();
        let finished = match outcome.transpose() {
            Some(outcome) => ring.finish(ticket, outcome),
            None => ring.put_off(ticket),
        };
        drop(ring);
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

/// Waits for something to do; nothing when the loader is closed.
fn next_task(shared: &Shared) -> Option<Task> {
    let mut ring = shared.lock();
    loop {
        if ring.closed {
            return None;
        }
        if let Some(taken) = ring.take(&shared.plan, shared.options.endless, shared.foresight.ahead()) {
            return Some(taken);
        }
        let begun = Instant::now();
        ring = shared.work.wait(ring);
        add_time(&shared.counters.idle_ns, begun.elapsed());
    }
}

/// Fills a ticket's rows: gathers every category's voxels into their place, then runs the steps there. Nothing where
/// another thread decodes what the rows need, and there is no patience.
fn fill(
    shared: &Shared,
    ticket: &mut Ticket,
    (bench, patience): (&mut Bench, Patience),
) -> Result<Option<(Vec<Sample>, Vec<usize>)>> {
    bench.reader.begin(ticket.moment);
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
    let places = (ticket.place..).take(ticket.rows.len());
    let samples = places.map(|place| epoch.sample(place)).collect::<Result<Vec<_>>>()?;
    let sample = samples.first().ok_or_else(|| Error::internal("a ticket without a row"))?;
    let named = |error: Error| {
        let id = shared.plan.sampler().dataset().subject(sample.subject).map_or("?", |subject| subject.id());
        error.at(format!("sample {} of subject \"{id}\"", sample.index)).of_sample(sample.index)
    };
    let mut read = std::mem::take(if ticket.read.is_empty() { &mut bench.read } else { &mut ticket.read });
    read.resize(shared.layout.categories.len(), ArraysRead::default());
    let filled = fill_rows(shared, ticket, (sample, bench, patience), &mut read).map_err(named)?;
    match filled {
        // What is read stays in the row.
        None => ticket.read = read,
        Some(_) => {
            read.clear();
            bench.read = read;
        }
    }
    shared.foresight.note(&mut bench.watch);
    Ok(filled.map(|extents| (samples, extents)))
}

/// Decodes what the first sample needs of which something is not decoded, and gives its place.
///
/// Samples further and further ahead are looked at: those nearby mostly share what they need. Nothing is decoded that
/// could push out what the rows under way need: none where these are of several subjects, or where the cache does not
/// hold three times what the sample needs.
fn decode_ahead(shared: &Shared, ahead: &Ahead, reader: &mut Reader) -> Option<u64> {
    reader.begin(ahead.moment);
    let (epoch, sampler) = (shared.plan.epoch(ahead.epoch), shared.plan.sampler());
    let last = ahead.places.start.checked_sub(1)?;
    if epoch.sample(ahead.front).ok()?.subject != epoch.sample(last).ok()?.subject {
        return None;
    }
    let budget = sampler.dataset().context().decoded.budget() as u64;
    let steps = (0..u64::BITS).map_while(|power| ahead.places.start.checked_add((1 << power) - 1));
    for place in steps.take_while(|place| ahead.places.contains(place)) {
        let sample = epoch.sample(place).ok()?;
        let (region, _) = shared.layout.row(sampler, &sample).ok()?;
        let categories = || {
            shared
                .layout
                .categories
                .iter()
                .map(|category| (category.entries_of(sample.subject), category.extraction.padding))
        };
        let needed = categories().map(|(entries, padding)| reader.needed_bytes(entries, &region, padding));
        if needed.fold(0, u64::saturating_add).saturating_mul(3) > budget {
            return None;
        }
        // One category after the other: a row that can be filled must not wait for all of them.
        if categories().any(|(entries, padding)| reader.decode_ahead(entries, &region, padding)) {
            return Some(place);
        }
    }
    None
}

/// Tells the disk what a sample will need.
fn foresee(shared: &Shared, sample: &Sample, bench: &mut Bench) {
    let Ok((region, _)) = shared.layout.row(shared.plan.sampler(), sample) else { return };
    for category in &shared.layout.categories {
        let entries = category.entries_of(sample.subject);
        bench.reader.will_need(entries, &region, category.extraction.padding);
    }
}

/// Fills rows, given the first one's sample.
fn fill_rows(
    shared: &Shared,
    ticket: &Ticket,
    (sample, bench, patience): (&Sample, &mut Bench, Patience),
    read: &mut [ArraysRead],
) -> Result<Option<Vec<usize>>> {
    let (region, extents) = shared.layout.row(shared.plan.sampler(), sample)?;
    let count = ticket.rows.len();
    let rows = |pitch| sample.thin.filter(|_| count > 1).map(|axis| Rows { count, axis, pitch });
    let mut whole = true;
    let categories = shared.layout.categories.iter().zip(&ticket.slot.buffers).zip(read);
    for (number, ((category, buffer), arrays)) in categories.enumerate() {
        if *arrays == ArraysRead::ALL {
            continue;
        }
        let entries = category.entries_of(sample.subject);
        let program = &category.program;
        let pitch = buffer.row_byte_len();
        let mut held = buffer.write(ticket.rows.clone())?;
        let bytes = region.shape().byte_len(category.channels, category.host_dtype().byte_len())?;
        let end = (count - 1) * pitch + bytes;
        let held = held.get_mut(..end).filter(|_| bytes <= pitch);
        let held = held.ok_or_else(|| Error::internal("a row is too small for its sample"))?;
        let converts = category.conversion.is_some();
        let Bench { reader, scratch, .. } = bench;
        let aside = !converts && program.needs_scratch();
        let gathered = region.shape().byte_len(category.channels, program.gathered().0.byte_len())?;
        let (into, rows) = if aside {
            scratch.resize(gathered.saturating_mul(count), 0);
            (&mut scratch[..], rows(gathered))
        } else {
            (&mut *held, rows(pitch))
        };
        let wanted = Wanted { entries, region: &region, rows, how: &category.extraction };
        let done = reader.read_rest(&wanted, into, (patience, arrays));
        // Where parts were left out, the other categories' ones can be decoded meanwhile all the same; what is wrong
        // with those is told when all before is whole.
        if !(if whole { done? } else { done.unwrap_or(false) }) {
            whole = false;
            if aside {
                *arrays = ArraysRead::default();
            }
            continue;
        }
        let known = match program.statistics() {
            Some(voxels) => shared.statistics.get((number, sample.subject), entries, voxels)?,
            None => Arc::default(),
        };
        if !converts {
            let mut aside = scratch.chunks_mut(gathered.max(1));
            for row in held.chunks_mut(pitch.max(1)) {
                let row = row.get_mut(..bytes).unwrap_or_default();
                program.run(&known, aside.next().unwrap_or_default(), row)?;
            }
        } else if let Some(Some(buffer)) = ticket.slot.statistics.get(number) {
            let numbers = program.row_statistics(&known);
            let mut held = buffer.write(ticket.rows.clone())?;
            for row in held.chunks_mut(buffer.row_byte_len().max(1)) {
                row.iter_mut().zip(bytemuck::cast_slice(&numbers)).for_each(|(into, byte)| *into = *byte);
            }
        }
        *arrays = ArraysRead::ALL;
    }
    Ok(whole.then_some(extents))
}
