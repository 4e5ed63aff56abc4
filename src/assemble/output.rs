//! What comes out of an assembler.

use std::path::Path;

use crate::error::Result;
use crate::store::{self, DenseVolume};
use crate::voxel::{Affine, DType, Shape};

/// What a subject is handed out as.
///
/// Shape: (channel, spatial axes…), dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// The channels: those of the predictions, or one of labels.
    pub channels: usize,
    /// The spatial axes, those of the subject's volumes.
    pub shape: Shape,
    /// The dtype.
    pub dtype: DType,
}

impl Output {
    /// The bytes of all channels.
    ///
    /// # Errors
    /// `Range` where they overflow.
    pub fn byte_len(&self) -> Result<usize> {
        self.shape.byte_len(self.channels, self.dtype.byte_len())
    }

    /// Saves bytes of this description, where their subject lies.
    ///
    /// # Errors
    /// Those of [`store::save`].
    pub(super) fn save(&self, path: &Path, bytes: &[u8], affine: Option<Affine>) -> Result<()> {
        let Output { channels, shape, dtype } = *self;
        store::save(path, &DenseVolume { shape, channels, dtype, bytes, affine })
    }
}
