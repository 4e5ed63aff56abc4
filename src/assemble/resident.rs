//! Sums in a GPU's memory: predictions on that GPU are added there, on a stream of the assembler's.

use std::sync::{Arc, Mutex};

use crate::assemble::options::Blend;
use crate::assemble::piece::{Axes, element};
use crate::assemble::pool::tightest;
use crate::assemble::prediction::{Placed, View};
use crate::assemble::profile::Profile;
use crate::assemble::sums::Sums;
use crate::device::{
    Adding, DeviceBuffer, Download, Event, Gpu, Here, Kernels, LentMemory, Part, PinnedBuffer, Stream,
    StreamHandle, add_part,
};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{LogLevel, tell};
use crate::sys::lock;
use crate::voxel::{DType, MAX_AXES};

/// The most axes of a volume whose sums a GPU adds to.
pub(super) const MOST_AXES: usize = 3;

/// A GPU that sums may lie on: the stream that everything there is added on, and the memory for them.
#[derive(Debug)]
pub(super) struct Residence {
    gpu: Gpu,
    budget: u64,
    memory: Mutex<Memory>,
    stream: Stream,
    lane: Mutex<Lane>,
    way_down: Mutex<WayDown>,
    refusal: Mutex<Refusal>,
}

/// The memory of sums; what a subject gives back is kept for the next one.
#[derive(Debug, Default)]
struct Memory {
    /// The bytes that subjects have, and the most that they had.
    used: u64,
    most: u64,
    /// What was given back, the oldest first. Work that is still to come to it is the stream's, as all later work.
    kept: Vec<DeviceBuffer>,
}

/// What one call at a time brings sums to the host with.
#[derive(Debug)]
struct WayDown {
    /// Past when everything was added.
    past: Event,
    download: Download,
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
    /// As many bytes or more; none when it has been given back.
    memory: Option<DeviceBuffer>,
    bytes: usize,
    /// Whether a prediction is on its way to the host, which later ones must not overtake.
    leaving: bool,
}

impl Residence {
    /// Room for so many bytes of sums on a GPU; for 0, half of what is free now. All but the memory is made ready.
    ///
    /// # Errors
    /// `NoDevice` where there is none; `Device` or `Memory` where the driver fails.
    pub(super) fn new(gpu: i32, bytes: u64) -> Result<Self> {
        let gpu = Gpu::open(gpu)?;
        let here = gpu.enter()?;
        let budget = if bytes == 0 { here.memory()?.0 as u64 / 2 } else { bytes };
        Kernels::of(&here)?;
        let lane = Lane { made: Event::new(&here)?, past: Event::new(&here)?, weights: Vec::new() };
        let way_down = WayDown { past: Event::new(&here)?, download: Download::new(&here, None)? };
        let stream = Stream::new(&here)?;
        let (memory, lane, way_down) = (Mutex::default(), Mutex::new(lane), Mutex::new(way_down));
        Ok(Self { gpu, budget, memory, stream, lane, way_down, refusal: Mutex::default() })
    }

    /// Notes why sums will lie on the host.
    pub(super) fn refuse(&self, why: impl FnOnce() -> String) {
        let mut refusal = lock(&self.refusal);
        if matches!(*refusal, Refusal::None) {
            *refusal = Refusal::Noted(why());
        }
    }

    /// Tells the log of what was refused first, once; not under the assembler's lock.
    pub(super) fn tell_refusal(&self) {
        let mut refusal = lock(&self.refusal);
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
        let Some(memory) = self.memory_for(&here, bytes)? else { return Ok(None) };
        let resident = Resident { residence: Arc::clone(self), memory: Some(memory), bytes, leaving: false };
        self.stream.clear(&here, resident.memory()?)?;
        Ok(Some(resident))
    }

