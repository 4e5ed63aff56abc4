//! The kernels of one instruction set, and what they are told.

use crate::sys::kernels::plane::Plane;
use crate::voxel::DType;

/// Turns rows of packed elements of one dtype into another; true where all fit.
///
/// The slope and the intercept are for those that scale. To be called where the instruction set is present.
pub(in crate::sys) type Turn = unsafe fn(&[u8], &Plane, &mut [u8], [f64; 2]) -> bool;

/// Copies rows. To be called where the instruction set is present.
type Rows = unsafe fn(&[u8], &Plane, &mut [u8]);

/// Rows in pieces that fit the innermost cache, for whatever takes more than one step.
type Pieces = unsafe fn(&Job<'_>, &Plane, &mut [u8], &mut Scratch) -> bool;

/// The kernels of one instruction set.
pub(in crate::sys) struct Kernels {
    /// Copies rows through the caches.
    pub(in crate::sys) copy: Rows,
    /// Copies rows past the caches, to be followed by a fence.
    pub(in crate::sys) stream: Rows,
    /// Everything else.
    pub(in crate::sys) pieces: Pieces,
    /// The conversion of packed elements that are not scaled.
    pub(in crate::sys) turn: fn(DType, DType) -> Turn,
    /// The conversion of packed elements that are scaled on the way, for the targets that have one.
    pub(in crate::sys) scaled: fn(DType, DType) -> Option<Turn>,
    /// The conversion of packed elements to scaled f64.
    pub(in crate::sys) widened: fn(DType) -> Turn,
    /// Puts all elements of a chunk together, given their number and size.
    pub(in crate::sys) unshuffle: unsafe fn(&[u8], (usize, usize), &mut [u8]),
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

/// The elements that are turned at once where they must be packed or scaled first.
pub(super) const CHUNK: usize = 512;

/// How packed elements of one type become those of another.
#[derive(Clone, Copy)]
pub(in crate::sys) enum Turning {
    /// They stay what they are.
    None,
    /// In one pass.
    Once(Turn),
    /// Scaled into f64, then rounded.
    Twice(Turn, Turn),
}

/// What stays the same for all rows of a gather.
pub(in crate::sys) struct Job<'a> {
    /// All bytes of the source.
    pub(in crate::sys) source: &'a [u8],
    /// The bytes of a stored element.
    pub(in crate::sys) size: usize,
    /// The bytes of a wanted element.
    pub(in crate::sys) width: usize,
    /// Whether a stored element's bytes are in the other order.
    pub(in crate::sys) swapped: bool,
    /// From one byte of a stored element to its next, where they are parted.
    pub(in crate::sys) shuffled: Option<usize>,
    /// How they are converted.
    pub(in crate::sys) turning: Turning,
    /// Slope and intercept.
    pub(in crate::sys) scale: [f64; 2],
    /// Whether whole lines of the target go past the caches.
    pub(in crate::sys) streams: bool,
}

/// Room for one piece of a row at each stage of its way.
#[repr(align(64))]
pub(in crate::sys) struct Scratch {
    /// Stored elements, side by side and in this machine's byte order.
    pub(super) packed: [u8; CHUNK * 8],
    /// The same as f64.
    pub(super) wide: [u8; CHUNK * 8],
    /// Wanted elements that are streamed from here.
    pub(super) turned: [u8; CHUNK * 8],
}

impl Scratch {
    /// Room for a gather.
    pub(in crate::sys) fn new() -> Self {
        Self { packed: [0; CHUNK * 8], wide: [0; CHUNK * 8], turned: [0; CHUNK * 8] }
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

        use crate::sys::kernels::body;
        use crate::sys::kernels::element::{Bool, Element, To};
        use crate::sys::kernels::plane::Plane;
        use crate::sys::kernels::shuffle::unshuffle_row;
        use crate::sys::kernels::table::{Job, Kernels, Scratch, Turn, by_dtype};
        use crate::voxel::DType;

        /// The table.
        pub(super) static KERNELS: Kernels =
            Kernels { copy, stream, pieces, turn, scaled, widened, unshuffle };

        $(#[$features])*
        fn copy(source: &[u8], plane: &Plane, target: &mut [u8]) {
            body::copy_rows(source, plane, target);
        }

        $(#[$features])*
        fn stream(source: &[u8], plane: &Plane, target: &mut [u8]) {
            body::stream_rows(source, plane, target);
        }

        $(#[$features])*
        fn pieces(job: &Job<'_>, plane: &Plane, target: &mut [u8], scratch: &mut Scratch) -> bool {
            body::piece_rows(job, plane, target, scratch)
        }

        $(#[$features])*
        fn unshuffle(source: &[u8], (count, size): (usize, usize), target: &mut [u8]) {
            unshuffle_row(source, (count, size), target);
        }

        $(#[$features])*
        fn turned<S: Element + To<D>, D: Element>(
            source: &[u8],
            plane: &Plane,
            target: &mut [u8],
            _: [f64; 2],
        ) -> bool {
            body::turn_rows::<S, D>(source, plane, target)
        }

        $(#[$features])*
        fn scaled_to<S: Element + To<f64>, D: Element>(
            source: &[u8],
            plane: &Plane,
            target: &mut [u8],
            scale: [f64; 2],
        ) -> bool
        where
            f64: To<D>,
        {
            body::scale_rows::<S, D>(source, plane, target, scale)
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
