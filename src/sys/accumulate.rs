//! Adding rows of predictions to sums: the inner loops of assembly, safe and plain so that they vectorise.
//!
//! Each loop exists once and is compiled twice, for every x86-64 and for those with AVX2. Both do the same
//! operations in the same order, none fused, so that the instruction set cannot change a bit.

use std::ops::{AddAssign, Div, Mul};

use crate::voxel::DType;

/// A number that sums are kept in.
pub trait Number:
    bytemuck::Pod + Send + Sync + PartialOrd + AddAssign + Mul<Output = Self> + Div<Output = Self>
{
    /// A type whose values it holds as they are, so that they are added without a copy: none but itself for u8.
    type Narrow: bytemuck::Pod + Sync + Into<Self>;
    /// Its dtype.
    const DTYPE: DType;
    /// The dtype of the narrower type.
    const NARROW: DType;
    /// Nothing.
    const ZERO: Self;
    /// The nearest one to this value.
    fn from_f64(value: f64) -> Self;
}

macro_rules! numbers {
    ($($type:ty => $dtype:ident, $narrow:ty => $narrow_dtype:ident);*) => { $(
        impl Number for $type {
            type Narrow = $narrow;
            const DTYPE: DType = DType::$dtype;
            const NARROW: DType = DType::$narrow_dtype;
            const ZERO: Self = 0 as $type;
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $type
            }
        }
    )* };
}
numbers!(u8 => U8, u8 => U8; f32 => F32, u8 => U8; f64 => F64, f32 => F32);

/// Rows of one width, and where they lie in the sums and in the source, counted in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sheet {
    /// The number of rows.
    pub rows: usize,
    /// The elements of a row.
    pub width: usize,
    /// The first element in the sums.
    pub target: usize,
    /// From one row to the next in the sums.
    pub target_stride: usize,
    /// The first element in the source.
    pub source: usize,
    /// From one row to the next in the source.
    pub source_stride: usize,
}

/// The weights of a sheet as a product: element x of row y weighs `(factor * rows[y]) * columns[x]`.
#[derive(Debug, Clone, Copy)]
pub struct Weights<'a, T> {
    /// What the sheet as a whole weighs.
    pub factor: T,
    /// What each row weighs.
    pub rows: &'a [T],
    /// What each column weighs.
    pub columns: &'a [T],
}

impl Sheet {
    /// Each row of the sums with its row of the source; rows that lie outside are empty.
    #[inline(always)]
    fn each<T, S>(&self, sums: &mut [T], source: &[S], mut visit: impl FnMut(usize, &mut [T], &[S])) {
        let (mut to, mut from) = (self.target, self.source);
        for row in 0..self.rows {
            let into = sums.get_mut(to..to + self.width).unwrap_or_default();
            visit(row, into, source.get(from..from + self.width).unwrap_or_default());
            to += self.target_stride;
            from += self.source_stride;
        }
    }
}

