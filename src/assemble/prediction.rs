//! What a model made of a batch: a strided array, and where each of its rows belongs.

use crate::assemble::piece::{Axes, Piece, aligned, element};
use crate::error::{Error, Result};
use crate::plan::Sample;
use crate::voxel::{DType, MAX_AXES, Shape};

/// A model's output for a batch, one row a sample.
///
/// Shape: (batch, channel, spatial axes…). The spatial axes are those of the batch's rows, where a slice's
/// axis of one may be left out, or they are smaller by an even margin, as convolutions without padding
/// leave them: then the prediction lies in the middle of its row.
#[derive(Debug, Clone, Copy)]
pub struct Prediction<'a> {
    /// The memory that it lies in; element (0, 0, ...) comes first.
    pub bytes: &'a [u8],
    /// The type of its elements.
    pub dtype: DType,
    /// Its extents: batch, channel, spatial axes.
    pub shape: &'a [usize],
    /// The elements from one position to the next of each axis; dense where none are given.
    pub strides: Option<&'a [isize]>,
    /// The spatial axes of the rows that the model was given, where they are not those of the plan: rows
    /// that were cut to what lies inside, or padded at their far ends to a common shape.
    pub row: Option<&'a [usize]>,
}

impl<'a> Prediction<'a> {
    /// A dense prediction of the plan's rows.
    pub fn dense(bytes: &'a [u8], dtype: DType, shape: &'a [usize]) -> Self {
        Self { bytes, dtype, shape, strides: None, row: None }
    }
}

/// A prediction whose every element has been shown to lie in its memory.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) dtype: DType,
    pub(super) channels: usize,
    pub(super) channel_stride: usize,
    batch_stride: usize,
    spatial: &'a [usize],
    strides: Vec<usize>,
    row: Option<&'a [usize]>,
}

/// Where one row of a prediction belongs, and where its elements are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    /// The box of the row and the box of the volume.
    pub(super) piece: Piece,
    /// The element of the piece's first voxel in channel 0.
    pub(super) first: usize,
    /// The elements from one position to the next along each axis.
    pub(super) strides: Axes,
}

/// The extents that a sample's row may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowShapes {
    /// What the plan gives the sample.
    pub(super) planned: Shape,
    /// The largest that the plan gives any sample of its kind.
    pub(super) largest: Shape,
}

impl<'a> View<'a> {
    /// The view of a prediction for this many samples.
    ///
    /// # Errors
    /// `Argument` where it has other axes, no element, or elements outside its memory.
    pub(super) fn new(prediction: &Prediction<'a>, samples: usize) -> Result<Self> {
        Self::over(prediction, prediction.bytes.len(), samples)
    }

    /// The same for a prediction that has this many bytes elsewhere; nothing of it can be read.
    ///
    /// # Errors
    /// As above.
    pub(super) fn over(prediction: &Prediction<'a>, byte_len: usize, samples: usize) -> Result<Self> {
        let Prediction { bytes, dtype, shape, row, .. } = *prediction;
        let &[batch, channels, ref spatial @ ..] = shape else {
            let axes = shape.len();
            let text = format!("prediction has {axes} axes, expected batch, channel and spatial axes");
            return Err(Error::argument(text));
        };
        if batch != samples {
            return Err(Error::argument(format!("prediction has {batch} rows, the batch {samples} samples")));
        }
        if shape.iter().skip(1).any(|&extent| extent == 0) {
            return Err(Error::argument(format!("prediction has shape {}, so no voxel", listed(shape))));
        }
        let strides = strides(prediction)?;
        check_memory(prediction, byte_len, &strides)?;
        let &[batch_stride, channel_stride, ref rest @ ..] = strides.as_slice() else {
            return Err(Error::internal("a prediction without strides"));
        };
        let strides = rest.to_vec();
        Ok(Self { bytes, dtype, channels, channel_stride, batch_stride, spatial, strides, row })
    }

