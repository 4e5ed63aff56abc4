//! The one copy of a voxel: from where it is stored, in whatever order and type, to where it is wanted.
//!
//! A source is any strided view of bytes; the destination is dense, slowest axis first. The runs of each
//! axis say which source positions its output positions take, so padding by mirrored or repeated voxels,
//! axes that run backwards and channels that are interleaved all are the same loop. Neighbouring axes that
//! lie side by side in source and destination are joined first, so that a whole slice can be one row.

use crate::error::{Error, Result};
use crate::sys::convert::{Fit, Scale};
use crate::sys::kernels::{Job, Kernels, Order, Stores};
use crate::sys::walk::Axes;
use crate::voxel::{DType, Run};

/// A strided view of stored voxels.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// The bytes that hold the voxels.
    pub bytes: &'a [u8],
    /// The byte at which source position (0, 0, ...) begins.
    pub first: usize,
    /// The bytes from one position to the next along each axis, channel first.
    ///
    /// They are counted from the first byte of a voxel to the first byte of the other.
    pub strides: &'a [isize],
    /// The stored dtype.
    pub dtype: DType,
    /// Whether the bytes of each voxel are in the order of the other kind of machine.
    pub swapped: bool,
    /// The bytes from one byte of a voxel to its next, where a filter parted them.
    ///
    /// A shuffled chunk of N voxels holds the first bytes of all of them, then all second bytes, and so on: the
    /// distance is N, and neighbouring voxels lie one byte apart, so that the strides count voxels.
    pub shuffled: Option<usize>,
    /// The linear map from stored numbers to values.
    pub scale: Option<Scale>,
}

/// Where the voxels go: dense, channel first, then the spatial axes, slowest first.
#[derive(Debug)]
pub struct Target<'a> {
    /// The destination.
    pub bytes: &'a mut [u8],
    /// The wanted dtype.
    pub dtype: DType,
    /// What happens to a value that does not fit.
    pub fit: Fit,
    /// Who reads the voxels next. Says nothing about what is written, only about how.
    pub stores: Stores,
}

/// Copies and converts voxels: axis k of the destination has `extents[k]` positions, filled by `runs[k]`.
///
/// Positions that no run reaches keep what they hold: [`fill`] is for them.
///
/// # Errors
/// `Argument` where the axes do not match or the destination has the wrong size; `Format` where the source
/// is too small for what the runs ask; `Range` where a value does not fit and [`Fit::Exact`] is asked.
pub fn gather(
    stored: &Stored<'_>,
    runs: &[&[Run]],
    extents: &[usize],
    target: &mut Target<'_>,
) -> Result<()> {
    gather_by(Kernels::of_this_machine(), stored, (runs, extents), target)
}

/// The same with kernels of the caller's choice.
fn gather_by(
    kernels: &'static Kernels,
    stored: &Stored<'_>,
    (runs, extents): (&[&[Run]], &[usize]),
    target: &mut Target<'_>,
) -> Result<()> {
    let mut axes = Axes::new((runs, extents), stored.strides, target.dtype.byte_len())?;
    if axes.target_bytes() != target.bytes.len() {
        let (given, expected) = (target.bytes.len(), axes.target_bytes());
        return Err(Error::argument(format!("destination has {given} bytes, expected {expected}")));
    }
    if axes.is_empty() {
        return Ok(());
    }
    let order = Order { swapped: stored.swapped, shuffled: stored.shuffled };
    let wanted = (target.dtype, stored.scale.map(Scale::numbers));
    let job = Job::new(kernels, stored.bytes, (stored.dtype, order), wanted, target.stores);
    axes.check_bounds(stored.first, job.reach(), stored.bytes.len())?;
    axes.join();
    axes.sort_by_locality();
    let fits = axes.walk(stored.first, &job, target.bytes);
    job.finish();
    if fits? || target.fit == Fit::Saturate {
        return Ok(());
    }
    Err(Error::range(format!(
        "a {} value does not fit {}: ask for a wider dtype, or for saturation",
        if stored.scale.is_some() { "scaled" } else { stored.dtype.name() },
        target.dtype
    )))
}

