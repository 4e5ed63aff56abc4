//! The twelve element types, and the nearest value of one for a value of another.
//!
//! Everything is plain arithmetic without branches, so that loops over it vectorise.

#![expect(clippy::manual_range_contains, reason = "vectors make both comparisons, whatever the first gives")]

use half::f16;

use crate::sys::kernels::half::{
    half_from_single, single_for_half, single_from_half, usual_half_from_single, usual_single_for_half,
    usual_single_from_half,
};

/// A byte that is read as false where zero and true otherwise.
#[derive(Clone, Copy)]
pub(super) struct Bool(pub(super) u8);

/// An element as its bytes in this machine's order.
pub(super) trait Element: Copy {
    type Bytes: for<'a> TryFrom<&'a [u8]>;
    const LEN: usize;
    fn load(bytes: Self::Bytes) -> Self;
    fn store(self, bytes: &mut [u8]);
}

macro_rules! elements {
    ($($type:ty),*) => { $(
        impl Element for $type {
            type Bytes = [u8; size_of::<$type>()];
            const LEN: usize = size_of::<$type>();
            #[inline(always)]
            fn load(bytes: Self::Bytes) -> Self {
                <$type>::from_ne_bytes(bytes)
            }
            #[inline(always)]
            fn store(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }
        }
    )* };
}
elements!(u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64);

impl Element for Bool {
    type Bytes = [u8; 1];
    const LEN: usize = 1;
    #[inline(always)]
    fn load([byte]: [u8; 1]) -> Self {
        Bool(byte)
    }
    #[inline(always)]
    fn store(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&[self.0]);
    }
}

/// The nearest value of another type, and whether it is the same value (but for rounding).
pub(super) trait To<D>: Copy {
    fn to(self) -> (D, bool);

    /// The same in fewer steps for usual values; false where the value is not usual, and what came is nothing.
    #[inline(always)]
    fn usual(self) -> (D, bool) {
        self.to()
    }
}

macro_rules! integers_to_integers {
    ($($from:ty => [$($into:ty),*]);* $(;)?) => { $($(
        impl To<$into> for $from {
            #[inline(always)]
            #[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
            fn to(self) -> ($into, bool) {
                // What both types hold, in the type at hand: vectors have no wider one.
                const LOW: $from = if (<$into>::MIN as i128) < <$from>::MIN as i128 {
                    <$from>::MIN
                } else {
                    <$into>::MIN as $from
                };
                const HIGH: $from = if (<$into>::MAX as i128) > <$from>::MAX as i128 {
                    <$from>::MAX
                } else {
                    <$into>::MAX as $from
                };
                let near = self.clamp(LOW, HIGH);
                (near as $into, near == self)
            }
        }
    )*)* };
}
integers_to_integers! {
    u8 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i8 => [u8, i8, u16, i16, u32, i32, u64, i64];
    u16 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i16 => [u8, i8, u16, i16, u32, i32, u64, i64];
    u32 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i32 => [u8, i8, u16, i16, u32, i32, u64, i64];
    u64 => [u8, i8, u16, i16, u32, i32, u64, i64];
    i64 => [u8, i8, u16, i16, u32, i32, u64, i64];
}

macro_rules! integers_to_floats {
    ($($from:ty),*) => { $(
        impl To<f32> for $from {
            #[inline(always)]
            fn to(self) -> (f32, bool) {
                (self as f32, true)
            }
        }
        impl To<f64> for $from {
            #[inline(always)]
            fn to(self) -> (f64, bool) {
                (self as f64, true)
            }
        }
        impl To<Bool> for $from {
            #[inline(always)]
            fn to(self) -> (Bool, bool) {
                (Bool(u8::from(self != 0)), true)
            }
        }
        impl To<$from> for Bool {
            #[inline(always)]
            fn to(self) -> ($from, bool) {
                (<$from>::from(self.0 != 0), true)
            }
        }
    )* };
}
integers_to_floats!(u8, i8, u16, i16, u32, i32, u64, i64);

