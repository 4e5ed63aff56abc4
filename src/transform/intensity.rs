//! Steps on numbers: scale, window, z-score.
//!
//! f32 rows are computed in f32 and f64 rows in f64, each operation rounded on its own, so that results are
//! the same for every instruction set. f16 rows are computed in f32.

use half::f16;

use crate::sys::FloatStep;
use crate::voxel::DType;

/// Mean and population standard deviation of the voxels of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statistics {
    /// The mean.
    pub mean: f64,
    /// The population standard deviation.
    pub std: f64,
}

impl Statistics {
    /// What is taken away and what divides, in f32.
    pub(super) fn numbers(self) -> [f32; 2] {
        [f32::of(self.mean), f32::of(self.std.max(SMALLEST_STD))]
    }
}

/// Which voxels statistics are taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatisticsVoxels {
    /// All of the volume.
    All,
    /// Those that are not 0.
    Nonzero,
}

/// Where mean and standard deviation come from.
#[derive(Debug, Clone, PartialEq)]
pub enum ZScore {
    /// From the caller: one pair for all channels, or one for each.
    Given(Vec<(f64, f64)>),
    /// From each channel of the subject itself.
    Subject(StatisticsVoxels),
}

/// The smallest divisor of a z-score, so that a constant channel becomes 0.
const SMALLEST_STD: f64 = 1e-8;

/// A number that can be computed with.
trait Number: Copy {
    fn of(value: f64) -> Self;
    fn scale(self, slope: Self, offset: Self) -> Self;
    fn window(self, range: [Self; 2], slope: Self, offset: Self) -> Self;
    fn standardise(self, mean: Self, std: Self) -> Self;
}

macro_rules! numbers {
    ($($type:ty),*) => { $(
        impl Number for $type {
            #[inline(always)]
            fn of(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn scale(self, slope: Self, offset: Self) -> Self {
                self * slope + offset
            }
            #[inline(always)]
            fn window(self, [low, high]: [Self; 2], slope: Self, offset: Self) -> Self {
                (self.clamp(low, high) - low) * slope + offset
            }
            #[inline(always)]
            fn standardise(self, mean: Self, std: Self) -> Self {
                (self - mean) / std
            }
        }
    )* };
}
numbers!(f32, f64);

/// What is done to every voxel of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Map {
    /// `x * slope + offset`.
    Scale(f64, f64),
    /// Clipped to the first range, which is then mapped to the second.
    Window([f64; 2], [f64; 2]),
    /// `(x - mean) / std`.
    Standardise(Statistics),
}

impl Map {
    /// The same in f32 as a step that a device can do.
    pub(super) fn step(self) -> FloatStep {
        match self {
            Map::Scale(slope, offset) => FloatStep::Scale { slope: f32::of(slope), offset: f32::of(offset) },
            Map::Window([low, high], [from, to]) => FloatStep::Window {
                range: [f32::of(low), f32::of(high)],
                slope: f32::of((to - from) / (high - low)),
                offset: f32::of(from),
            },
            Map::Standardise(statistics) => {
                let [mean, divisor] = statistics.numbers();
                FloatStep::Standardise { mean, divisor }
            }
        }
    }

    /// Applies it to packed floats of one channel.
    pub(super) fn apply(self, bytes: &mut [u8], dtype: DType) {
        match dtype {
            DType::F16 => self.each::<2, f32>(
                bytes,
                |b| f16::from_ne_bytes(b).to_f32(),
                |x| f16::from_f32(x).to_ne_bytes(),
            ),
            DType::F64 => self.each::<8, f64>(bytes, f64::from_ne_bytes, f64::to_ne_bytes),
            _ => self.each::<4, f32>(bytes, f32::from_ne_bytes, f32::to_ne_bytes),
        }
    }

    fn each<const N: usize, T: Number>(
        self,
        bytes: &mut [u8],
        load: impl Fn([u8; N]) -> T,
        store: impl Fn(T) -> [u8; N],
    ) {
        let (voxels, _) = bytes.as_chunks_mut::<N>();
        match self {
            Map::Scale(slope, offset) => {
                let (slope, offset) = (T::of(slope), T::of(offset));
                voxels.iter_mut().for_each(|voxel| *voxel = store(load(*voxel).scale(slope, offset)));
            }
            Map::Window([low, high], [from, to]) => {
                let slope = T::of((to - from) / (high - low));
                let (range, offset) = ([T::of(low), T::of(high)], T::of(from));
                voxels.iter_mut().for_each(|voxel| *voxel = store(load(*voxel).window(range, slope, offset)));
            }
            Map::Standardise(Statistics { mean, std }) => {
                let (mean, std) = (T::of(mean), T::of(std.max(SMALLEST_STD)));
                voxels.iter_mut().for_each(|voxel| *voxel = store(load(*voxel).standardise(mean, std)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(map: Map, values: &[f32]) -> Vec<f32> {
        let mut bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        map.apply(&mut bytes, DType::F32);
        bytemuck::pod_collect_to_vec(&bytes)
    }

    #[test]
    fn each_map_is_its_formula() {
        assert_eq!(mapped(Map::Scale(2.0, 1.0), &[0.0, 1.5]), [1.0, 4.0]);
        assert_eq!(mapped(Map::Window([0.0, 4.0], [-1.0, 1.0]), &[-9.0, 1.0, 9.0]), [-1.0, -0.5, 1.0]);
        let statistics = Statistics { mean: 3.0, std: 2.0 };
        assert_eq!(mapped(Map::Standardise(statistics), &[3.0, 7.0]), [0.0, 2.0]);
        let constant = Statistics { mean: 3.0, std: 0.0 };
        assert_eq!(mapped(Map::Standardise(constant), &[3.0]), [0.0]);
    }
}
