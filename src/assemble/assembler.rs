//! The assembler: predictions in, in any order and from any thread; volumes out as they become complete.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::assemble::accumulator::Accumulator;
use crate::assemble::addition::{Addition, Begun, State, count, hands, sum};
use crate::assemble::incoming::Incoming;
use crate::assemble::options::{AssemblerOptions, Readiness, Reduce};
use crate::assemble::output::Output;
use crate::assemble::prediction::{Prediction, RowShapes, View};
use crate::assemble::progress::{Held, Progress, Ticket};
use crate::assemble::resident::Residence;
use crate::device::{LentMemory, Location, StreamHandle};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::{EpochOptions, Plan, Sample};
use crate::sys::{AlignedBuffer, Crew, lock};
use crate::voxel::Shape;

/// Puts predictions back into volumes.
///
/// A subject is complete when each of its samples of this process's share of the epoch has been added,
/// whatever their order; samples that the plan only repeats are ignored. All methods may be called from
/// several threads; predictions of different subjects are added side by side. Sums of f32 depend on the
/// order of adding in their last bits, as [`Accumulate`](crate::assemble::Accumulate) says.
#[derive(Debug)]
pub struct Assembler {
    plan: Arc<Plan>,
    options: AssemblerOptions,
    largest_rows: Vec<(Option<usize>, Shape)>,
    state: Arc<Mutex<State>>,
    /// Predictions on their way from a GPU.
    incoming: Incoming,
    /// The GPU that sums may lie on.
    residence: Option<Arc<Residence>>,
    /// The threads that help with what calls add and take.
    crew: Arc<Crew>,
}

/// A prediction on a GPU: what it is, its memory, and the stream that makes it.
type OnGpu<'a> = (&'a View<'a>, &'a Prediction<'a>, LentMemory, Option<StreamHandle>);

