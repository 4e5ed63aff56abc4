//! What comes out of an assembler.

use std::path::Path;

use crate::error::{Error, Result};
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
    /// `Unsupported`: this build has no writer.
    pub(super) fn save(&self, path: &Path, _bytes: &[u8], _affine: Option<Affine>) -> Result<()> {
        let Output { channels, shape, dtype } = self;
        let what = format!("saving {channels} channels of {shape} {dtype} is not supported by this build");
        Err(Error::unsupported(what).in_file(path))
    }
}