/// Compiles a loop for the machines with wider vectors too, and chooses at run time.
macro_rules! vectorised {
    ($(#[$doc:meta])* $name:ident, $wide:ident, $plain:ident, [$($generic:ident: $bound:path),*],
     ($($argument:ident: $type:ty),* $(,)?)) => {
        $(#[$doc])*
        pub fn $name<T: Number $(, $generic: bytemuck::Pod + $bound)*>($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the line above has asked the processor for these instructions.
                return unsafe { $wide($($argument),*) };
            }
            $plain($($argument),*);
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn $wide<T: Number $(, $generic: bytemuck::Pod + $bound)*>($($argument: $type),*) {
            $plain($($argument),*);
        }
    };
}

vectorised! {
    /// Puts the rows of a sheet in the place of what was there.
    assign, assign_avx2, assign_rows, [S: Into<T>], (sums: &mut [T], source: &[S], sheet: &Sheet)
}

#[inline(always)]
fn assign_rows<T: Number, S: Copy + Into<T>>(sums: &mut [T], source: &[S], sheet: &Sheet) {
    sheet.each(sums, source, |_, into, from| {
        for (sum, &value) in into.iter_mut().zip(from) {
            *sum = value.into();
        }
    });
}

vectorised! {
    /// Adds the rows of a sheet.
    add, add_avx2, add_rows, [S: Into<T>], (sums: &mut [T], source: &[S], sheet: &Sheet)
}

#[inline(always)]
fn add_rows<T: Number, S: Copy + Into<T>>(sums: &mut [T], source: &[S], sheet: &Sheet) {
    sheet.each(sums, source, |_, into, from| {
        for (sum, &value) in into.iter_mut().zip(from) {
            *sum += value.into();
        }
    });
}

vectorised! {
    /// Adds the rows of a sheet, each element times its weight.
    add_weighted, add_weighted_avx2, add_weighted_rows, [S: Into<T>],
    (sums: &mut [T], source: &[S], sheet: &Sheet, weights: &Weights<'_, T>)
}

#[inline(always)]
fn add_weighted_rows<T: Number, S: Copy + Into<T>>(
    sums: &mut [T],
    source: &[S],
    sheet: &Sheet,
    weights: &Weights<'_, T>,
) {
    sheet.each(sums, source, |row, into, from| {
        let Some(&weight) = weights.rows.get(row) else { return };
        let weight = weights.factor * weight;
        for ((sum, &value), &column) in into.iter_mut().zip(from).zip(weights.columns) {
            *sum += weight * column * value.into();
        }
    });
}

vectorised! {
    /// Adds the weights themselves: what a source of ones would add.
    add_weights, add_weights_avx2, add_weights_rows, [],
    (sums: &mut [T], sheet: &Sheet, weights: &Weights<'_, T>)
}

#[inline(always)]
fn add_weights_rows<T: Number>(sums: &mut [T], sheet: &Sheet, weights: &Weights<'_, T>) {
    sheet.each(sums, &[] as &[T], |row, into, _| {
        let Some(&weight) = weights.rows.get(row) else { return };
        let weight = weights.factor * weight;
        for (sum, &column) in into.iter_mut().zip(weights.columns) {
            *sum += weight * column;
        }
    });
}

/// Counts a sheet in, or with [`u32::MAX`] out again.
pub fn count(counts: &mut [u32], sheet: &Sheet, step: u32) {
    sheet.each(counts, &[] as &[u32], |_, into, _| {
        for count in into {
            *count = count.wrapping_add(step);
        }
    });
}

vectorised! {
    /// Divides sums by their weights; where nothing was added there is nothing.
    divide, divide_avx2, divide_each, [], (into: &mut [T], sums: &[T], weights: &[T])
}

#[inline(always)]
fn divide_each<T: Number>(into: &mut [T], sums: &[T], weights: &[T]) {
    for ((mean, &sum), &weight) in into.iter_mut().zip(sums).zip(weights) {
        *mean = if weight > T::ZERO { sum / weight } else { T::ZERO };
    }
}

vectorised! {
    /// Keeps the larger value of each place, and whose it is; the first of equal ones stays, NaN is largest.
    keep_largest, keep_largest_avx2, keep_largest_each, [],
    (best: &mut [T], labels: &mut [u8], values: &[T], label: u8)
}

#[inline(always)]
#[expect(
    clippy::eq_op,
    clippy::neg_cmp_op_on_partial_ord,
    reason = "both are how a NaN is told without a branch"
)]
fn keep_largest_each<T: Number>(best: &mut [T], labels: &mut [u8], values: &[T], label: u8) {
    for ((best, holder), &value) in best.iter_mut().zip(labels).zip(values) {
        let better = !(value <= *best) & (*best == *best);
        *best = if better { value } else { *best };
        *holder = if better { label } else { *holder };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: Sheet =
        Sheet { rows: 2, width: 3, target: 1, target_stride: 4, source: 0, source_stride: 3 };

    #[test]
    fn rows_go_where_the_sheet_says() {
        let source = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut sums = [10.0f32; 8];
        add(&mut sums, &source, &SHEET);
        assert_eq!(sums, [10.0, 11.0, 12.0, 13.0, 10.0, 14.0, 15.0, 16.0]);
        assign(&mut sums, &source, &SHEET);
        assert_eq!(sums, [10.0, 1.0, 2.0, 3.0, 10.0, 4.0, 5.0, 6.0]);
        let mut counts = [0u32; 8];
        count(&mut counts, &SHEET, 1);
        assert_eq!(counts, [0, 1, 1, 1, 0, 1, 1, 1]);
        count(&mut counts, &SHEET, u32::MAX);
        assert_eq!(counts, [0; 8]);
    }

    #[test]
    fn weights_are_the_same_alone_and_on_ones() {
        let weights = Weights { factor: 0.3f32, rows: &[0.1, 0.7], columns: &[0.9, 1.0, 0.2] };
        let (mut sums, mut alone) = ([0.0f32; 8], [0.0f32; 8]);
        add_weighted(&mut sums, &[1.0; 6], &SHEET, &weights);
        add_weights(&mut alone, &SHEET, &weights);
        assert_eq!(sums, alone);
        assert_eq!(sums[5], 0.3f32 * 0.7 * 0.9);
    }

    #[test]
    fn the_first_of_equal_values_and_the_first_nan_win() {
        let (mut best, mut labels) = ([1.0f32, 1.0, f32::NAN, 1.0], [0u8; 4]);
        keep_largest(&mut best, &mut labels, &[1.0, 2.0, 9.0, f32::NAN], 1);
        keep_largest(&mut best, &mut labels, &[1.0, 2.0, f32::NAN, 9.0], 2);
        assert_eq!(labels, [0, 1, 0, 1]);
    }

    #[test]
    fn rows_outside_change_nothing() {
        let mut sums = [0.0f32; 4];
        add(&mut sums, &[1.0; 6], &Sheet { target: 2, ..SHEET });
        assert_eq!(sums, [0.0; 4]);
        divide(&mut sums, &[6.0, 1.0], &[4.0, 0.0]);
        assert_eq!(sums, [1.5, 0.0, 0.0, 0.0]);
    }
}
