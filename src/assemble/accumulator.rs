//! One subject's sums, in the numbers that its assembler asks for.

use std::sync::{Arc, Weak};

use crate::assemble::adding::{SLAB, is_direct};
use crate::assemble::crew::Hands;
use crate::assemble::options::AssemblerOptions;
use crate::assemble::pool::Pool;
use crate::assemble::prediction::{Placed, View};
use crate::assemble::resident::{Lane, MOST_AXES, Residence, Resident};
use crate::assemble::sums::Sums;
use crate::device::{Here, LentMemory};
use crate::error::{Error, Result};
use crate::sys::Crew;
use crate::voxel::{DType, Shape};

/// One subject's sums, wherever they lie.
#[derive(Debug)]
pub(super) struct Accumulator {
    numbers: Numbers,
    /// The sums of f32 where they lie on a GPU: the host's are empty then.
    resident: Option<Resident>,
}

/// Sums in whichever numbers their assembler keeps them.
#[derive(Debug)]
enum Numbers {
    U8(Sums<u8>),
    F32(Sums<f32>),
    F64(Sums<f64>),
}

/// The numbers of scratch that adding a piece needs: none where its elements are used where they are.
pub(super) fn scratch_len(options: &AssemblerOptions, view: &View<'_>, placed: &Placed) -> usize {
    let direct = match options.sum_dtype() {
        DType::U8 => is_direct::<u8>(view, placed),
        DType::F64 => is_direct::<f64>(view, placed),
        _ => is_direct::<f32>(view, placed),
    };
    if direct { 0 } else { placed.piece.voxels().min(SLAB) }
}

macro_rules! each {
    ($accumulator:expr, $sums:ident => $body:expr) => {
        match $accumulator {
            Numbers::U8($sums) => $body,
            Numbers::F32($sums) => $body,
            Numbers::F64($sums) => $body,
        }
    };
}

impl Accumulator {
    /// Empty sums for a volume of this shape and this many samples.
    ///
    /// # Errors
    /// `Range` where the size overflows, `Memory` where the system has not that much.
    pub(super) fn new(
        options: &AssemblerOptions,
        shape: &Shape,
        channels: usize,
        samples: u64,
        pool: &Weak<Pool>,
    ) -> Result<Self> {
        let numbers = match options.sum_dtype() {
            DType::U8 => Numbers::U8(Sums::new(options, shape, channels, samples, pool)?),
            DType::F64 => Numbers::F64(Sums::new(options, shape, channels, samples, pool)?),
            _ => Numbers::F32(Sums::new(options, shape, channels, samples, pool)?),
        };
        Ok(Self { numbers, resident: None })
    }

    /// The same with the sums on a GPU; none where they do not fit there, or are not what it adds to.
    ///
    /// # Errors
    /// Those of [`Accumulator::new`]; `Device` where the driver fails.
    pub(super) fn on_gpu(
        (residence, pool): (&Arc<Residence>, &Weak<Pool>),
        options: &AssemblerOptions,
        shape: &Shape,
        channels: usize,
        samples: u64,
    ) -> Result<Option<Self>> {
        let (dtype, ndim) = (options.sum_dtype(), shape.ndim());
        if dtype != DType::F32 || ndim > MOST_AXES {
            let why = || format!("it adds sums of f32 in up to {MOST_AXES} axes, not of {dtype} in {ndim}");
            residence.refuse(why);
            return Ok(None);
        }
        let numbers = Numbers::F32(Sums::elsewhere(options, shape, channels, samples, pool)?);
        let resident = residence.room(shape.byte_len(channels, DType::F32.byte_len())?)?;
        Ok(resident.map(|resident| Self { numbers, resident: Some(resident) }))
    }

    /// Whether a GPU adds further predictions.
    pub(super) fn is_resident(&self) -> bool {
        self.resident.as_ref().is_some_and(Resident::stays)
    }

    /// Notes that a prediction is on its way that the host will add.
    pub(super) fn leave(&mut self) {
        self.resident.iter_mut().for_each(Resident::leave);
    }

    /// Gives the adding of one row to the GPU.
    ///
    /// # Errors
    /// `Device` or `Memory` where the driver fails; the row is not added then.
    pub(super) fn add_there(
        &mut self,
        on: (&Here, &mut Lane),
        (view, placed): (&View<'_>, &Placed),
        memory: LentMemory,
    ) -> Result<()> {
        match (&self.resident, &mut self.numbers) {
            (Some(resident), Numbers::F32(sums)) => resident.add(on, sums, (view, placed), memory),
            _ => Err(Error::internal("sums that are not on a GPU")),
        }
    }

    /// Brings the sums to the host where they lie on a GPU, for good: this waits for the GPU.
    ///
    /// # Errors
    /// `Device` where the driver or a kernel failed; `Memory` where the host has not that much.
    pub(super) fn come_down(&mut self) -> Result<()> {
        if let (Some(resident), Numbers::F32(sums)) = (&self.resident, &mut self.numbers) {
            let mut memory = sums.sums.another(resident.byte_len())?;
            resident.download(&mut memory)?;
            sums.sums = memory;
            self.resident = None;
        }
        Ok(())
    }

    /// Adds rows of a prediction on the host; the threads' scratches are as long as [`scratch_len`] says.
    ///
    /// # Errors
    /// Those of [`Accumulator::come_down`], for a view and places that have been checked.
    pub(super) fn add(
        &mut self,
        view: &View<'_>,
        placed: &[&Placed],
        hands: &mut Hands<Vec<u64>>,
    ) -> Result<()> {
        self.come_down()?;
        each!(&mut self.numbers, sums => sums.add(view, placed, hands))
    }

    /// The share of voxels that at least one sample has reached.
    ///
    /// # Errors
    /// `Memory` where there is not enough for a plane of counts.
    pub(super) fn coverage(&self) -> Result<f64> {
        each!(&self.numbers, sums => sums.coverage())
    }

    /// Writes the blended channels, or what they are reduced to.
    ///
    /// # Errors
    /// Those of [`Accumulator::come_down`]; `Memory` where there is not enough for a plane of weights.
    pub(super) fn write(
        &mut self,
        crew: &Arc<Crew>,
        options: &AssemblerOptions,
        into: &mut [u8],
    ) -> Result<()> {
        self.come_down()?;
        each!(&mut self.numbers, sums => {
            sums.complete();
            sums.write(crew, options, into)
        })
    }

    /// The channels.
    pub(super) fn channels(&self) -> usize {
        each!(&self.numbers, sums => sums.channels)
    }
}
