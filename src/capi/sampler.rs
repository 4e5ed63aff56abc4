//! vxf_sampler: the rule that says which regions of which subjects.

#![allow(non_camel_case_types)]

use std::sync::Arc;

use crate::capi::dataset::{unknown, vxf_dataset};
use crate::capi::guard::{guard_done, guard_silent};
use crate::capi::handle::{Noun, Sized32, borrow, free, give, init_sized, read_sized_or_default, write};
use crate::capi::status::vxf_status;
use crate::capi::tensor::{VXF_MAX_AXES, vxf_sample};
use crate::error::{Error, Result};
use crate::plan::{Border, Grid, Rule, Sampler, Slices, Uniform, Whole};
use crate::store::Dataset;

/// The samples of an epoch before they are ordered: regions of subjects, numbered subject by subject.
///
/// It is a pure function of headers and options; it reads no voxel. Threads: any.
pub struct vxf_sampler {
    _private: [u8; 0],
}

impl Noun for vxf_sampler {
    type Object = Arc<Sampler>;
    const NAME: &'static str = "vxf_sampler";
    const MAGIC: u64 = 0x7678_665F_7361_6D70;
}

/// Which rule cuts volumes into regions.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_sampler_kind(pub i32);

impl vxf_sampler_kind {
    /// Whole volumes, one sample a subject.
    pub const WHOLE: vxf_sampler_kind = vxf_sampler_kind(0);
    /// All slices along one axis after the other.
    pub const SLICES: vxf_sampler_kind = vxf_sampler_kind(1);
    /// Patches on a grid, the last axis fastest.
    pub const GRID: vxf_sampler_kind = vxf_sampler_kind(2);
    /// Patches at uniformly random places; a volume smaller than the patch is centred in it.
    pub const UNIFORM: vxf_sampler_kind = vxf_sampler_kind(3);
}

/// What happens where the last patch of a grid would reach outside.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct vxf_border(pub i32);

impl vxf_border {
    /// There is no such patch; voxels at the far border may be in none.
    pub const DROP: vxf_border = vxf_border(0);
    /// The sample is cut at the border; the rest of its row is padding.
    pub const CLIP: vxf_border = vxf_border(1);
    /// The sample reaches outside; what lies there is padding.
    pub const PAD: vxf_border = vxf_border(2);
    /// The patch is moved back until it lies inside; where the volume is smaller than the patch, it begins with it, and
    /// what lies behind is padding.
    pub const SHIFT: vxf_border = vxf_border(3);
}

/// The rule. Set it up with vxf_sampler_options_init(); axes are slowest first, those unused 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct vxf_sampler_options {
    /// sizeof(vxf_sampler_options), set by the init function.
    pub struct_size: u32,
    /// The rule; VXF_SAMPLER_KIND_WHOLE by default.
    pub kind: vxf_sampler_kind,
    /// Grid: what happens at the far border; VXF_BORDER_DROP by default.
    pub border: vxf_border,
    /// Slices: how many of axes are used; 0 is axis 0 alone.
    pub axis_count: u32,
    /// Slices: the axes in order, 0 being the slowest.
    pub axes: [i32; VXF_MAX_AXES],
    /// Grid and uniform: the patch's extents; 0 is the whole axis.
    pub patch_shape: [i64; VXF_MAX_AXES],
    /// Grid: from one patch to the next; 0 is the patch's extent less the overlap.
    pub stride: [i64; VXF_MAX_AXES],
    /// Grid: how far neighbouring patches overlap; only where stride is 0.
    pub overlap: [i64; VXF_MAX_AXES],
    /// Uniform: the patches of a subject in an epoch; 0 is 1.
    pub samples_per_subject: u64,
}

// SAFETY: repr(C), the size first, no padding; every field may have any bytes.
unsafe impl Sized32 for vxf_sampler_options {
    const NAME: &'static str = "vxf_sampler_options";
    const FIRST_BYTES: usize = size_of::<Self>();
    fn initial() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            kind: vxf_sampler_kind::WHOLE,
            border: vxf_border::DROP,
            axis_count: 0,
            axes: [0; VXF_MAX_AXES],
            patch_shape: [0; VXF_MAX_AXES],
            stride: [0; VXF_MAX_AXES],
            overlap: [0; VXF_MAX_AXES],
            samples_per_subject: 0,
        }
    }
}

impl vxf_sampler_options {
    /// The rule for volumes of this many axes.
    fn rule(&self, ndim: usize) -> Result<Arc<dyn Rule>> {
        let border = match self.border {
            vxf_border::DROP => Border::Drop,
            vxf_border::CLIP => Border::Clip,
            vxf_border::PAD => Border::Pad,
            vxf_border::SHIFT => Border::Shift,
            other => return Err(unknown("border", other.0)),
        };
        self.check_unused()?;
        let patch = extents("patch_shape", &self.patch_shape, ndim)?;
        Ok(match self.kind {
            vxf_sampler_kind::WHOLE => Arc::new(Whole),
            vxf_sampler_kind::SLICES => Arc::new(Slices::new(&self.slice_axes()?)?),
            vxf_sampler_kind::GRID => Arc::new(Grid::new(&patch, &self.strides(&patch)?, border)?),
            vxf_sampler_kind::UNIFORM => Arc::new(Uniform::new(&patch, self.samples_per_subject)),
            other => return Err(unknown("kind", other.0)),
        })
    }

