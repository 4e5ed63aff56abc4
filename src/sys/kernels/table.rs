//! The kernels of one instruction set, and how they are compiled for it.

use crate::sys::kernels::part::Channels;
use crate::sys::kernels::plane::{Plane, Strand};
use crate::voxel::DType;

/// Turns packed elements of one dtype into another; true where all fit.
///
/// The slope and the intercept are for those that scale. To be called where the instruction set is present, as
/// are all others here. Each is a function of its own for a row: within a larger one the compiler would lose
/// sight of source and target being apart.
pub(super) type Turn = unsafe fn(&[u8], &mut [u8], [f64; 2]) -> bool;

/// Copies rows.
type Rows = unsafe fn(&[u8], &Plane, &mut [u8]);

/// Copies a row of each strand in turn.
type Weave = unsafe fn(&mut [Strand<'_>], &mut [u8]);

/// Parts the channels of rows.
type Part = unsafe fn(&[u8], &Plane, &Channels, &mut [u8]);

/// Puts elements side by side, given two numbers that say where they are.
type Pack<T> = unsafe fn(&[u8], (T, usize), &mut [u8]);

/// Whether stored elements are values or have to be scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Scaled,
}

/// The kernels of one instruction set.
pub(in crate::sys) struct Kernels {
    /// Copies rows through the caches.
    pub(super) copy: Rows,
    /// Copies rows past the caches, to be followed by a fence.
    pub(super) stream: Rows,
    /// Copies rows of several sources in turn, through the caches.
    pub(super) weave: Weave,
    /// The same past the caches, to be followed by a fence.
    pub(super) stream_woven: Weave,
    /// The conversion of elements that are not scaled.
    pub(super) turn: fn(DType, DType) -> Turn,
    /// The conversion of elements that are scaled on the way, for the targets that have one.
    pub(super) scaled: fn(DType, DType) -> Option<Turn>,
    /// Conversions that write whole lines past the caches, scaled or not, for the targets that have one.
    pub(super) streamed: fn(DType, DType, Form) -> Option<Turn>,
    /// The conversion of elements to scaled f64.
    pub(super) widened: fn(DType) -> Turn,
    /// Collects elements of a size that lie so many bytes apart.
    pub(super) collect: Pack<isize>,
    /// Collects the rows of a plane, of elements of this size.
    pub(super) collect_rows: unsafe fn(&[u8], &Plane, usize, &mut [u8]),
    /// Puts each channel of voxels into rows of its own, through the caches.
    pub(super) part: Part,
    /// Puts elements of a size together whose bytes lie so far apart, and whose first bytes are neighbours.
    pub(super) unshuffle: Pack<usize>,
    /// Copies elements of a size with their bytes reversed.
    pub(super) swap_into: unsafe fn(&[u8], usize, &mut [u8]),
    /// Reverses the bytes of elements of a size.
    pub(super) swap: unsafe fn(&mut [u8], usize),
}

impl Kernels {
    /// Those of the best instruction set that this machine has.
    pub(in crate::sys) fn of_this_machine() -> &'static Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return &super::avx2::KERNELS;
        }
        &super::baseline::KERNELS
    }

    /// Those that every machine has.
    #[cfg(test)]
    pub(in crate::sys) fn of_every_machine() -> &'static Self {
        &super::baseline::KERNELS
    }
}

/// What the macro `$of` gives for the type of a dtype.
macro_rules! by_dtype {
    ($dtype:expr, $of:ident) => {
        match $dtype {
            DType::Bool => $of!(Bool),
            DType::U8 => $of!(u8),
            DType::I8 => $of!(i8),
            DType::U16 => $of!(u16),
            DType::I16 => $of!(i16),
            DType::U32 => $of!(u32),
            DType::I32 => $of!(i32),
            DType::U64 => $of!(u64),
            DType::I64 => $of!(i64),
            DType::F16 => $of!(f16),
            DType::F32 => $of!(f32),
            DType::F64 => $of!(f64),
        }
    };
}
pub(super) use by_dtype;

