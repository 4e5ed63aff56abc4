//! How an array in a stream is cut into slabs: pieces that follow each other in it without gaps.

use std::ops::Range;

use crate::store::chunks::GridAxis;

/// The most bytes of a slab, which is inflated as a whole for any voxel of it.
///
/// Smaller ones cost a window of the index each, and more of their neighbours' bytes; larger ones make a
/// single slice dear.
const SLAB_BYTES: u64 = 1 << 20;

/// The slabs of an array in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Slabs {
    /// The bytes of the stream before the array.
    pub(super) start: u64,
    /// The bytes of one position of the axis that is cut.
    pub(super) inner: u64,
    /// The positions of a slab.
    pub(super) step: u64,
    /// The positions of that axis.
    pub(super) extent: u64,
    /// The positions of all slower axes.
    pub(super) outer: u64,
}

impl Slabs {
    /// Cuts an array of these extents, slowest first, that begins at a byte of the stream.
    pub(super) fn cut(extents: &[usize], voxel: u64, start: u64) -> (Self, Vec<GridAxis>) {
        let whole: u64 = extents.iter().map(|&extent| extent as u64).product::<u64>().saturating_mul(voxel);
        // A thousand or so windows of an index are little beside any volume.
        let most = SLAB_BYTES.max((whole >> 10).min(4 * SLAB_BYTES));
        let mut slabs = Self { start, inner: voxel, step: 1, extent: 1, outer: 1 };
        let mut cut = false;
        let mut axes = Vec::new();
        for &extent in extents.iter().rev() {
            let mut piece = 1;
            if cut {
                slabs.outer = slabs.outer.saturating_mul(extent as u64);
            } else {
                slabs.inner = slabs.inner.saturating_mul(slabs.extent);
                slabs.extent = extent as u64;
                slabs.step = (most / slabs.inner).clamp(1, slabs.extent.max(1));
                cut = slabs.step < slabs.extent;
                piece = slabs.step as usize;
            }
            axes.push(GridAxis { extent, chunk: piece, piece });
        }
        axes.reverse();
        (slabs, axes)
    }

    fn per_outer(&self) -> u64 {
        self.extent.div_ceil(self.step.max(1)).max(1)
    }

    /// The number of slabs.
    pub(super) fn count(&self) -> u64 {
        self.outer.saturating_mul(self.per_outer())
    }

    /// The bytes of the stream that are a slab's.
    pub(super) fn range(&self, number: u64) -> Range<u64> {
        let (outer, position) = (number / self.per_outer(), number % self.per_outer() * self.step);
        let from = outer.saturating_mul(self.extent).saturating_add(position);
        let len = self.step.min(self.extent.saturating_sub(position)).saturating_mul(self.inner);
        let from = from.saturating_mul(self.inner).saturating_add(self.start);
        from..from.saturating_add(len)
    }

    /// The byte of the stream behind the array.
    pub(super) fn end(&self) -> u64 {
        self.range(self.count().saturating_sub(1)).end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_follow_each_other_to_the_arrays_end() {
        for (extents, voxel) in [
            (vec![256usize, 512, 512], 2u64),
            (vec![3, 255, 640, 1000], 4),
            (vec![7], 1),
            (vec![40_000_003], 2),
            (vec![2, 1, 3_000_001, 3], 8),
            (vec![1, 1, 1], 4),
            (vec![5000, 2048, 2048], 2),
        ] {
            let (slabs, axes) = Slabs::cut(&extents, voxel, 352);
            let whole = extents.iter().product::<usize>() as u64 * voxel;
            assert_eq!(axes.iter().map(|axis| axis.extent).collect::<Vec<_>>(), extents);
            assert_eq!(
                axes.iter().map(|axis| axis.extent.div_ceil(axis.piece) as u64).product::<u64>(),
                slabs.count()
            );
            let mut next = 352;
            for number in 0..slabs.count() {
                let range = slabs.range(number);
                assert_eq!(range.start, next, "{extents:?}");
                assert!(range.end > next && range.end - next <= 4 * SLAB_BYTES);
                next = range.end;
            }
            assert_eq!((next, slabs.end()), (352 + whole, 352 + whole));
            assert!(slabs.count() <= 1 + whole / (SLAB_BYTES / 4), "{extents:?}: {}", slabs.count());
        }
    }
}
