//! The rules that cut a volume into regions.

use crate::error::{Error, Result};
use crate::random::Stream;
use crate::voxel::{MAX_AXES, Region, Shape};

/// A region, and for a slice the axis that is one voxel thick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The region; it may reach outside.
    pub region: Region,
    /// The axis that is one voxel thick, where the region is a slice.
    pub thin: Option<usize>,
}

/// How a volume of some shape is cut into regions.
pub trait Rule: Send + Sync + std::fmt::Debug {
    /// The number of regions of a volume of this shape.
    ///
    /// # Errors
    /// `Argument` where the rule does not fit the shape; `Range` where the number overflows.
    fn count(&self, volume: &Shape) -> Result<u64>;

    /// One region; `number` is below the count, `random` belongs to this sample alone.
    ///
    /// # Errors
    /// Those of [`Rule::count`].
    fn place(&self, volume: &Shape, number: u64, random: &mut Stream) -> Result<Place>;

    /// How many regions, from one on, lie side by side along the axis on which each has one position: 1 where nothing
    /// is known of those that follow it.
    fn neighbours(&self, _volume: &Shape, _number: u64) -> u64 {
        1
    }

    /// The axis along which no region from one on, in order, begins before that one; nothing where that is not known.
    fn advances_along(&self, _volume: &Shape, _number: u64) -> Option<usize> {
        None
    }

    /// The shapes that the rows of a batch have for this volume: full patches, and slices with their thin axis.
    ///
    /// # Errors
    /// Those of [`Rule::count`].
    fn row_shapes(&self, volume: &Shape) -> Result<Vec<(Shape, Option<usize>)>>;
}

/// Whole volumes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whole;

impl Rule for Whole {
    fn count(&self, _: &Shape) -> Result<u64> {
        Ok(1)
    }

    fn place(&self, volume: &Shape, _: u64, _: &mut Stream) -> Result<Place> {
        Ok(Place { region: Region::whole(*volume), thin: None })
    }

    fn row_shapes(&self, volume: &Shape) -> Result<Vec<(Shape, Option<usize>)>> {
        Ok(vec![(*volume, None)])
    }
}

/// All slices along one axis after the other, in the order given.
#[derive(Debug, Clone)]
pub struct Slices {
    axes: Vec<usize>,
}

impl Slices {
    /// Slices along these axes, 0 being the slowest; along axis 0 where none is given.
    ///
    /// # Errors
    /// `Argument` where an axis is named twice.
    pub fn new(axes: &[usize]) -> Result<Self> {
        for (place, axis) in axes.iter().enumerate() {
            if axes.iter().take(place).any(|other| other == axis) {
                return Err(Error::argument("an axis is named twice in axes"));
            }
        }
        Ok(Self { axes: if axes.is_empty() { vec![0] } else { axes.to_vec() } })
    }

    fn check(&self, volume: &Shape) -> Result<()> {
        match self.axes.iter().find(|&&axis| axis >= volume.ndim()) {
            Some(axis) => {
                let last = volume.ndim().saturating_sub(1);
                let text = format!("slice axis {axis}, but a volume of shape {volume} has axes 0 to {last}");
                Err(Error::argument(text))
            }
            None => Ok(()),
        }
    }
}

impl Rule for Slices {
    fn count(&self, volume: &Shape) -> Result<u64> {
        self.check(volume)?;
        Ok(self.axes.iter().map(|&axis| volume.extent(axis) as u64).sum())
    }

    fn place(&self, volume: &Shape, number: u64, _: &mut Stream) -> Result<Place> {
        self.check(volume)?;
        let mut left = number;
        for &axis in &self.axes {
            let extent = volume.extent(axis) as u64;
            if left < extent {
                let mut offset = [0i64; MAX_AXES];
                if let Some(start) = offset.get_mut(axis) {
                    *start = left as i64;
                }
                let shape = slice_shape(volume, axis)?;
                let region = Region::new(offset.get(..volume.ndim()).unwrap_or_default(), shape)?;
                return Ok(Place { region, thin: Some(axis) });
            }
            left -= extent;
        }
        Err(Error::internal(format!("slice {number} of a volume of shape {volume}")))
    }

    fn neighbours(&self, volume: &Shape, number: u64) -> u64 {
        let mut end = 0u64;
        let ends = self.axes.iter().filter(|&&axis| axis < volume.ndim()).map(|&axis| {
            end += volume.extent(axis) as u64;
            end
        });
        ends.into_iter().find(|&end| number < end).map_or(1, |end| end - number)
    }

    fn advances_along(&self, volume: &Shape, number: u64) -> Option<usize> {
        // Slices along a further axis go through the whole volume once more.
        let (&last, others) = self.axes.split_last()?;
        let before: u64 = others.iter().map(|&axis| volume.extent(axis) as u64).sum();
        (number >= before).then_some(last)
    }