    /// Refuses what is given and not used: samples would not be those that were asked for.
    fn check_unused(&self) -> Result<()> {
        let (slices, grid) = (self.kind == vxf_sampler_kind::SLICES, self.kind == vxf_sampler_kind::GRID);
        let uniform = self.kind == vxf_sampler_kind::UNIFORM;
        let given = |numbers: &[i64; VXF_MAX_AXES]| numbers.iter().any(|&number| number != 0);
        let fields = [
            ("axis_count", self.axis_count != 0, slices, "slices"),
            ("patch_shape", given(&self.patch_shape), grid || uniform, "grid and uniform"),
            ("stride", given(&self.stride), grid, "grid"),
            ("overlap", given(&self.overlap), grid, "grid"),
            ("border", self.border != vxf_border::DROP, grid, "grid"),
            ("samples_per_subject", self.samples_per_subject != 0, uniform, "uniform"),
        ];
        if self.axis_count == 0 && self.axes.iter().any(|&axis| axis != 0) {
            return Err(Error::argument("axes are given, but axis_count is 0"));
        }
        match fields.into_iter().find(|(_, given, used, _)| *given && !used) {
            Some((name, _, _, kinds)) => {
                let kind = match self.kind {
                    vxf_sampler_kind::WHOLE => "whole",
                    vxf_sampler_kind::SLICES => "slices",
                    vxf_sampler_kind::GRID => "grid",
                    vxf_sampler_kind::UNIFORM => "uniform",
                    other => return Err(unknown("kind", other.0)),
                };
                Err(Error::argument(format!(
                    "{name} is given, but kind is {kind}: {name} is of kind {kinds}"
                )))
            }
            None => Ok(()),
        }
    }

    fn slice_axes(&self) -> Result<Vec<usize>> {
        let axes = self.axes.get(..self.axis_count as usize);
        let axes = axes.ok_or_else(|| {
            Error::argument(format!("axis_count is {}, expected at most {VXF_MAX_AXES}", self.axis_count))
        })?;
        let number = |&axis: &i32| {
            usize::try_from(axis).map_err(|_| Error::argument(format!("slice axis {axis} is negative")))
        };
        axes.iter().map(number).collect()
    }

    fn strides(&self, patch: &[usize]) -> Result<Vec<usize>> {
        let stride = extents("stride", &self.stride, patch.len())?;
        let overlap = extents("overlap", &self.overlap, patch.len())?;
        let both = stride.iter().zip(&overlap).zip(patch);
        both.map(|((&stride, &overlap), &patch)| match (stride, overlap) {
            (0, 0) => Ok(0),
            (0, overlap) if overlap < patch => Ok(patch - overlap),
            (0, overlap) => Err(Error::argument(format!(
                "overlap {overlap} is not smaller than the patch's extent {patch} on its axis"
            ))),
            (stride, 0) => Ok(stride),
            (stride, overlap) => Err(Error::argument(format!(
                "both stride {stride} and overlap {overlap} are given for an axis"
            ))),
        })
        .collect()
    }
}

/// The first numbers as extents; those beyond the volumes' axes must be 0.
fn extents(field: &str, given: &[i64; VXF_MAX_AXES], ndim: usize) -> Result<Vec<usize>> {
    let (used, beyond) = given.split_at_checked(ndim).unwrap_or((given, &[]));
    if beyond.iter().any(|&value| value != 0) {
        return Err(Error::argument(format!("{field} {given:?} has more than the volumes' {ndim} axes")));
    }
    let number = |&value: &i64| {
        usize::try_from(value).map_err(|_| Error::argument(format!("{field} {value} is negative")))
    };
    used.iter().map(number).collect()
}

/// The number of spatial axes that all subjects share.
fn shared_ndim(dataset: &Dataset) -> Result<usize> {
    let mut shared: Option<(usize, &str)> = None;
    for subject in dataset.subjects() {
        let ndim = subject.first_entry()?.shape()?.ndim();
        match shared {
            Some((expected, first)) if expected != ndim => {
                let id = subject.id();
                return Err(Error::argument(format!(
                    "subject \"{id}\" has {ndim} spatial axes, but \"{first}\" has {expected}"
                )));
            }
            _ => shared = Some((ndim, subject.id())),
        }
    }
    shared.map(|(ndim, _)| ndim).ok_or_else(|| Error::argument("the dataset has no subject"))
}

/// Writes the defaults into options of struct_size bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_sampler_options_init(
    options: *mut vxf_sampler_options,
    struct_size: usize,
) -> vxf_status {
    guard_done(|| init_sized(options, struct_size))
}

/// Applies a rule to the subjects that the dataset has now. options may be NULL: whole volumes.
///
/// The sampler keeps the dataset alive. Free with vxf_sampler_free().
/// Errors: ERR_ARGUMENT where an option is given that the kind does not use, the dataset is empty, subjects have
/// different numbers of axes, or a subject has no sample under the rule; the message names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_sampler_new(
    dataset: *const vxf_dataset,
    options: *const vxf_sampler_options,
    out: *mut *mut vxf_sampler,
) -> vxf_status {
    guard_done(|| {
        let dataset = borrow(dataset)?.now();
        let rule = read_sized_or_default(options)?.rule(shared_ndim(&dataset)?)?;
        give(Arc::new(Sampler::new(dataset, rule)?), out)
    })
}

/// Writes the number of samples of an epoch.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_sampler_len(sampler: *const vxf_sampler, out: *mut u64) -> vxf_status {
    guard_done(|| write(out, borrow(sampler)?.len()))
}

/// Writes the sample of this number, as it is in this epoch under this seed; its position is its number.
///
/// Errors: ERR_RANGE where the number is not below the length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_sampler_get(
    sampler: *const vxf_sampler,
    seed: u64,
    epoch: u64,
    index: u64,
    out: *mut vxf_sample,
) -> vxf_status {
    guard_done(|| write(out, vxf_sample::of(&borrow(sampler)?.sample(seed, epoch, index)?)))
}

/// Frees the handle; loaders made of it live on. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vxf_sampler_free(sampler: *mut vxf_sampler) {
    guard_silent(|| free(sampler));
}
