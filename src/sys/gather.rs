//! The one copy of a voxel: from where it is stored, in whatever order and type, to where it is wanted.
//!
//! A source is any strided view of bytes; the destination is dense, slowest axis first. The runs of each
//! axis say which source positions its output positions take, so padding by mirrored or repeated voxels,
//! axes that run backwards and channels that are interleaved all are the same loop. Neighbouring axes that
//! lie side by side in source and destination are joined first, so that a whole slice can be one row.

use crate::error::{Error, Result};
use crate::sys::axes::{Axes, Beside, MOST_BESIDE};
use crate::sys::convert::{Fit, Scale};
use crate::sys::kernels::{Job, Kernels, Order, Stores};
use crate::sys::walk::walk;
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

impl Stored<'_> {
    /// Whether another view has the same layout, dtype and scale, over other bytes.
    fn is_like(&self, other: &Stored<'_>) -> bool {
        let of = |stored: &Stored<'_>| (stored.dtype, stored.swapped, stored.shuffled, stored.scale);
        self.strides == other.strides && of(self) == of(other)
    }
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
    gather_beside(std::slice::from_ref(stored), &[], (runs, extents, None), target)
}

/// The same from sources that lie side by side along the last axis, each with runs of its own there, and where the
/// destination's slowest axis may have a pitch: so many bytes from one position to the next; it ends with its last
/// voxel.
///
/// The sources have one layout and dtype. Their rows are written in turn, so that the destination is filled from one
/// end to the other. One source alone has the runs that are given for all axes.
///
/// # Errors
/// Those of [`gather`]; `Argument` where a position does not fit the pitch, or where the sources differ or are more
/// than [`MOST_BESIDE`].
pub fn gather_beside(
    stored: &[Stored<'_>],
    along: &[&[Run]],
    place: (&[&[Run]], &[usize], Option<usize>),
    target: &mut Target<'_>,
) -> Result<()> {
    gather_by(Kernels::of_this_machine(), (stored, along), place, target)
}

/// The same with kernels of the caller's choice.
pub(super) fn gather_by(
    kernels: &'static Kernels,
    (all, along): (&[Stored<'_>], &[&[Run]]),
    (runs, extents, pitch): (&[&[Run]], &[usize], Option<usize>),
    target: &mut Target<'_>,
) -> Result<()> {
    let mut sources = [Beside::default(); MOST_BESIDE];
    let (Some(stored), Some(sources)) = (all.first(), sources.get_mut(..all.len())) else {
        return Err(Error::argument(format!("{} sources, expected 1 to {MOST_BESIDE}", all.len())));
    };
    if all.len() > 1 && (along.len() != all.len() || !all.iter().all(|other| other.is_like(stored))) {
        return Err(Error::argument("sources that lie side by side differ"));
    }
    for (number, (source, stored)) in sources.iter_mut().zip(all).enumerate() {
        let along = if all.len() > 1 { along.get(number) } else { runs.last() };
        *source =
            Beside { bytes: stored.bytes, first: stored.first, along: along.copied().unwrap_or_default() };
    }
    let mut axes = Axes::new((runs, extents), stored.strides, (target.dtype.byte_len(), pitch))?;
    if axes.target_bytes() != target.bytes.len() {
        let (given, expected) = (target.bytes.len(), axes.target_bytes());
        return Err(Error::argument(format!("destination has {given} bytes, expected {expected}")));
    }
    if axes.is_empty() {
        return Ok(());
    }
    let order = Order { swapped: stored.swapped, shuffled: stored.shuffled };
    let wanted = (target.dtype, stored.scale.map(Scale::numbers));
    let job = Job::new(kernels, (stored.dtype, order), wanted, target.stores);
    for source in &*sources {
        axes.check_bounds(source, job.reach())?;
    }
    axes.join(sources.len());
    axes.sort_by_locality();
    let fits = walk(&axes, sources, &job, target.bytes);
    job.finish();
    if fits? || target.fit == Fit::Saturate {
        return Ok(());
    }
    Err(Error::range(format!(
        "a {}value of dtype {} does not fit {}: ask for a wider dtype, or for fit = saturate",
        if stored.scale.is_some() { "scaled " } else { "" },
        stored.dtype,
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
    use proptest::prelude::*;

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
    fn rows_that_stand_apart_leave_what_is_between_them() {
        let bytes: Vec<u8> = (0..12).collect();
        let (dtype, swapped, shuffled, scale) = (DType::U8, false, None, None);
        let stored = Stored { bytes: &bytes, first: 4, strides: &[4, 1], dtype, swapped, shuffled, scale };
        let apart = |pitch, len| {
            let mut into = vec![99u8; len];
            let mut target = Target { bytes: &mut into, dtype, fit: Fit::Exact, stores: Stores::Cached };
            let (rows, columns) = ([run(0, 2, 0, 1)], [run(0, 4, 0, 1)]);
            let place: (&[&[Run]], &[usize], _) = (&[&rows, &columns], &[2, 4], Some(pitch));
            gather_beside(&[stored], &[], place, &mut target).map(|()| into)
        };
        assert_eq!(apart(6, 10).unwrap(), [4, 5, 6, 7, 99, 99, 8, 9, 10, 11]);
        assert_eq!(apart(4, 8).unwrap(), [4, 5, 6, 7, 8, 9, 10, 11]);
        for (pitch, len) in [(3, 7), (6, 11), (usize::MAX, 10)] {
            assert!(apart(pitch, len).is_err(), "{pitch}");
        }
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

    /// A number on its way, as wide as it takes.
    #[derive(Clone, Copy)]
    enum Wide {
        Whole(i128),
        Real(f64),
    }

    fn read(dtype: DType, bytes: &[u8]) -> Wide {
        macro_rules! as_type {
            ($type:ty) => {
                <$type>::from_ne_bytes(bytes.try_into().unwrap())
            };
        }
        match dtype {
            DType::Bool => Wide::Whole(i128::from(bytes[0] != 0)),
            DType::U8 => Wide::Whole(as_type!(u8).into()),
            DType::I8 => Wide::Whole(as_type!(i8).into()),
            DType::U16 => Wide::Whole(as_type!(u16).into()),
            DType::I16 => Wide::Whole(as_type!(i16).into()),
            DType::U32 => Wide::Whole(as_type!(u32).into()),
            DType::I32 => Wide::Whole(as_type!(i32).into()),
            DType::U64 => Wide::Whole(as_type!(u64).into()),
            DType::I64 => Wide::Whole(as_type!(i64).into()),
            DType::F16 => Wide::Real(half::f16::from_bits(as_type!(u16)).to_f64_const()),
            DType::F32 => Wide::Real(as_type!(f32).into()),
            DType::F64 => Wide::Real(as_type!(f64)),
        }
    }

    /// The nearest number that the dtype holds, and whether it was near; half precision by looking for it.
    fn near(value: Wide, dtype: DType) -> (Wide, bool) {
        let real = match value {
            Wide::Whole(whole) if dtype == DType::F32 => f64::from(whole as f32),
            Wide::Whole(whole) => whole as f64,
            Wide::Real(real) => real,
        };
        let range = match dtype {
            DType::Bool if real.is_nan() => return (Wide::Whole(0), false),
            DType::Bool => return (Wide::Whole(i128::from(real != 0.0)), true),
            DType::U8 => (0, u8::MAX.into()),
            DType::I8 => (i8::MIN.into(), i8::MAX.into()),
            DType::U16 => (0, u16::MAX.into()),
            DType::I16 => (i16::MIN.into(), i16::MAX.into()),
            DType::U32 => (0, u32::MAX.into()),
            DType::I32 => (i32::MIN.into(), i32::MAX.into()),
            DType::U64 => (0, u64::MAX.into()),
            DType::I64 => (i64::MIN.into(), i64::MAX.into()),
            DType::F64 => return (Wide::Real(real), true),
            DType::F16 | DType::F32 => {
                let (step, most) =
                    if dtype == DType::F16 { (11, 65504.0) } else { (24, f64::from(f32::MAX)) };
                if !real.is_finite() || real == 0.0 {
                    return (Wide::Real(real), true);
                }
                let least = if dtype == DType::F16 { -14 } else { -126 };
                let exponent = (((real.to_bits() >> 52) & 0x7ff) as i32 - 1023).max(least);
                // Rounding at a power of two is exact, and so is going there and back; in two steps, since
                // the power itself may be more than an f64 holds.
                let (first, second) =
                    ((step - 1 - exponent) / 2, (step - 1 - exponent) - (step - 1 - exponent) / 2);
                let units = (real * 2f64.powi(first) * 2f64.powi(second)).round_ties_even();
                let rounded = units * 2f64.powi(-first) * 2f64.powi(-second);
                let fits = rounded.abs() <= most;
                return (Wide::Real(if fits { rounded } else { most.copysign(real) }), fits);
            }
        };
        let whole = match value {
            Wide::Whole(whole) => whole,
            Wide::Real(real) if real.is_nan() => return (Wide::Whole(0), false),
            // Saturates far outside of every range.
            Wide::Real(real) => real.round_ties_even() as i128,
        };
        (Wide::Whole(whole.clamp(range.0, range.1)), range.0 <= whole && whole <= range.1)
    }

    /// Every voxel on its own: what comes out, and whether all fit.
    fn plain(stored: &Stored<'_>, runs: &[&[Run]; 2], extents: [usize; 2], into: DType) -> (Vec<Wide>, bool) {
        let (mut out, mut fits) = (vec![Wide::Whole(0); extents[0] * extents[1]], true);
        for y in runs[0].iter().flat_map(|run| (0..run.len as isize).map(move |k| (run, k))) {
            for x in runs[1].iter().flat_map(|run| (0..run.len as isize).map(move |k| (run, k))) {
                let place = |(run, k): (&Run, isize)| run.source as isize + k * run.step;
                let from =
                    stored.first as isize + place(y) * stored.strides[0] + place(x) * stored.strides[1];
                let distance = stored.shuffled.unwrap_or(1);
                let mut bytes: Vec<u8> = (0..stored.dtype.byte_len())
                    .map(|p| stored.bytes[from as usize + p * distance])
                    .collect();
                if stored.swapped {
                    bytes.reverse();
                }
                let mut value = read(stored.dtype, &bytes);
                if let Some(Scale { slope, intercept }) = stored.scale {
                    let real = match value {
                        Wide::Whole(whole) => whole as f64,
                        Wide::Real(real) => real,
                    };
                    value = Wide::Real(real * slope + intercept);
                }
                let (value, fit) = near(value, into);
                fits &= fit;
                out[(y.0.output + y.1 as usize) * extents[1] + x.0.output + x.1 as usize] = value;
            }
        }
        (out, fits)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_instruction_set_gives_what_a_plain_reckoning_gives(
            (from, into) in (0..12usize, 0..12usize).prop_map(|(a, b)| (DType::ALL[a], DType::ALL[b])),
            (len, rows) in (1..150usize, 1..4usize),
            (step, spacing) in (prop_oneof![Just(1isize), Just(-1), Just(0)], 1..4usize),
            (offset, shift) in (0..9usize, 0..70usize),
            (swapped, shuffled, streams) in any::<(bool, bool, bool)>(),
            scale in prop_oneof![
                Just(None),
                (-3.0..3.0f64, -900.0..900.0f64).prop_map(|(slope, intercept)| Some(Scale { slope, intercept })),
                Just(Some(Scale { slope: 1e36, intercept: 0.5 })),
            ],
            (seed, kind) in (any::<u64>(), 0..4u8),
        ) {
            let size = from.byte_len();
            let columns = len * spacing;
            let count = rows * columns;
            // Bits of all kinds; small numbers; ones that float to integer rounds; special ones.
            let mut state = seed | 1;
            let mut bytes = vec![0u8; offset + count * size];
            for voxel in bytes[offset..].chunks_exact_mut(size) {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                let bits = state >> 20;
                let small = (bits % 600) as f64 / 2.0 - 70.0;
                let special = [f64::NAN, f64::INFINITY, -f64::INFINITY, 65519.9, 65520.0, 3.4028236e38, -0.0, 1e-7];
                let value = if kind == 3 && bits % 5 == 0 { special[(bits / 5) as usize % 8] } else { small };
                if kind > 0 {
                    assert!(crate::sys::convert(&value.to_ne_bytes(), DType::F64, voxel, from) || from != DType::F64);
                } else {
                    voxel.copy_from_slice(&(state ^ state >> 31).to_le_bytes()[..size]);
                }
            }
            let unit = if shuffled { 1 } else { size as isize };
            let strides = [columns as isize * unit, spacing as isize * unit];
            let shuffled = shuffled.then_some(count);
            let first = if step < 0 { len - 1 } else { 0 };
            let along = [run(0, len, first, step)];
            let across = [run(0, rows, 0, 1)];
            let stored = Stored { bytes: &bytes, first: offset, strides: &strides, dtype: from, swapped, shuffled, scale };
            let (expected, fit) = plain(&stored, &[&across, &along], [rows, len], into);
            let stores = if streams { Stores::Streaming } else { Stores::Cached };
            let mut seen = Vec::new();
            for kernels in [Kernels::of_every_machine(), Kernels::of_this_machine()] {
                let mut room = vec![0u8; shift + rows * len * into.byte_len() + 3];
                let part = shift..shift + rows * len * into.byte_len();
                for fitting in [Fit::Exact, Fit::Saturate] {
                    let mut target = Target { bytes: &mut room[part.clone()], dtype: into, fit: fitting, stores };
                    let done = gather_by(kernels, (&[stored], &[]), (&[&across, &along], &[rows, len], None), &mut target);
                    prop_assert_eq!(done.is_ok(), fit || fitting == Fit::Saturate);
                }
                prop_assert!(room[..shift].iter().chain(&room[part.end..]).all(|&byte| byte == 0));
                for (bytes, &expected) in room[part].chunks_exact(into.byte_len()).zip(&expected) {
                    match (read(into, bytes), expected) {
                        (Wide::Whole(value), Wide::Whole(expected)) => prop_assert_eq!(value, expected),
                        (Wide::Real(value), Wide::Real(expected)) => {
                            let none = value.is_nan() && expected.is_nan();
                            prop_assert!(none || value.to_bits() == expected.to_bits(), "{} {}", value, expected);
                        }
                        _ => prop_assert!(false, "whole and real"),
                    }
                }
                seen.push(room);
            }
            prop_assert!(seen[0] == seen[1]);
        }
    }
}