    /// Where a row belongs.
    ///
    /// # Errors
    /// `Argument` where it is larger than its sample's row, or smaller by an odd margin or by unequal ones:
    /// a channel axis that comes last would else pass for a margin.
    pub(super) fn place(&self, row: usize, sample: &Sample, shapes: &RowShapes) -> Result<Placed> {
        let planned = aligned(shapes.planned.extents(), 1);
        let largest = aligned(shapes.largest.extents(), 1);
        let volume_axes = (shapes.planned.ndim(), sample.thin);
        let misfit = || self.misfit(shapes);
        let extents = with_thin(self.spatial, volume_axes, 1).ok_or_else(misfit)?;
        let strides = with_thin(&self.strides, volume_axes, 0).ok_or_else(misfit)?;
        let given = match self.row {
            Some(row) => Some(with_thin(row, volume_axes, 1).ok_or_else(misfit)?),
            None => None,
        };
        let offset = aligned(sample.region.offset(), 0);
        let wanted = aligned(sample.region.shape().extents(), 1);
        let inside = aligned(sample.inside.offset(), 0);
        let valid = aligned(sample.inside.shape().extents(), 1);

        let mut piece =
            Piece { start: [0; MAX_AXES], source: [0; MAX_AXES], extent: [0; MAX_AXES], row: extents };
        let slots = piece.start.iter_mut().zip(&mut piece.source).zip(&mut piece.extent);
        let row_axes = extents.iter().zip(planned).zip(largest).zip(wanted);
        let regions = offset.iter().zip(inside).zip(valid);
        let given = given.map_or([None; MAX_AXES], |row| row.map(Some));
        let mut shared = None;
        for (((slot, axis), region), given) in slots.zip(row_axes).zip(regions).zip(given) {
            let ((start, source), extent) = slot;
            let (((&size, planned), largest), wanted) = axis;
            let ((&offset, inside), valid) = region;
            let whole = match given {
                Some(whole) => whole,
                None if (planned..=largest).contains(&size) => size,
                None => planned,
            };
            let margin = whole.checked_sub(size).filter(|margin| margin % 2 == 0 && whole >= wanted);
            let margin = margin.ok_or_else(misfit)? / 2;
            if whole > 1 && *shared.get_or_insert(margin) != margin {
                return Err(misfit());
            }
            let before = (inside - offset).max(0) as usize;
            let first = before.max(margin);
            *start = inside as usize + (first - before);
            *source = first - margin;
            *extent = (margin + size).min(before + valid).saturating_sub(first);
        }
        let first = row * self.batch_stride + element(&piece.source, &strides);
        Ok(Placed { piece, first, strides })
    }

    fn misfit(&self, shapes: &RowShapes) -> Error {
        let (found, expected) = (listed(self.spatial), self.row.map_or(shapes.planned.to_string(), listed));
        let text = format!(
            "prediction rows have shape {found}, expected {expected}, or the same even number less on every axis: \
             the axes are batch, channel, then spatial ones"
        );
        Error::argument(text)
    }
}

/// One number for each axis of a volume, with the axis of one put back that slices may leave out.
fn with_thin<T: Copy>(
    numbers: &[T],
    (ndim, thin): (usize, Option<usize>),
    missing: T,
) -> Option<[T; MAX_AXES]> {
    if numbers.len() == ndim {
        return Some(aligned(numbers, missing));
    }
    let (before, after) =
        thin.filter(|_| numbers.len() + 1 == ndim).and_then(|axis| numbers.split_at_checked(axis))?;
    Some(aligned(&[before, &[missing], after].concat(), missing))
}

/// The strides in elements, given or dense; an axis of one position has none.
fn strides(prediction: &Prediction<'_>) -> Result<Vec<usize>> {
    let shape = prediction.shape;
    let mut strides = vec![0usize; shape.len()];
    match prediction.strides {
        None => {
            let mut dense = 1usize;
            for (slot, &extent) in strides.iter_mut().zip(shape).rev() {
                *slot = dense;
                dense = dense.checked_mul(extent).ok_or_else(|| overflow(shape))?;
            }
        }
        Some(given) if given.len() != shape.len() => {
            let (given, axes) = (given.len(), shape.len());
            return Err(Error::argument(format!("prediction has {axes} axes but {given} strides")));
        }
        Some(given) => {
            for (slot, (&stride, &extent)) in strides.iter_mut().zip(given.iter().zip(shape)) {
                let stride = if extent <= 1 { Ok(0) } else { usize::try_from(stride) };
                *slot = stride.map_err(|_| {
                    let strides = given;
                    Error::argument(format!("prediction's strides {strides:?} leave its memory"))
                })?;
            }
        }
    }
    Ok(strides)
}

/// Makes sure that the farthest element lies in the memory, of this many bytes.
fn check_memory(prediction: &Prediction<'_>, given: usize, strides: &[usize]) -> Result<()> {
    let shape = prediction.shape;
    if shape.contains(&0) {
        return Ok(());
    }
    let mut elements = 1usize;
    for (&stride, &extent) in strides.iter().zip(shape) {
        let reach = stride.checked_mul(extent - 1).and_then(|reach| reach.checked_add(elements));
        elements = reach.ok_or_else(|| overflow(shape))?;
    }
    let needed = elements.checked_mul(prediction.dtype.byte_len()).ok_or_else(|| overflow(shape))?;
    if needed > given {
        let (shape, dtype) = (listed(shape), prediction.dtype);
        let text = format!("prediction has {given} bytes, expected {needed} for {shape} of {dtype}");
        return Err(Error::argument(text));
    }
    Ok(())
}

fn overflow(shape: &[usize]) -> Error {
    Error::argument(format!("prediction of shape {} is larger than any memory", listed(shape)))
}

fn listed(extents: &[usize]) -> String {
    let extents: Vec<_> = extents.iter().map(ToString::to_string).collect();
    format!("({})", extents.join(", "))
}
