//! Patches on a grid: sliding windows with a stride, and a rule for the far border.

use crate::error::{Error, Result};
use crate::plan::rule::{Place, Rule, patch_shape};
use crate::random::Stream;
use crate::voxel::{MAX_AXES, Region, Shape};

/// What happens where the last patch of an axis would reach outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Border {
    /// There is no such patch; voxels at the far border may be in none.
    #[default]
    Drop,
    /// The sample is cut at the border; the rest of its row is padding.
    Clip,
    /// The sample reaches outside; what lies there is padding.
    Pad,
    /// The patch is moved back until it lies inside.
    Shift,
}

/// Patches at regular places, the last axis fastest.
#[derive(Debug, Clone)]
pub struct Grid {
    patch: Vec<usize>,
    stride: Vec<usize>,
    border: Border,
}

impl Grid {
    /// Patches of this shape, this far apart; a patch extent of 0 is the whole axis, a stride of 0 the patch.
    ///
    /// # Errors
    /// `Argument` where the two have different numbers of axes.
    pub fn new(patch: &[usize], stride: &[usize], border: Border) -> Result<Self> {
        if patch.len() != stride.len() {
            let (given, expected) = (stride.len(), patch.len());
            return Err(Error::argument(format!("stride has {given} axes, the patch {expected}")));
        }
        Ok(Self { patch: patch.to_vec(), stride: stride.to_vec(), border })
    }

    /// For each axis its extent, its patch extent, its stride and its number of patches.
    fn axes(&self, volume: &Shape) -> Result<[(usize, usize, usize, u64); MAX_AXES]> {
        let patch = patch_shape(&self.patch, volume)?;
        let mut axes = [(1, 1, 1, 1); MAX_AXES];
        let parts = volume.extents().iter().zip(patch.extents()).zip(&self.stride);
        for (slot, ((&extent, &size), &stride)) in axes.iter_mut().zip(parts) {
            let stride = if stride == 0 { size.max(1) } else { stride };
            let room = extent.saturating_sub(size);
            let count = match self.border {
                _ if extent == 0 => 0,
                Border::Drop if size > extent => 0,
                Border::Drop => room / stride + 1,
                Border::Clip | Border::Pad | Border::Shift => room.div_ceil(stride) + 1,
            };
            *slot = (extent, size, stride, count as u64);
        }
        Ok(axes)
    }
}

impl Rule for Grid {
    fn count(&self, volume: &Shape) -> Result<u64> {
        let counts = self.axes(volume)?;
        let total = counts.iter().try_fold(1u64, |product, (.., count)| product.checked_mul(*count));
        total.ok_or_else(|| {
            Error::range(format!("the grid of a volume of shape {volume} has too many patches"))
        })
    }

    fn place(&self, volume: &Shape, number: u64, _: &mut Stream) -> Result<Place> {
        let axes = self.axes(volume)?;
        let mut left = number;
        let (mut offset, mut extents) = ([0i64; MAX_AXES], [0usize; MAX_AXES]);
        let places = offset.iter_mut().zip(&mut extents).zip(axes).take(volume.ndim()).rev();
        for ((start, length), (extent, size, stride, count)) in places {
            let step = left % count.max(1);
            left /= count.max(1);
            let begin = step as usize * stride;
            (*start, *length) = match self.border {
                Border::Drop | Border::Pad => (begin as i64, size),
                Border::Clip => (begin as i64, size.min(extent - begin.min(extent))),
                Border::Shift => (begin.min(extent.saturating_sub(size)) as i64, size),
            };
        }
        let ndim = volume.ndim();
        let shape = Shape::new(extents.get(..ndim).unwrap_or_default())?;
        let region = Region::new(offset.get(..ndim).unwrap_or_default(), shape)?;
        Ok(Place { region, thin: None })
    }

    fn advances_along(&self, _: &Shape, _: u64) -> Option<usize> {
        Some(0)
    }

    fn row_shapes(&self, volume: &Shape) -> Result<Vec<(Shape, Option<usize>)>> {
        Ok(vec![(patch_shape(&self.patch, volume)?, None)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn regions(extents: &[usize], patch: &[usize], stride: &[usize], border: Border) -> Vec<String> {
        let volume = Shape::new(extents).unwrap();
        let grid = Grid::new(patch, stride, border).unwrap();
        let mut random = Stream::new(0, 0, 0, Purpose::Region);
        let count = grid.count(&volume).unwrap();
        (0..count).map(|k| grid.place(&volume, k, &mut random).unwrap().region.to_string()).collect()
    }

    #[test]
    fn each_border_rule_does_what_it_says() {
        assert_eq!(regions(&[10], &[4], &[0], Border::Drop), ["[0:4]", "[4:8]"]);
        assert_eq!(regions(&[10], &[4], &[0], Border::Clip), ["[0:4]", "[4:8]", "[8:10]"]);
        assert_eq!(regions(&[10], &[4], &[0], Border::Pad), ["[0:4]", "[4:8]", "[8:12]"]);
        assert_eq!(regions(&[10], &[4], &[0], Border::Shift), ["[0:4]", "[4:8]", "[6:10]"]);
        assert_eq!(regions(&[10], &[4], &[3], Border::Shift), ["[0:4]", "[3:7]", "[6:10]"]);
        assert_eq!(regions(&[3], &[4], &[2], Border::Drop), Vec::<String>::new());
        assert_eq!(regions(&[3], &[4], &[2], Border::Clip), ["[0:3]"]);
        assert_eq!(regions(&[3], &[4], &[2], Border::Pad), ["[0:4]"]);
        assert_eq!(regions(&[3], &[4], &[2], Border::Shift), ["[0:4]"]);
        assert_eq!(regions(&[3], &[0], &[0], Border::Drop), ["[0:3]"]);
        assert_eq!(regions(&[10], &[2], &[4], Border::Drop), ["[0:2]", "[4:6]", "[8:10]"]);
    }

    /// pymia 0.3.4, PatchWiseIndexing((2, 4, 4)) on (5, 6, 7): 2 patches, or 12 with incomplete ones.
    #[test]
    fn grids_equal_those_of_pymia() {
        let whole = regions(&[5, 6, 7], &[2, 4, 4], &[0, 0, 0], Border::Drop);
        assert_eq!(whole, ["[0:2, 0:4, 0:4]", "[2:4, 0:4, 0:4]"]);
        let all = regions(&[5, 6, 7], &[2, 4, 4], &[0, 0, 0], Border::Pad);
        assert_eq!(all.len(), 12);
        assert_eq!(all[1], "[0:2, 0:4, 4:8]");
        assert_eq!(all[11], "[4:6, 4:8, 4:8]");
    }
}
