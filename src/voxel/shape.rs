//! How many voxels along each spatial axis, slowest first.

use crate::error::{Error, Result};

/// The most spatial axes that a volume has.
pub const MAX_AXES: usize = 6;

/// The extents of the spatial axes, slowest first: (depth, height, width) for a volume.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    ndim: usize,
    axes: [usize; MAX_AXES],
}

impl Shape {
    /// The shape of these extents.
    ///
    /// # Errors
    /// `Unsupported` for no axis or more than [`MAX_AXES`].
    pub fn new(extents: &[usize]) -> Result<Self> {
        if extents.is_empty() || extents.len() > MAX_AXES {
            let found = extents.len();
            return Err(Error::unsupported(format!("{found} spatial axes, expected 1 to {MAX_AXES}")));
        }
        let mut axes = [0; MAX_AXES];
        for (axis, &extent) in axes.iter_mut().zip(extents) {
            *axis = extent;
        }
        Ok(Self { ndim: extents.len(), axes })
    }

    /// The extents, slowest axis first.
    pub fn extents(&self) -> &[usize] {
        self.axes.get(..self.ndim).unwrap_or_default()
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.ndim
    }

    /// The extent of one axis, 1 beyond the last.
    pub fn extent(&self, axis: usize) -> usize {
        self.extents().get(axis).copied().unwrap_or(1)
    }

    /// The number of voxels.
    ///
    /// # Errors
    /// `Range` where it does not fit 63 bits.
    pub fn voxels(&self) -> Result<usize> {
        let count = self.extents().iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
        match count {
            Some(count) if i64::try_from(count).is_ok() => Ok(count),
            _ => Err(Error::range(format!("shape {self} has more voxels than 63 bits count"))),
        }
    }

    /// The number of bytes of this many channels of this many bytes a voxel.
    ///
    /// # Errors
    /// `Range` where it does not fit 63 bits.
    pub fn byte_len(&self, channels: usize, voxel_bytes: usize) -> Result<usize> {
        let bytes = self.voxels()?.checked_mul(channels).and_then(|count| count.checked_mul(voxel_bytes));
        match bytes {
            Some(bytes) if i64::try_from(bytes).is_ok() => Ok(bytes),
            _ => {
                Err(Error::range(format!("{channels} channels of {self} have more bytes than 63 bits count")))
            }
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let extents: Vec<_> = self.extents().iter().map(ToString::to_string).collect();
        write!(f, "({})", extents.join(", "))
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_shape_that_overflows_is_a_range_error() {
        let shape = Shape::new(&[usize::MAX, 2]).unwrap();
        assert_eq!(shape.voxels().unwrap_err().kind(), ErrorKind::Range);
        let shape = Shape::new(&[1 << 31, 1 << 31]).unwrap();
        assert_eq!(shape.voxels().unwrap(), 1 << 62);
        assert_eq!(shape.byte_len(1, 8).unwrap_err().kind(), ErrorKind::Range);
        assert_eq!(Shape::new(&[]).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Shape::new(&[1; 7]).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
