//! What sums become when they are handed out: means, or the number of the largest.

use std::sync::Arc;

use crate::assemble::crew::{Hands, share};
use crate::assemble::options::{AssemblerOptions, Blend, Reduce};
use crate::assemble::sums::Sums;
use crate::assemble::sweep::{Counts, zeros};
use crate::error::{Error, Result};
use crate::sys::{Crew, Number, Stores, convert_stored, divide, keep_largest};
use crate::voxel::DType;

/// The most elements that are divided, converted or compared at once, so that they stay in the cache.
const CHUNK: usize = 4096;

/// The least bytes that go past the caches: they would not stay there until all are written.
const STREAMED: usize = 4 << 20;

/// Planes to be written: from which on, how many, and where those of each channel go.
struct Slab<'a> {
    first: usize,
    count: usize,
    channels: Vec<&'a mut [u8]>,
}

impl<T: Number + Default> Sums<T> {
    /// The sums of one channel in one plane.
    fn plane(&self, channel: usize, plane: usize) -> &[T] {
        let voxels = self.planes().voxels;
        let start = channel * self.voxels + plane * voxels;
        let sums: &[T] = bytemuck::cast_slice(&self.sums);
        sums.get(start..start + voxels).unwrap_or_default()
    }

    fn plane_count(&self) -> usize {
        if self.voxels == 0 { 0 } else { self.extents.get(self.axis).copied().unwrap_or_default() }
    }

    /// The share of voxels that at least one piece reaches.
    ///
    /// # Errors
    /// `Memory` where there is not enough for a plane of counts.
    pub(super) fn coverage(&self) -> Result<f64> {
        if self.voxels == 0 {
            return Ok(1.0);
        }
        let mut counts = Counts::new(self.planes())?;
        let (mut covered, mut in_plane) = (0usize, 0usize);
        for plane in 0..self.plane_count() {
            if counts.advance(plane) {
                in_plane = counts.counts().iter().filter(|&&count| count > 0).count();
            }
            covered += in_plane;
        }
        Ok(covered as f64 / self.voxels as f64)
    }

    /// Writes what is handed out, on several threads where it is much.
    ///
    /// # Errors
    /// `Memory` where there is not enough for a plane of weights.
    pub(super) fn write(&self, crew: &Arc<Crew>, options: &AssemblerOptions, into: &mut [u8]) -> Result<()> {
        let (dtype, planes) = (options.output_dtype(), self.plane_count());
        let plane_bytes = self.planes().voxels * dtype.byte_len();
        let stores = if into.len() < STREAMED { Stores::Cached } else { Stores::Streaming };
        let threads = options.threads_for(self.voxels.saturating_mul(self.channels * size_of::<T>()));
        // What every part begins with, the counts before it, is little beside a quarter of the planes.
        let depth = if threads == 1 { planes } else { planes.div_ceil(2 * threads) }.max(1);
        let begin = |first: usize| Slab { first, count: depth.min(planes - first), channels: Vec::new() };
        let mut slabs: Vec<Slab<'_>> = (0..planes).step_by(depth).map(begin).collect();
        for channel in into.chunks_mut((planes * plane_bytes).max(1)) {
            for (slab, planes) in slabs.iter_mut().zip(channel.chunks_mut(depth * plane_bytes.max(1))) {
                slab.channels.push(planes);
            }
        }
        let mut hands = Hands { crew: Arc::clone(crew), tools: vec![(); threads] };
        share(&mut hands, slabs, |slab, ()| match options.reduce {
            Reduce::None => self.write_channels(slab, (dtype, stores)),
            Reduce::Argmax => self.write_labels(slab),
        })
    }

    /// Writes every channel of some planes, each sum over its weight.
    fn write_channels(&self, slab: Slab<'_>, (dtype, stores): (DType, Stores)) -> Result<()> {
        let Slab { first, count, mut channels } = slab;
        let mut counts = Counts::new(self.planes())?;
        let mut weights = zeros::<T>(if self.blend == Blend::Last { 0 } else { self.planes().voxels })?;
        let mut mean = [T::default(); CHUNK];
        let plane_bytes = self.planes().voxels * dtype.byte_len();
        for plane in first..first + count {
            let changed = self.blend != Blend::Last && counts.advance(plane);
            match self.blend {
                Blend::Gaussian => counts.gaussian(plane, &self.profiles, &mut weights),
                Blend::Mean if changed => {
                    for (weight, &count) in weights.iter_mut().zip(counts.counts()) {
                        *weight = T::from_f64(f64::from(count));
                    }
                }
                Blend::Mean | Blend::Last => {}
            }
            for (channel, into) in channels.iter_mut().enumerate() {
                let start = (plane - first) * plane_bytes;
                let into = into.get_mut(start..start + plane_bytes).unwrap_or_default();
                let sums = self.plane(channel, plane);
                if self.blend == Blend::Last {
                    convert_stored(bytemuck::cast_slice(sums), T::DTYPE, (into, dtype), stores);
                    continue;
                }
                let parts = into.chunks_mut(CHUNK * dtype.byte_len()).zip(sums.chunks(CHUNK));
                for ((into, sums), weights) in parts.zip(weights.chunks(CHUNK)) {
                    let mean = mean.get_mut(..sums.len()).unwrap_or_default();
                    divide(mean, sums, weights);
                    convert_stored(bytemuck::cast_slice(mean), T::DTYPE, (into, dtype), stores);
                }
            }
        }
        Ok(())
    }

    /// Writes the number of the largest channel, which has the largest sum too: all have the same weight.
    ///
    /// # Errors
    /// None for as many channels as labels count.
    fn write_labels(&self, slab: Slab<'_>) -> Result<()> {
        let mut best = [T::default(); CHUNK];
        let voxels = self.planes().voxels;
        let into = slab.channels.into_iter().next().unwrap_or_default();
        into.fill(0);
        for (plane, into) in (slab.first..).zip(into.chunks_mut(voxels.max(1))) {
            for (part, labels) in into.chunks_mut(CHUNK).enumerate() {
                let place = part * CHUNK..part * CHUNK + labels.len();
                let best = best.get_mut(..labels.len()).unwrap_or_default();
                for channel in 0..self.channels {
                    let sums = self.plane(channel, plane).get(place.clone()).unwrap_or_default();
                    match u8::try_from(channel) {
                        Ok(0) => best.copy_from_slice(sums),
                        Ok(label) => keep_largest(best, labels, sums, label),
                        Err(_) => return Err(Error::internal("more channels than labels")),
                    }
                }
            }
        }
        Ok(())
    }
}