    fn row_shapes(&self, volume: &Shape) -> Result<Vec<(Shape, Option<usize>)>> {
        self.check(volume)?;
        self.axes.iter().map(|&axis| Ok((slice_shape(volume, axis)?, Some(axis)))).collect()
    }
}

fn slice_shape(volume: &Shape, axis: usize) -> Result<Shape> {
    let mut extents = volume.extents().to_vec();
    if let Some(extent) = extents.get_mut(axis) {
        *extent = 1;
    }
    Shape::new(&extents)
}

/// Patches at uniformly random places inside, a number of them for each subject and epoch.
///
/// Where a volume is smaller than the patch, the volume is centred in it.
#[derive(Debug, Clone)]
pub struct Uniform {
    patch: Vec<usize>,
    per_subject: u64,
}

impl Uniform {
    /// This many patches of this shape a subject; an extent of 0 is the volume's whole axis.
    pub fn new(patch: &[usize], per_subject: u64) -> Self {
        Self { patch: patch.to_vec(), per_subject: per_subject.max(1) }
    }
}

impl Rule for Uniform {
    fn count(&self, volume: &Shape) -> Result<u64> {
        patch_shape(&self.patch, volume)?;
        Ok(if volume.voxels()? == 0 { 0 } else { self.per_subject })
    }

    fn place(&self, volume: &Shape, _: u64, random: &mut Stream) -> Result<Place> {
        let patch = patch_shape(&self.patch, volume)?;
        let mut offset = [0i64; MAX_AXES];
        for (start, (&extent, &size)) in offset.iter_mut().zip(volume.extents().iter().zip(patch.extents())) {
            *start = match extent.checked_sub(size) {
                Some(room) => random.below(room as u64 + 1) as i64,
                None => -(((size - extent) / 2) as i64),
            };
        }
        let region = Region::new(offset.get(..volume.ndim()).unwrap_or_default(), patch)?;
        Ok(Place { region, thin: None })
    }

    fn row_shapes(&self, volume: &Shape) -> Result<Vec<(Shape, Option<usize>)>> {
        Ok(vec![(patch_shape(&self.patch, volume)?, None)])
    }
}

/// The patch shape with the volume's extent where 0 is asked.
pub(super) fn patch_shape(patch: &[usize], volume: &Shape) -> Result<Shape> {
    if patch.len() != volume.ndim() {
        let (given, axes) = (patch.len(), volume.ndim());
        return Err(Error::argument(format!(
            "patch shape has {given} axes, the volumes have {axes}: {volume}"
        )));
    }
    let extents = patch.iter().zip(volume.extents());
    let extents: Vec<usize> =
        extents.map(|(&wanted, &whole)| if wanted == 0 { whole } else { wanted }).collect();
    Shape::new(&extents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn shape(extents: &[usize]) -> Shape {
        Shape::new(extents).unwrap()
    }

    #[test]
    fn slices_go_through_one_axis_after_the_other() {
        let rule = Slices::new(&[2, 0]).unwrap();
        let volume = shape(&[2, 5, 3]);
        assert_eq!(rule.count(&volume).unwrap(), 5);
        let mut random = Stream::new(0, 0, 0, Purpose::Region);
        let places: Vec<String> =
            (0..5).map(|k| rule.place(&volume, k, &mut random).unwrap().region.to_string()).collect();
        assert_eq!(places[0], "[0:2, 0:5, 0:1]");
        assert_eq!(places[2], "[0:2, 0:5, 2:3]");
        assert_eq!(places[3], "[0:1, 0:5, 0:3]");
        let neighbours: Vec<u64> = (0..5).map(|k| rule.neighbours(&volume, k)).collect();
        assert_eq!(neighbours, [3, 2, 1, 2, 1]);
        let advances: Vec<Option<usize>> = (0..5).map(|k| rule.advances_along(&volume, k)).collect();
        assert_eq!(advances, [None, None, None, Some(0), Some(0)]);
        assert!(Slices::new(&[1, 1]).is_err());
        assert!(Slices::new(&[3]).unwrap().count(&volume).is_err());
    }

    #[test]
    fn uniform_patches_reach_every_place_and_none_outside() {
        let rule = Uniform::new(&[2, 0], 1);
        let volume = shape(&[4, 3]);
        let mut seen = [0; 3];
        for position in 0..3000 {
            let mut random = Stream::new(5, 0, position, Purpose::Region);
            let region = rule.place(&volume, 0, &mut random).unwrap().region;
            assert!(region.is_inside(&volume));
            seen[region.offset()[0] as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (900..1100).contains(&count)), "{seen:?}");
    }

    #[test]
    fn a_volume_smaller_than_the_patch_is_centred() {
        let rule = Uniform::new(&[7, 2], 1);
        let mut random = Stream::new(5, 0, 0, Purpose::Region);
        let region = rule.place(&shape(&[4, 2]), 0, &mut random).unwrap().region;
        assert_eq!(region.to_string(), "[-1:6, 0:2]");
        assert!(rule.count(&shape(&[4])).unwrap_err().message().contains("patch shape has 2 axes"));
    }
}
