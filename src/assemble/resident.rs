//! Sums in a GPU's memory: predictions on that GPU are added there, on a stream of the assembler's.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::assemble::options::Blend;
use crate::assemble::piece::{Axes, element};
use crate::assemble::prediction::{Placed, View};
use crate::assemble::profile::Profile;
use crate::assemble::sums::Sums;
use crate::device::{
    Adding, DeviceBuffer, Download, Event, Gpu, Here, LentMemory, Part, PinnedBuffer, Stream, StreamHandle,
    add_part,
};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{LogLevel, tell};
use crate::sys::AlignedBuffer;
use crate::voxel::{DType, MAX_AXES};

/// The most axes of a volume whose sums a GPU adds to.
pub(super) const MOST_AXES: usize = 3;

/// A GPU that sums may lie on: the stream that everything there is added on, and the room that is left.
#[derive(Debug)]
pub(super) struct Residence {
    gpu: Gpu,
    budget: u64,
    used: AtomicU64,
    stream: Stream,
    lane: Mutex<Lane>,
    refusal: Mutex<Refusal>,
}

/// Why sums first lay on the host after all, for the log: one line says it for the others too.
#[derive(Debug, Default)]
enum Refusal {
    #[default]
    None,
    Noted(String),
    Told,
}

/// What one call at a time uses.
#[derive(Debug)]
pub(super) struct Lane {
    /// Past when a prediction is made.
    made: Event,
    /// Past when it has been added.
    past: Event,
    weights: Vec<Weights>,
}

/// The Gaussian weights of rows of some extents, as the kernel reads them.
#[derive(Debug)]
struct Weights {
    row: Axes,
    there: DeviceBuffer,
    /// Kept until the copy of it is past, and so as long as the copy itself.
    _from: PinnedBuffer,
}

/// The memory of one subject's sums.
#[derive(Debug)]
pub(super) struct Resident {
    residence: Arc<Residence>,
    memory: DeviceBuffer,
    bytes: usize,
    /// Whether a prediction is on its way to the host, which later ones must not overtake.
    leaving: bool,
}

impl Residence {
    /// Room for so many bytes of sums on a GPU; for 0, half of what is free now.
    ///
    /// # Errors
    /// `NoDevice` where there is none; `Device` or `Memory` where the driver fails.
    pub(super) fn new(gpu: i32, bytes: u64) -> Result<Self> {
        let gpu = Gpu::open(gpu)?;
        let here = gpu.enter()?;
        let budget = if bytes == 0 { here.memory()?.0 as u64 / 2 } else { bytes };
        let lane = Lane { made: Event::new(&here)?, past: Event::new(&here)?, weights: Vec::new() };
        let (used, stream) = (AtomicU64::new(0), Stream::new(&here)?);
        Ok(Self { gpu, budget, used, stream, lane: Mutex::new(lane), refusal: Mutex::default() })
    }