impl Assembler {
    /// The assembler of a plan's samples.
    ///
    /// # Errors
    /// `Argument` where an option makes no sense; those of the plan's rule; `NoDevice` or `Device` where sums
    /// are to lie on a GPU and it cannot be used.
    pub fn new(plan: Arc<Plan>, options: AssemblerOptions) -> Result<Self> {
        options.check()?;
        let options = options.settled();
        let mut largest_rows: Vec<(Option<usize>, Shape)> = Vec::new();
        for (row, thin, _) in plan.sampler().row_shapes()? {
            match largest_rows.iter_mut().find(|(known, _)| *known == thin) {
                Some((_, largest)) => *largest = larger(largest, &row)?,
                None => largest_rows.push((thin, row)),
            }
        }
        let residence = match options.location {
            Location::Gpu(gpu) => Some(Arc::new(Residence::new(gpu, options.device_bytes)?)),
            Location::Host | Location::Pinned => None,
        };
        let (state, incoming, crew) = (Arc::default(), Incoming::new(), Arc::default());
        Ok(Self { plan, options, largest_rows, state, incoming, residence, crew })
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The options.
    pub fn options(&self) -> &AssemblerOptions {
        &self.options
    }

    /// Adds a model's output for these samples, one row each, in the order given.
    ///
    /// What does not fit the sums' dtype becomes the nearest value that does; NaN and infinity pass into
    /// floats as they are. The first sample of another epoch begins that epoch, once all subjects of the
    /// one before have been taken. A call that fails has changed nothing.
    ///
    /// # Errors
    /// `Argument` where the prediction does not fit the samples, the channels are not those of the epoch's
    /// other predictions, or a sample is not the plan's; `State` where a sample was added before, its
    /// subject was taken, or its epoch is not the current one; `Memory` where there is none for the sums.
    pub fn add(&self, samples: &[Sample], prediction: &Prediction<'_>) -> Result<()> {
        let view = View::new(prediction, samples.len())?;
        self.options.check_channels(view.channels)?;
        // Those on their way were added before, and the order of adding counts.
        self.incoming.settle()?;
        let Some(addition) = self.place(samples, &view)? else { return Ok(()) };
        let hands = hands(&self.crew, &self.options, &view, &addition)?;
        let begun = self.begin(&addition, None)?;
        sum(&self.state, &view, (&addition, &begun), hands)
    }

    /// As [`Assembler::add`], for a prediction in a GPU's memory that a stream's work makes: `bytes` is empty.
    ///
    /// It is checked now, copied behind that work, and added, by a thread of its own, before anything is taken;
    /// this waits for the GPU only where four predictions are on their way. Work that the stream is given
    /// later waits until the memory has been copied. Without a stream, this waits for the copy. Where a
    /// subject's sums lie on the GPU they are added to there, and the same holds of that.
    ///
    /// # Errors
    /// Those of [`Assembler::add`]; `Argument` where the memory is not that GPU's, or the stream another's;
    /// `State` where the stream is being captured into a graph; `NoDevice` or `Device` where the GPU or its
    /// driver fails, for this prediction or one before it; what was to be added on the GPU is lost then.
    pub fn add_from_gpu(
        &self,
        samples: &[Sample],
        prediction: &Prediction<'_>,
        memory: LentMemory,
        stream: Option<StreamHandle>,
    ) -> Result<()> {
        let view = View::over(prediction, memory.byte_len(), samples.len())?;
        self.options.check_channels(view.channels)?;
        let Some(addition) = self.place(samples, &view)? else { return Ok(()) };
        let given = (&view, prediction, memory.found(stream)?, stream);
        match &self.residence {
            Some(residence) => self.add_there(residence, given, addition),
            None => self.bring(given, addition, None),
        }
    }

    /// Adds on the GPU what belongs to sums there, and brings the rest to the host.
    fn add_there(&self, residence: &Arc<Residence>, given: OnGpu<'_>, addition: Addition) -> Result<()> {
        let (view, _, memory, stream) = given;
        let takes = residence.takes(view, &addition.places, memory);
        let begun = self.begin(&addition, Some(residence).filter(|_| takes))?;
        residence.tell_refusal();
        let stays = |_: &Ticket, sums: &Held| {
            let mut sums = lock(sums);
            if !takes {
                sums.leave();
            }
            sums.is_resident()
        };
        let tickets = addition.tickets.clone();
        let [(there, sums), (away, hosts)] = addition.split(begun, stays);
        self.bring_rest(given, away, hosts, &tickets)?;
        if there.tickets.is_empty() {
            return Ok(());
        }
        let mut left = Vec::new();
        residence.between(stream, |here, lane| {
            let rows = there.tickets.iter().zip(&there.places).zip(&sums.held);
            for ((ticket, placed), held) in rows {
                let mut own = lock(held);
                // Another thread's prediction may have taken them to the host meanwhile.
                if own.is_resident() {
                    match own.add_there((here, lane), (view, placed), memory) {
                        Ok(()) => {
                            drop(own);
                            count(&self.state, sums.generation, (ticket.subject, 1));
                            continue;
                        }
                        Err(error) if error.kind() == ErrorKind::Memory => own.leave(),
                        Err(error) => return Err(error),
                    }
                }
                left.push(ticket.place);
            }
            Ok(())
        })?;
        let [(rest, hosts), _] = there.split(sums, |ticket, _| left.contains(&ticket.place));
        let tickets = rest.tickets.clone();
        self.bring_rest(given, rest, hosts, &tickets)
    }

    /// Brings what was begun to the host; where it cannot be brought, these samples have not come.
    fn bring_rest(
        &self,
        given: OnGpu<'_>,
        addition: Addition,
        begun: Begun,
        tickets: &[Ticket],
    ) -> Result<()> {
        if addition.tickets.is_empty() {
            return Ok(());
        }
        let generation = begun.generation;
        self.bring(given, addition, Some(begun)).inspect_err(|_| {
            let mut state = self.lock();
            if state.generation == generation {
                state.progress.iter_mut().for_each(|progress| progress.unmark(tickets));
            }
        })
    }

    /// Brings a prediction to the host, where it is added when it has come.
    fn bring(&self, given: OnGpu<'_>, addition: Addition, begun: Option<Begun>) -> Result<()> {
        let (view, prediction, memory, stream) = given;
        let (dtype, shape) = (prediction.dtype, prediction.shape.to_vec());
        let (strides, row) = (prediction.strides.map(<[_]>::to_vec), prediction.row.map(<[_]>::to_vec));
        self.incoming.bring(memory, stream, || {
            let hands = hands(&self.crew, &self.options, view, &addition)?;
            let begun = begun.map_or_else(|| self.begin(&addition, None), Ok)?;
            let state = Arc::clone(&self.state);
            Ok(Box::new(move |bytes| {
                let (shape, strides, row) = (shape.as_slice(), strides.as_deref(), row.as_deref());
                let count = shape.first().copied().unwrap_or_default();
                let view = View::new(&Prediction { bytes, dtype, shape, strides, row }, count)?;
                sum(&state, &view, (&addition, &begun), hands)
            }))
        })
    }

    /// Where each sample that counts belongs; none where no sample does.
    fn place(&self, samples: &[Sample], view: &View<'_>) -> Result<Option<Addition>> {
        let Some(first) = samples.first() else { return Ok(None) };
        let EpochOptions { rank, world_size, .. } = *self.plan.options();
        let epoch = self.plan.epoch(first.epoch);
        let (mut tickets, mut places) = (Vec::new(), Vec::new());
        for (row, sample) in samples.iter().enumerate() {
            let place = sample.position.wrapping_sub(rank) / world_size;
            let planned = epoch.sample(place).ok().filter(|planned| planned == sample);
            if planned.is_none() {
                let text = format!(
                    "row {row} is of a sample that epoch {} of the assembler's loader has not",
                    first.epoch
                );
                return Err(Error::argument(text).of_sample(sample.position));
            }
            let planned = self.plan.sampler().row_shape(sample)?;
            let largest = self.largest_rows.iter().find(|(thin, _)| *thin == sample.thin);
            let shapes = RowShapes { planned, largest: largest.map_or(planned, |(_, largest)| *largest) };
            let placed = view.place(row, sample, &shapes)?;
            if !sample.repeated {
                tickets.push(Ticket { subject: sample.subject, place });
                places.push(placed);
            }
        }
        let (epoch, channels) = (first.epoch, view.channels);
        Ok((!tickets.is_empty()).then_some(Addition { tickets, places, epoch, channels }))
    }

    /// Marks the samples as come and gives the sums of each one's subject, new ones where there are none: on
    /// this GPU where they fit.
    fn begin(&self, addition: &Addition, residence: Option<&Arc<Residence>>) -> Result<Begun> {
        let Addition { tickets, epoch, channels, .. } = addition;
        let mut state = self.lock();
        let pool = Arc::downgrade(&state.pool);
        let mut fresh = None;
        let progress = match &mut state.progress {
            Some(progress) if progress.epoch() == *epoch => progress,
            Some(progress) if !progress.is_finished() => {
                let (current, held) = (progress.epoch(), progress.held_count());
                let text = format!(
                    "samples of epoch {epoch}, but epoch {current} is not finished ({held} of its subjects are held): \
                     take them all, or make a new assembler"
                );
                return Err(Error::state(text));
            }
            _ => fresh.insert(Progress::new(*epoch, &self.plan.epoch(*epoch), self.plan.len(), *channels)?),
        };
        if progress.channels() != *channels {
            let expected = progress.channels();
            let text = format!("prediction has {channels} channels, those before it had {expected}");
            return Err(Error::argument(text));
        }
        progress.check(tickets)?;
        let mut made: Vec<(usize, Held)> = Vec::new();
        for Ticket { subject, .. } in tickets {
            let Some(samples) = progress.awaited(*subject) else { continue };
            if made.iter().all(|(known, _)| known != subject) {
                let shape = self.plan.sampler().subject_shape(*subject)?;
                let there = residence.map_or(Ok(None), |residence| {
                    Accumulator::on_gpu((residence, &pool), &self.options, &shape, *channels, samples)
                })?;
                let here = || Accumulator::new(&self.options, &shape, *channels, samples, &pool);
                let sums = there.map_or_else(here, Ok)?;
                made.push((*subject, Arc::new(Mutex::new(sums))));
            }
        }
        made.into_iter().for_each(|(subject, sums)| progress.hold(subject, sums));
        let held =
            tickets.iter().map(|ticket| progress.held(ticket.subject).cloned()).collect::<Result<_>>()?;
        progress.mark(tickets);
        if let Some(fresh) = fresh {
            state.progress = Some(fresh);
            state.generation += 1;
        }
        Ok(Begun { generation: state.generation, held })
    }

    /// Waits for predictions that are on their way from a GPU, where no others can come in this epoch.
    ///
    /// # Errors
    /// `Device` where one could not be brought, once.
    pub fn settle_last(&self) -> Result<()> {
        let has_all = self.lock().progress.as_ref().is_some_and(Progress::has_all);
        if has_all { self.incoming.settle() } else { Ok(()) }
    }

    /// The next subject that has become complete, each once, in the order of completion.
    pub fn next_complete(&self) -> Option<usize> {
        self.lock().progress.as_mut().and_then(Progress::next_complete)
    }

    /// The samples of a subject that have not been added in the current epoch; 0 once it is taken.
    ///
    /// # Errors
    /// `Range` where there is no such subject; `State` where no epoch has begun.
    pub fn outstanding(&self, subject: usize) -> Result<u64> {
        let state = self.lock();
        let progress = state.progress.as_ref().ok_or_else(|| Error::state("no prediction was added yet"))?;
        progress.outstanding(subject)
    }

    /// Whether every subject that has samples in the current epoch has been taken.
    ///
    /// False before the first sample, but for a process whose share is nothing but repeats.
    pub fn is_finished(&self) -> bool {
        let only_repeats = self.plan.options().rank >= self.plan.sampler().len();
        self.lock().progress.as_ref().map_or(only_repeats, Progress::is_finished)
    }

    /// What a subject will be handed out as.
    ///
    /// # Errors
    /// `NotFound` where no prediction of it is held.
    pub fn output(&self, subject: usize) -> Result<Output> {
        let channels = lock(&self.held(subject, Readiness::Partial)?.0).channels();
        self.output_of(subject, channels)
    }

    fn output_of(&self, subject: usize, channels: usize) -> Result<Output> {
        let channels = if self.options.reduce == Reduce::Argmax { 1 } else { channels };
        let shape = self.plan.sampler().subject_shape(subject)?;
        Ok(Output { channels, shape, dtype: self.options.output_dtype() })
    }

    /// The share of a subject's voxels that at least one sample has reached; the others are 0.
    ///
    /// # Errors
    /// `NotFound` where no prediction of it is held; `Memory` where there is none to count in.
    pub fn coverage(&self, subject: usize) -> Result<f64> {
        let (sums, _) = self.held(subject, Readiness::Partial)?;
        lock(&sums).coverage()
    }

    /// Writes a subject into the caller's memory, as [`Assembler::output`] describes it, and lets go of it.
    ///
    /// # Errors
    /// `State` where the subject is incomplete and must be complete; `NotFound` where no prediction of it
    /// is held; `Buffer` where the memory is too small, `Argument` where it is too large. The subject is
    /// kept then.
    pub fn take(&self, subject: usize, when: Readiness, into: &mut [u8]) -> Result<()> {
        let (held, generation) = self.held(subject, when)?;
        let mut sums = lock(&held);
        let output = self.output_of(subject, sums.channels())?;
        let (needed, given) = (output.byte_len()?, into.len());
        if needed != given {
            let text = format!("buffer has {given} bytes, subject {subject} needs {needed}");
            return Err(if given < needed { Error::buffer(text) } else { Error::argument(text) });
        }
        sums.write(&self.crew, &self.options, into)?;
        drop(sums);
        self.release(subject, generation)
    }

    /// Saves a subject in a file with its subject's geometry, and lets go of it.
    ///
    /// # Errors
    /// Those of [`Assembler::take`], and those of the file. The subject is kept then.
    pub fn save(&self, subject: usize, when: Readiness, path: &Path) -> Result<()> {
        let (held, generation) = self.held(subject, when)?;
        let mut sums = lock(&held);
        let output = self.output_of(subject, sums.channels())?;
        let mut bytes = AlignedBuffer::zeroed(output.byte_len()?)?;
        sums.write(&self.crew, &self.options, &mut bytes)?;
        drop(sums);
        let affine = self.plan.sampler().dataset().subject(subject)?.first_entry()?.affine();
        output.save(path, &bytes, affine)?;
        self.release(subject, generation)
    }

    /// Forgets the current epoch with all that is held of it.
    pub fn reset(&self) {
        let mut state = self.lock();
        let gone = (std::mem::take(&mut state.pool), state.progress.take());
        state.generation += 1;
        drop(state);
        drop(gone);
    }

    /// A subject's sums, and the generation that they belong to.
    fn held(&self, subject: usize, when: Readiness) -> Result<(Held, u64)> {
        self.incoming.settle()?;
        let state = self.lock();
        let nothing = || Error::not_found(format!("subject {subject} has no prediction yet"));
        let progress = state.progress.as_ref().ok_or_else(nothing)?;
        let held = Arc::clone(progress.held(subject)?);
        if when == Readiness::Complete {
            progress.check_complete(subject)?;
        }
        Ok((held, state.generation))
    }

    fn release(&self, subject: usize, generation: u64) -> Result<()> {
        let mut state = self.lock();
        let current = state.generation == generation;
        let progress = state.progress.as_mut().filter(|_| current);
        progress.ok_or_else(|| Error::state("the assembler was reset meanwhile"))?.release(subject)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The smallest shape that holds both; the first where they have different numbers of axes.
fn larger(one: &Shape, other: &Shape) -> Result<Shape> {
    if one.ndim() != other.ndim() {
        return Ok(*one);
    }
    let extents: Vec<usize> = one.extents().iter().zip(other.extents()).map(|(&a, &b)| a.max(b)).collect();
    Shape::new(&extents)
}