    /// Memory that was given back, else new memory, for which what was given back may have to go.
    fn memory_for(&self, here: &Here, bytes: usize) -> Result<Option<DeviceBuffer>> {
        let mut memory = lock(&self.memory);
        if let Some(known) = memory.reuse(bytes) {
            return Ok(Some(known));
        }
        // The driver gives a byte where none is asked for.
        let needed = bytes.max(1) as u64;
        let fits = |used: u64| used.checked_add(needed).is_some_and(|used| used <= self.budget);
        if !fits(memory.used) {
            let room = self.budget.saturating_sub(memory.used);
            self.refuse(|| format!("sums of {bytes} bytes do not fit the {room} left of device_bytes"));
            return Ok(None);
        }
        if !fits(memory.used.saturating_add(memory.kept_bytes())) {
            self.free(here, std::mem::take(&mut memory.kept));
        }
        let mut made = DeviceBuffer::new(here, bytes);
        if made.as_ref().is_err_and(|error| error.kind() == ErrorKind::Memory) && !memory.kept.is_empty() {
            self.free(here, std::mem::take(&mut memory.kept));
            made = DeviceBuffer::new(here, bytes);
        }
        match made {
            Ok(new) => {
                memory.lend(&new);
                Ok(Some(new))
            }
            Err(error) if error.kind() == ErrorKind::Memory => {
                self.refuse(|| format!("no memory there for sums of {bytes} bytes: {}", error.message()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Gives memory to the driver, once nothing works on it.
    fn free(&self, here: &Here, memory: Vec<DeviceBuffer>) {
        if !memory.is_empty() {
            // Where this fails the context is lost, and nothing works on it any more.
            let _ = self.stream.synchronize(here);
        }
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
        let (mut lane, own) = (lock(&self.lane), self.stream.handle());
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
}

impl Drop for Residence {
    /// Waits for what is still added, as the driver may where memory is freed.
    fn drop(&mut self) {
        if let Ok(here) = self.gpu.enter() {
            let _ = self.stream.synchronize(&here);
        }
    }
}

impl Memory {
    /// The smallest memory that was given back and is large enough, but not twice as large.
    fn reuse(&mut self, bytes: usize) -> Option<DeviceBuffer> {
        let place = tightest(self.kept.iter().map(DeviceBuffer::byte_len), bytes)?;
        let known = self.kept.remove(place);
        self.lend(&known);
        Some(known)
    }

    fn lend(&mut self, memory: &DeviceBuffer) {
        self.used += memory.byte_len() as u64;
        self.most = self.most.max(self.used);
    }

    fn kept_bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.byte_len() as u64).sum()
    }

    /// Keeps memory, and gives the oldest that is more than subjects ever had at a time.
    fn keep(&mut self, memory: DeviceBuffer) -> Vec<DeviceBuffer> {
        self.used -= memory.byte_len() as u64;
        self.kept.push(memory);
        let mut over = (self.used + self.kept_bytes()).saturating_sub(self.most);
        let mut first = 0;
        while let Some(oldest) = self.kept.get(first).filter(|_| over > 0) {
            over = over.saturating_sub(oldest.byte_len() as u64);
            first += 1;
        }
        self.kept.drain(..first).collect()
    }
}

/// A panic elsewhere leaves nothing half done here.
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

    fn memory(&self) -> Result<&DeviceBuffer> {
        self.memory.as_ref().ok_or_else(|| Error::internal("sums whose memory was given back"))
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
                sums: (self.memory()?, element(&piece.start, &sums.strides)),
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

    /// The bytes of the sums.
    pub(super) fn byte_len(&self) -> usize {
        self.bytes
    }

    /// Brings the sums to as many bytes on the host, once everything has been added: this waits for the GPU.
    ///
    /// # Errors
    /// `Device` where the driver or a kernel failed.
    pub(super) fn download(&self, into: &mut [u8]) -> Result<()> {
        let residence = &self.residence;
        let here = residence.gpu.enter()?;
        let mut way = lock(&residence.way_down);
        let WayDown { past, download } = &mut *way;
        past.record(&here, residence.stream.handle())?;
        download.run(&here, (past, self.memory()?), into)
    }
}

impl Drop for Resident {
    /// Waits for nothing, unless the sizes of subjects differ.
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        let residence = &self.residence;
        let over = lock(&residence.memory).keep(memory);
        if over.is_empty() {
            return;
        }
        if let Ok(here) = residence.gpu.enter() {
            residence.free(&here, over);
        }
    }
}