    /// Notes why sums will lie on the host.
    pub(super) fn refuse(&self, why: impl FnOnce() -> String) {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*refusal, Refusal::None) {
            *refusal = Refusal::Noted(why());
        }
    }

    /// Tells the log of what was refused first, once; not under the assembler's lock.
    pub(super) fn tell_refusal(&self) {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*refusal, Refusal::Noted(_))
            && let Refusal::Noted(why) = std::mem::replace(&mut *refusal, Refusal::Told)
        {
            drop(refusal);
            let gpu = self.gpu.id();
            tell(LogLevel::Info, || format!("predictions on GPU {gpu} are added on the host: {why}"));
        }
    }

    /// Whether the GPU can add these rows of a prediction to sums on it.
    pub(super) fn takes(&self, view: &View<'_>, places: &[Placed], memory: LentMemory) -> bool {
        let is_dense =
            |placed: &Placed| placed.strides[MAX_AXES - 1] == 1 || placed.piece.row[MAX_AXES - 1] == 1;
        memory.gpu() == self.gpu.id()
            && !matches!(view.dtype, DType::U64 | DType::F64)
            && places.iter().all(is_dense)
    }

    /// Zeroed memory for sums of so many bytes; none where they do not fit.
    ///
    /// # Errors
    /// `Device` where the driver fails.
    pub(super) fn room(self: &Arc<Self>, bytes: usize) -> Result<Option<Resident>> {
        let here = self.gpu.enter()?;
        let more = |used: u64| used.checked_add(bytes as u64).filter(|&used| used <= self.budget);
        if let Err(used) = self.used.fetch_update(Relaxed, Relaxed, more) {
            let room = self.budget.saturating_sub(used);
            self.refuse(|| format!("sums of {bytes} bytes do not fit the {room} left of device_bytes"));
            return Ok(None);
        }
        let memory = match DeviceBuffer::new(&here, bytes) {
            Ok(memory) => memory,
            Err(error) => {
                self.used.fetch_sub(bytes as u64, Relaxed);
                if error.kind() != ErrorKind::Memory {
                    return Err(error);
                }
                self.refuse(|| format!("no memory there for sums of {bytes} bytes: {}", error.message()));
                return Ok(None);
            }
        };
        let resident = Resident { residence: Arc::clone(self), memory, bytes, leaving: false };
        self.stream.clear(&here, &resident.memory)?;
        Ok(Some(resident))
    }

    /// Adds between what a stream was given and what it will be given, and waits for nothing.
    ///
    /// Without a stream the prediction is there already, and this waits until it is added.
    ///
    /// # Errors
    /// Those of `add`; `Device` where the driver fails.
    pub(super) fn between(
        &self,
        stream: Option<StreamHandle>,
        add: impl FnOnce(&Here, &mut Lane) -> Result<()>,
    ) -> Result<()> {
        let here = self.gpu.enter()?;
        let (mut lane, own) = (self.lock(), self.stream.handle());
        if let Some(stream) = stream {
            lane.made.record(&here, stream)?;
            lane.made.hold(&here, own)?;
        }
        let added = add(&here, &mut lane);
        let ended = lane.past.record(&here, own).and_then(|()| match stream {
            Some(stream) => lane.past.hold(&here, stream),
            None => lane.past.synchronize(&here),
        });
        if ended.is_err() {
            // Nothing else says when the prediction's memory is no longer read.
            let _ = self.stream.synchronize(&here);
        }
        added.and(ended)
    }

    fn lock(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Weights on the GPU, and the places of the planes', rows' and columns' first ones.
    fn weights(
        &mut self,
        (here, stream): (&Here, &Stream),
        profile: &Profile<f32>,
    ) -> Result<(&DeviceBuffer, [usize; 3])> {
        let row = profile.row();
        let known = match self.weights.iter().position(|weights| weights.row == row) {
            Some(known) => known,
            None => {
                let numbers = profile.last_axes();
                let bytes: &[u8] = bytemuck::cast_slice(&numbers);
                let there = DeviceBuffer::new(here, bytes.len())?;
                let mut from = PinnedBuffer::zeroed(here, bytes.len(), None)?;
                let (into, _) = from.bytes().split_at_mut(bytes.len());
                into.copy_from_slice(bytes);
                stream.send(here, &from, &there)?;
                self.weights.push(Weights { row, there, _from: from });
                self.weights.len() - 1
            }
        };
        let weights =
            self.weights.get(known).ok_or_else(|| Error::internal("weights that were just made"))?;
        let [.., depth, height, _] = row;
        Ok((&weights.there, [0, depth, depth + height]))
    }
}

impl Resident {
    /// Whether further predictions are added here.
    pub(super) fn stays(&self) -> bool {
        !self.leaving
    }

    /// Notes that a prediction is on its way that the host will add: later ones follow it.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
    }

    /// Gives the adding of one row to the assembler's stream.
    ///
    /// # Errors
    /// `Device` or `Memory` where the driver fails; the row is not added then.
    pub(super) fn add(
        &self,
        (here, lane): (&Here, &mut Lane),
        sums: &mut Sums<f32>,
        (view, placed): (&View<'_>, &Placed),
        memory: LentMemory,
    ) -> Result<()> {
        let (piece, stream) = (placed.piece, &self.residence.stream);
        if !piece.is_empty() {
            let [.., planes, rows, _] = sums.strides;
            let [.., source_planes, source_rows, _] = placed.strides;
            let [.., depth, height, width] = piece.extent;
            let part = Part {
                sums: (&self.memory, element(&piece.start, &sums.strides)),
                sum_strides: [sums.voxels, planes, rows],
                source: (memory, view.dtype, placed.first),
                source_strides: [view.channel_stride, source_planes, source_rows],
                extents: [sums.channels, depth, height, width],
            };
            let how = match (sums.blend, sums.profile(&piece)) {
                (Blend::Last, _) => Adding::Put,
                (Blend::Mean, _) => Adding::Add,
                (Blend::Gaussian, None) => return Err(Error::internal("a row without weights")),
                (Blend::Gaussian, Some(profile)) => {
                    let (weights, begins) = lane.weights((here, stream), profile)?;
                    let [.., z, y, x] = piece.source;
                    let [planes, rows, columns] = begins;
                    Adding::Weighted(weights, [planes + z, rows + y, columns + x])
                }
            };
            add_part(here, stream.handle(), &part, how)?;
        }
        sums.pieces.push(piece);
        Ok(())
    }

    /// The sums on the host, once everything has been added: this waits for the GPU.
    ///
    /// # Errors
    /// `Device` where the driver or a kernel failed; `Memory` where the host has not that much.
    pub(super) fn download(&self) -> Result<AlignedBuffer> {
        let mut bytes = AlignedBuffer::zeroed(self.bytes)?;
        let here = self.residence.gpu.enter()?;
        let past = Event::new(&here)?;
        past.record(&here, self.residence.stream.handle())?;
        Download::new(&here, Some(self.bytes))?.run(&here, (&past, &self.memory), &mut bytes)?;
        Ok(bytes)
    }
}

impl Drop for Resident {
    /// Waits for what is still added, as the driver does where memory is freed.
    fn drop(&mut self) {
        if let Ok(here) = self.residence.gpu.enter() {
            let _ = self.residence.stream.synchronize(&here);
        }
        self.residence.used.fetch_sub(self.bytes as u64, Relaxed);
    }
}