/// Rounds half to even by adding a number so large that nothing behind the point has room, which works for
/// all integers of up to the width of the bits and, unlike a rounding instruction, on every machine.
macro_rules! floats_to_short_integers {
    ($float:ident, $bits:ident, $large:expr => $($into:ty),*) => { $(
        impl To<$into> for $float {
            #[inline(always)]
            fn to(self) -> ($into, bool) {
                const LOW: $float = <$into>::MIN as $float;
                const HIGH: $float = <$into>::MAX as $float;
                let near = if self > HIGH { HIGH } else { self };
                let near = if near < LOW { LOW } else { near };
                let near = if near.is_nan() { 0.0 } else { near };
                let bits = (near + $large).to_bits().wrapping_sub($float::to_bits($large));
                // Ties at the ends: the lowest integer is even, the highest odd.
                (bits as $into, (self >= LOW - 0.5) & (self < HIGH + 0.5))
            }
            #[inline(always)]
            fn usual(self) -> ($into, bool) {
                const LOW: $float = <$into>::MIN as $float;
                const HIGH: $float = <$into>::MAX as $float;
                let bits = (self + $large).to_bits().wrapping_sub($float::to_bits($large));
                (bits as $into, (self >= LOW - 0.5) & (self < HIGH + 0.5))
            }
        }
    )* };
}
floats_to_short_integers!(f32, u32, 12_582_912.0 => u8, i8, u16, i16);
floats_to_short_integers!(f64, u64, 6_755_399_441_055_744.0 => u8, i8, u16, i16, u32, i32);

macro_rules! floats_to_long_integers {
    ($float:ty => $($into:ty),*) => { $(
        impl To<$into> for $float {
            #[inline(always)]
            fn to(self) -> ($into, bool) {
                let rounded = self.round_ties_even();
                // The upper bound is exact as a power of two, also where the largest integer is not.
                let low = <$into>::MIN as $float;
                let above = (<$into>::MAX / 2 + 1) as $float * 2.0;
                (rounded as $into, (rounded >= low) & (rounded < above))
            }
        }
    )* };
}
floats_to_long_integers!(f32 => u64, i64);
floats_to_long_integers!(f64 => u64, i64);

macro_rules! by_way_of {
    ($($from:ty => $way:ident => [$($into:ty),*]);* $(;)?) => { $($(
        impl To<$into> for $from {
            #[inline(always)]
            fn to(self) -> ($into, bool) {
                let (exact, _): ($way, bool) = self.to();
                exact.to()
            }
            #[inline(always)]
            fn usual(self) -> ($into, bool) {
                let (exact, sure): ($way, bool) = self.usual();
                let (value, usual): ($into, bool) = exact.usual();
                (value, sure & usual)
            }
        }
    )*)* };
}
by_way_of! {
    f32 => f64 => [u32, i32];
    f16 => f32 => [u8, i8, u16, i16, u32, i32, u64, i64, Bool];
    u8 => f32 => [f16];
    i8 => f32 => [f16];
    u16 => f32 => [f16];
    i16 => f32 => [f16];
    u32 => f64 => [f16];
    i32 => f64 => [f16];
    u64 => f64 => [f16];
    i64 => f64 => [f16];
}

macro_rules! floats_to_floats {
    ($($from:ty, $into:ty, |$value:ident| $body:expr $(, usual $usual:expr)?);* $(;)?) => { $(
        impl To<$into> for $from {
            #[inline(always)]
            fn to(self) -> ($into, bool) {
                let $value = self;
                $body
            }
            $(
                #[inline(always)]
                fn usual(self) -> ($into, bool) {
                    let $value = self;
                    $usual
                }
            )?
        }
    )* };
}
floats_to_floats! {
    f16, f16, |x| (x, true);
    f32, f32, |x| (x, true);
    f64, f64, |x| (x, true);
    f16, f32, |x| (single_from_half(x), true), usual usual_single_from_half(x);
    f16, f64, |x| (f64::from(single_from_half(x)), true), usual {
        let (single, usual) = usual_single_from_half(x);
        (f64::from(single), usual)
    };
    f32, f64, |x| (f64::from(x), true);
    f64, f32, |x| {
        // From here on, half a step above the largest single, the nearest one would be infinite.
        const ABOVE: f64 = f32::MAX as f64 + (1u128 << 103) as f64;
        let lost = (x.abs() >= ABOVE) & (x.abs() < f64::INFINITY);
        ((if lost { f64::from(f32::MAX).copysign(x) } else { x }) as f32, !lost)
    }, usual (x as f32, (x as f32).abs() != f32::INFINITY);
    f32, f16, |x| half_from_single(x), usual usual_half_from_single(x);
    f64, f16, |x| half_from_single(single_for_half(x)), usual usual_half_from_single(usual_single_for_half(x));
    f32, Bool, |x| (Bool(u8::from(x != 0.0 && !x.is_nan())), !x.is_nan());
    f64, Bool, |x| (Bool(u8::from(x != 0.0 && !x.is_nan())), !x.is_nan());
    Bool, f16, |x| (if x.0 != 0 { f16::ONE } else { f16::ZERO }, true);
    Bool, f32, |x| (f32::from(u8::from(x.0 != 0)), true);
    Bool, f64, |x| (f64::from(u8::from(x.0 != 0)), true);
    Bool, Bool, |x| (Bool(u8::from(x.0 != 0)), true);
}
