//! The part of a prediction row that lands in a volume.

use crate::error::Result;
use crate::sys::Sheet;
use crate::voxel::MAX_AXES;

/// One number for each axis, slowest first; axes that a volume lacks come first and have an extent of 1.
pub(super) type Axes = [usize; MAX_AXES];

/// The axes in front of a sheet's two.
pub(super) const OUTER: usize = MAX_AXES - 2;

/// A box of voxels in a volume and the box of a prediction row that belongs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its first voxel in the volume.
    pub(super) start: Axes,
    /// Its first voxel in the prediction row.
    pub(super) source: Axes,
    /// Its extents.
    pub(super) extent: Axes,
    /// The extents of the whole prediction row.
    pub(super) row: Axes,
}

/// These numbers moved to the end, missing ones in front.
pub(super) fn aligned<T: Copy>(numbers: &[T], missing: T) -> [T; MAX_AXES] {
    let mut axes = [missing; MAX_AXES];
    for (axis, &number) in axes.iter_mut().rev().zip(numbers.iter().rev()) {
        *axis = number;
    }
    axes
}

/// The distance from one position to the next of each axis of a dense array.
pub(super) fn dense_strides(extents: &Axes) -> Axes {
    let mut strides = [1; MAX_AXES];
    let mut stride = 1;
    for (slot, &extent) in strides.iter_mut().zip(extents).rev() {
        *slot = stride;
        stride *= extent;
    }
    strides
}

/// The element at a position.
pub(super) fn element(position: &Axes, strides: &Axes) -> usize {
    position.iter().zip(strides).map(|(&place, &stride)| place * stride).sum()
}

impl Piece {
    /// Whether no voxel is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.extent.contains(&0)
    }

    /// The number of its voxels.
    pub(super) fn voxels(&self) -> usize {
        self.extent.iter().product()
    }

    /// The part of it from `first` on along one axis, of this extent.
    #[must_use]
    pub(super) fn part(&self, axis: usize, first: usize, extent: usize) -> Piece {
        let mut part = *self;
        if let (Some(start), Some(source), Some(slot)) =
            (part.start.get_mut(axis), part.source.get_mut(axis), part.extent.get_mut(axis))
        {
            (*start, *source, *slot) = (*start + first, *source + first, extent);
        }
        part
    }

    /// The same box of the row in the plane that one axis of the volume is cut down to.
    #[must_use]
    pub(super) fn flattened(mut self, axis: usize) -> Piece {
        if let (Some(start), Some(extent)) = (self.start.get_mut(axis), self.extent.get_mut(axis)) {
            (*start, *extent) = (0, 1);
        }
        self
    }

    /// Visits it in parts of at most this many voxels, cut along its slowest axes.
    pub(super) fn slabs(&self, most: usize, visit: &mut impl FnMut(&Piece) -> Result<()>) -> Result<()> {
        let slowest = self.extent.iter().enumerate().find(|(_, extent)| **extent > 1);
        let Some((axis, &extent)) = slowest.filter(|_| self.voxels() > most) else { return visit(self) };
        let depth = (most / (self.voxels() / extent)).max(1);
        for first in (0..extent).step_by(depth) {
            self.part(axis, first, depth.min(extent - first)).slabs(most, visit)?;
        }
        Ok(())
    }

    /// Visits its sheets, with the position of the axes in front; the source begins at element `first`.
    pub(super) fn sheets(
        &self,
        target: &Axes,
        (first, source): (usize, &Axes),
        mut visit: impl FnMut(&Sheet, &[usize; OUTER]),
    ) {
        if self.is_empty() {
            return;
        }
        let [.., rows, width] = self.extent;
        let mut sheet = Sheet {
            rows,
            width,
            target: element(&self.start, target),
            target_stride: target[MAX_AXES - 2],
            source: first,
            source_stride: source[MAX_AXES - 2],
        };
        let mut position = [0; OUTER];
        loop {
            visit(&sheet, &position);
            let mut moved = false;
            let axes = position.iter_mut().zip(&self.extent).zip(target.iter().zip(source)).rev();
            for ((place, &extent), (&to, &from)) in axes {
                *place += 1;
                sheet.target += to;
                sheet.source += from;
                if *place < extent {
                    moved = true;
                    break;
                }
                *place = 0;
                sheet.target -= extent * to;
                sheet.source -= extent * from;
            }
            if !moved {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_visit_every_voxel_once() {
        let volume = aligned(&[2, 3, 4, 5], 1);
        let row = aligned(&[2, 2, 2, 3], 1);
        let piece = Piece { start: aligned(&[0, 1, 2, 1], 0), source: [0; MAX_AXES], extent: row, row };
        let (target, source) = (dense_strides(&volume), dense_strides(&row));
        let mut seen = vec![0; 120];
        let mut order = Vec::new();
        piece.sheets(&target, (0, &source), |sheet, position| {
            order.push((position[2], position[3], sheet.source));
            for y in 0..sheet.rows {
                for x in 0..sheet.width {
                    seen[sheet.target + y * sheet.target_stride + x] += 1;
                }
            }
        });
        assert_eq!(order, [(0, 0, 0), (0, 1, 6), (1, 0, 12), (1, 1, 18)]);
        assert_eq!(seen.iter().sum::<i32>(), 24);
        assert_eq!(seen[element(&aligned(&[1, 2, 3, 3], 0), &target)], 1);
    }

    #[test]
    fn slabs_are_small_and_cover_the_piece() {
        let extent = aligned(&[2, 3, 5, 7], 1);
        let piece = Piece { start: [4; MAX_AXES], source: [1; MAX_AXES], extent, row: extent };
        for most in [1, 3, 7, 8, 20, 35, 100, 105, 209, 210] {
            let (mut voxels, mut places) = (0, Vec::new());
            piece
                .slabs(most, &mut |slab| {
                    assert!(slab.voxels() <= most);
                    voxels += slab.voxels();
                    places.push(slab.start);
                    Ok(())
                })
                .unwrap();
            assert_eq!(voxels, 210);
            assert!(places.is_sorted() && places.windows(2).all(|pair| pair[0] != pair[1]));
        }
    }
}