/// Compiles all kernels with some attributes: those that enable an instruction set.
macro_rules! kernels {
    ($(#[$features:meta])*) => {
        use half::f16;

        use crate::sys::kernels::{body, collect};
        use crate::sys::kernels::part::{Channels, part_rows};
        use crate::sys::kernels::element::{Bool, Element, To};
        use crate::sys::kernels::plane::{Plane, Strand};
        use crate::sys::kernels::shuffle::unshuffle_row;
        use crate::sys::kernels::table::{Form, Kernels, Turn, by_dtype};
        use crate::voxel::DType;

        /// The table.
        pub(super) static KERNELS: Kernels =
            Kernels {
                copy, stream, weave, stream_woven, turn, scaled, streamed, widened, collect, collect_rows, part,
                unshuffle, swap_into, swap,
            };

        $(#[$features])*
        fn copy(source: &[u8], plane: &Plane, target: &mut [u8]) {
            body::copy_rows(source, plane, target);
        }

        $(#[$features])*
        fn stream(source: &[u8], plane: &Plane, target: &mut [u8]) {
            body::stream_rows(source, plane, target, |from, into| stream_line(from, into));
        }

        $(#[$features])*
        fn weave(strands: &mut [Strand<'_>], target: &mut [u8]) {
            body::weave_rows(strands, target);
        }

        $(#[$features])*
        fn stream_woven(strands: &mut [Strand<'_>], target: &mut [u8]) {
            body::stream_woven(strands, target, |from, into| stream_line(from, into));
        }

        $(#[$features])*
        fn turned<S: Element + To<D>, D: Element>(source: &[u8], target: &mut [u8], _: [f64; 2]) -> bool {
            body::turn_row::<S, D>(source, target)
        }

        $(#[$features])*
        fn scaled_to<S: Element + To<f64>, D: Element>(
            source: &[u8],
            target: &mut [u8],
            scale: [f64; 2],
        ) -> bool
        where
            f64: To<D>,
        {
            body::scale_row::<S, D>(source, target, scale)
        }

        $(#[$features])*
        fn turned_past<S: Element + To<D>, D: Element>(
            source: &[u8],
            target: &mut [u8],
            _: [f64; 2],
        ) -> bool {
            body::turn_row_streamed::<S, D>(source, target, |from, into| stream_line(from, into))
        }

        $(#[$features])*
        fn scaled_past<S: Element + To<f64>, D: Element>(
            source: &[u8],
            target: &mut [u8],
            scale: [f64; 2],
        ) -> bool
        where
            f64: To<D>,
        {
            body::scale_row_streamed::<S, D>(source, target, scale, |from, into| stream_line(from, into))
        }

        $(#[$features])*
        fn collect_rows(source: &[u8], plane: &Plane, size: usize, target: &mut [u8]) {
            collect::collect_rows(source, plane, size, target);
        }

        $(#[$features])*
        fn part(source: &[u8], plane: &Plane, channels: &Channels, target: &mut [u8]) {
            part_rows(source, plane, channels, target);
        }

        $(#[$features])*
        fn collect(source: &[u8], (step, size): (isize, usize), target: &mut [u8]) {
            collect::collect(source, step, size, target);
        }

        $(#[$features])*
        fn unshuffle(source: &[u8], (distance, size): (usize, usize), target: &mut [u8]) {
            unshuffle_row(source, (distance, size), target);
        }

        $(#[$features])*
        fn swap_into(source: &[u8], size: usize, target: &mut [u8]) {
            body::swap_into(source, size, target);
        }

        $(#[$features])*
        fn swap(elements: &mut [u8], size: usize) {
            body::swap(elements, size);
        }

        fn turn_from<S>(into: DType) -> Turn
        where
            S: Element + To<Bool> + To<u8> + To<i8> + To<u16> + To<i16> + To<u32> + To<i32>,
            S: To<u64> + To<i64> + To<f16> + To<f32> + To<f64>,
        {
            macro_rules! to {
                ($type:ty) => {
                    turned::<S, $type>
                };
            }
            by_dtype!(into, to)
        }

        fn turn(from: DType, into: DType) -> Turn {
            macro_rules! from {
                ($type:ty) => {
                    turn_from::<$type>(into)
                };
            }
            by_dtype!(from, from)
        }

        fn scaled(from: DType, into: DType) -> Option<Turn> {
            macro_rules! from {
                ($type:ty) => {
                    match into {
                        DType::F16 => Some(scaled_to::<$type, f16>),
                        DType::F32 => Some(scaled_to::<$type, f32>),
                        _ => None,
                    }
                };
            }
            by_dtype!(from, from)
        }

        fn streamed(from: DType, into: DType, form: Form) -> Option<Turn> {
            macro_rules! from {
                ($type:ty) => {
                    match (into, form) {
                        (DType::F16, Form::Plain) => Some(turned_past::<$type, f16>),
                        (DType::F32, Form::Plain) => Some(turned_past::<$type, f32>),
                        (DType::F16, Form::Scaled) => Some(scaled_past::<$type, f16>),
                        (DType::F32, Form::Scaled) => Some(scaled_past::<$type, f32>),
                        _ => None,
                    }
                };
            }
            by_dtype!(from, from)
        }

        fn widened(from: DType) -> Turn {
            macro_rules! from {
                ($type:ty) => {
                    scaled_to::<$type, f64>
                };
            }
            by_dtype!(from, from)
        }
    };
}
pub(super) use kernels;
