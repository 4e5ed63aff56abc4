//! A box of voxels: where it begins and how far it reaches.

use crate::error::{Error, Result};
use crate::voxel::{MAX_AXES, Shape};

/// How far a region may reach from a volume's first voxel.
const FARTHEST: i64 = 1 << 62;

/// Offset and shape inside a volume, in voxels; it may reach outside, where padding applies.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    offset: [i64; MAX_AXES],
    shape: Shape,
}

impl Region {
    /// The region that begins at this offset, one number an axis, slowest first.
    ///
    /// # Errors
    /// `Argument` where offset and shape have different numbers of axes; `Range` where a corner is
    /// farther from the volume than 62 bits count, so that arithmetic with regions cannot overflow.
    pub fn new(offset: &[i64], shape: Shape) -> Result<Self> {
        if offset.len() != shape.ndim() {
            let (given, expected) = (offset.len(), shape.ndim());
            return Err(Error::argument(format!("offset has {given} axes, expected the shape's {expected}")));
        }
        let mut own = [0; MAX_AXES];
        for ((axis, &start), &extent) in own.iter_mut().zip(offset).zip(shape.extents()) {
            let end = i64::try_from(extent).ok().and_then(|extent| start.checked_add(extent));
            if end.is_none_or(|end| start < -FARTHEST || end > FARTHEST) {
                return Err(Error::range(format!("a region of {extent} voxels from {start} on overflows")));
            }
            *axis = start;
        }
        Ok(Self { offset: own, shape })
    }

    /// The region that covers a whole volume of this shape.
    pub fn whole(shape: Shape) -> Self {
        Self { offset: [0; MAX_AXES], shape }
    }

    /// The first voxel, slowest axis first.
    pub fn offset(&self) -> &[i64] {
        self.offset.get(..self.shape.ndim()).unwrap_or_default()
    }

    /// The extents, slowest axis first.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Offset and extent of each axis.
    pub fn axes(&self) -> impl Iterator<Item = (i64, usize)> + '_ {
        self.offset().iter().copied().zip(self.shape.extents().iter().copied())
    }

    /// Whether it lies wholly inside a volume of this shape.
    pub fn is_inside(&self, volume: &Shape) -> bool {
        self.shape.ndim() == volume.ndim()
            && self.axes().zip(volume.extents()).all(|((start, extent), &size)| {
                start >= 0
                    && start.unsigned_abs() as usize <= size
                    && extent <= size - start.unsigned_abs() as usize
            })
    }

    /// The part that lies between two positions on an axis; nothing where that has no voxel.
    pub fn between(&self, axis: usize, (from, to): (i64, i64)) -> Option<Region> {
        let (mut offset, mut extents) = (self.offset, [0; MAX_AXES]);
        for (slot, &extent) in extents.iter_mut().zip(self.shape.extents()) {
            *slot = extent;
        }
        let (start, extent) = (offset.get_mut(axis)?, extents.get_mut(axis)?);
        let (low, high) = (from.max(*start), to.min(*start + *extent as i64));
        let len = usize::try_from(high.checked_sub(low)?).ok().filter(|&len| len > 0)?;
        (*start, *extent) = (low, len);
        let shape = Shape::new(extents.get(..self.shape.ndim())?).ok()?;
        Some(Region { offset, shape })
    }

    /// The part that lies inside a volume of this shape; its shape has a zero where none does.
    #[must_use]
    pub fn clipped(&self, volume: &Shape) -> Region {
        let mut offset = [0; MAX_AXES];
        let mut extents = [0; MAX_AXES];
        let axes = self.axes().zip(volume.extents()).zip(offset.iter_mut().zip(&mut extents));
        for (((start, extent), &size), (begin, length)) in axes {
            let low = start.clamp(0, size as i64);
            let high = (start + extent as i64).clamp(0, size as i64);
            *begin = low;
            *length = (high - low).max(0) as usize;
        }
        let shape = Shape::new(extents.get(..self.shape.ndim()).unwrap_or_default()).unwrap_or(self.shape);
        Region { offset, shape }
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let axes: Vec<_> =
            self.axes().map(|(start, extent)| format!("{start}:{}", start + extent as i64)).collect();
        write!(f, "[{}]", axes.join(", "))
    }
}

impl std::fmt::Debug for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_two_positions_is_as_wide_as_the_region_elsewhere() {
        let region = Region::new(&[-2, 3], Shape::new(&[5, 5]).unwrap()).unwrap();
        let between = |axis, from, to| region.between(axis, (from, to)).map(|part| part.to_string());
        assert_eq!(between(0, 0, 2).unwrap(), "[0:2, 3:8]");
        assert_eq!(between(0, i64::MIN, i64::MAX).unwrap(), "[-2:3, 3:8]");
        assert_eq!(between(1, 7, i64::MAX).unwrap(), "[-2:3, 7:8]");
        for (axis, from, to) in
            [(0, 3, 9), (0, i64::MAX, i64::MAX), (1, 5, 5), (1, 6, 5), (2, 0, 1), (99, 0, 1)]
        {
            assert_eq!(between(axis, from, to), None, "{axis} {from} {to}");
        }
    }

    #[test]
    fn clipping_keeps_what_lies_inside() {
        let volume = Shape::new(&[10, 4]).unwrap();
        let region = Region::new(&[-2, 3], Shape::new(&[5, 5]).unwrap()).unwrap();
        assert!(!region.is_inside(&volume));
        assert_eq!(region.clipped(&volume).to_string(), "[0:3, 3:4]");
        let outside = Region::new(&[20, -9], Shape::new(&[5, 5]).unwrap()).unwrap().clipped(&volume);
        assert_eq!(outside.shape().voxels().unwrap(), 0);
        assert!(Region::whole(volume).is_inside(&volume));
        let far = Region::new(&[6, 0], Shape::new(&[5, 1]).unwrap()).unwrap();
        assert!(!far.is_inside(&volume));
    }

    #[test]
    fn a_corner_beyond_62_bits_is_refused() {
        assert!(Region::new(&[i64::MIN], Shape::new(&[1]).unwrap()).is_err());
        assert!(Region::new(&[i64::MAX], Shape::new(&[1]).unwrap()).is_err());
        assert!(Region::new(&[0], Shape::new(&[usize::MAX]).unwrap()).is_err());
    }
}