/// Fills the whole destination with one value.
///
/// # Errors
/// `Range` where it does not fit the dtype and [`Fit::Exact`] is asked.
pub fn fill(target: &mut Target<'_>, value: f64) -> Result<()> {
    let mut voxel = [0u8; 8];
    let voxel = voxel.get_mut(..target.dtype.byte_len()).unwrap_or_default();
    let fits = super::convert(&value.to_ne_bytes(), DType::F64, voxel, target.dtype);
    if !fits && target.fit == Fit::Exact {
        let dtype = target.dtype;
        return Err(Error::range(format!("padding value {value} does not fit {dtype}")));
    }
    if voxel.iter().all(|&byte| byte == 0) {
        target.bytes.fill(0);
    } else {
        for into in target.bytes.chunks_exact_mut(voxel.len()) {
            into.copy_from_slice(voxel);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn run(output: usize, len: usize, source: usize, step: isize) -> Run {
        Run { output, len, source, step }
    }

    /// Gathers from a (3, 4) volume of i16 that counts from 0.
    fn gathered(rows: &[Run], columns: &[Run], extents: [usize; 2], value: f64) -> Result<Vec<f32>> {
        let bytes: Vec<u8> = (0..12i16).flat_map(i16::to_ne_bytes).collect();
        let stored = Stored {
            bytes: &bytes,
            first: 0,
            strides: &[24, 8, 2],
            dtype: DType::I16,
            swapped: false,
            shuffled: None,
            scale: None,
        };
        let mut into = vec![0u8; extents[0] * extents[1] * 4];
        let mut target =
            Target { bytes: &mut into, dtype: DType::F32, fit: Fit::Exact, stores: Stores::Cached };
        fill(&mut target, value)?;
        gather(&stored, &[&[run(0, 1, 0, 1)], rows, columns], &[1, extents[0], extents[1]], &mut target)?;
        Ok(bytemuck::pod_collect_to_vec(&into))
    }

    #[test]
    fn whole_rows_are_joined_and_partial_ones_are_not() {
        let all: Vec<f32> = (0..12).map(|value| value as f32).collect();
        assert_eq!(gathered(&[run(0, 3, 0, 1)], &[run(0, 4, 0, 1)], [3, 4], 0.0).unwrap(), all);
        let part = gathered(&[run(0, 2, 1, 1)], &[run(0, 2, 1, 1)], [2, 2], 0.0).unwrap();
        assert_eq!(part, [5.0, 6.0, 9.0, 10.0]);
        let rows = gathered(&[run(0, 2, 1, 1)], &[run(0, 4, 0, 1)], [2, 4], 0.0).unwrap();
        assert_eq!(rows, all[4..]);
    }

    #[test]
    fn uncovered_positions_hold_the_fill_value() {
        let padded = gathered(&[run(1, 1, 0, 1)], &[run(0, 1, 3, 1)], [2, 2], -1.5).unwrap();
        assert_eq!(padded, [-1.5, -1.5, 3.0, -1.5]);
        assert_eq!(gathered(&[], &[], [1, 2], 4.0).unwrap(), [4.0, 4.0]);
    }

    #[test]
    fn backward_and_repeating_runs_read_what_they_say() {
        let mirrored = gathered(&[run(0, 3, 2, -1)], &[run(0, 4, 3, -1)], [3, 4], 0.0).unwrap();
        assert_eq!(mirrored, (0..12).rev().map(|value| value as f32).collect::<Vec<_>>());
        let edge = gathered(&[run(0, 2, 0, 0)], &[run(0, 2, 1, 1), run(2, 2, 2, 0)], [2, 4], 0.0).unwrap();
        assert_eq!(edge, [1.0, 2.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0]);
    }

    #[test]
    fn shuffled_voxels_are_put_together() {
        let values: Vec<i32> = (0..24).map(|k| k * 16_843_009 - 3).collect();
        let bytes: Vec<u8> =
            (0..4).flat_map(|p| values.iter().map(move |value| value.to_ne_bytes()[p])).collect();
        let (strides, shuffled) = ([6, 1], Some(24));
        let (dtype, swapped, scale) = (DType::I32, false, None);
        let stored = Stored { bytes: &bytes, first: 1, strides: &strides, dtype, swapped, shuffled, scale };
        for (columns, expected) in
            [(run(0, 3, 0, 1), [7, 8, 9, 19, 20, 21]), (run(0, 3, 4, -1), [11, 10, 9, 23, 22, 21])]
        {
            let mut into = [0u8; 24];
            let mut target = Target { bytes: &mut into, dtype, fit: Fit::Exact, stores: Stores::Cached };
            gather(&stored, &[&[run(0, 1, 1, 1), run(1, 1, 3, 1)], &[columns]], &[2, 3], &mut target)
                .unwrap();
            assert_eq!(bytemuck::pod_collect_to_vec::<u8, i32>(&into), expected.map(|k| values[k]));
        }
        let wide = Stored { shuffled: Some(25), ..stored };
        let mut into = [0u8; 4];
        let mut target = Target { bytes: &mut into, dtype, fit: Fit::Exact, stores: Stores::Cached };
        let error =
            gather(&wide, &[&[run(0, 1, 3, 1)], &[run(0, 1, 3, 1)]], &[1, 1], &mut target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
    }

    #[test]
    fn a_source_that_is_too_small_is_a_format_error() {
        let error = gathered(&[run(0, 2, 2, 1)], &[run(0, 4, 0, 1)], [2, 4], 0.0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
    }
}
