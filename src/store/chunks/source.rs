//! What a format knows of the pieces of one array.

use std::sync::Arc;

use crate::error::Result;
use crate::store::chunks::grid::Piece;
use crate::store::{Moment, Work};
use crate::sys::FileMap;

/// Where a piece's voxels are.
#[derive(Debug)]
pub(in crate::store) enum Found {
    /// Nowhere: every voxel has the fill value.
    Missing,
    /// In a mapped file as they are, from this byte on.
    Plain(Arc<FileMap>, usize),
    /// Behind a decoder.
    Packed,
}

/// What a format knows of the pieces of one array.
pub(in crate::store) trait Source: Send + Sync + std::fmt::Debug {
    /// Where a piece is.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn find(&self, piece: &Piece, moment: Moment) -> Result<Found>;

    /// Decodes a packed piece: every byte of `into`, which has the piece's whole size.
    ///
    /// # Errors
    /// `Format` where the stored bytes are damaged or give another size; as the machine has them.
    fn decode(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<()>;

    /// The same, where a shuffle of the voxels' bytes may stay: the bytes from one byte of a voxel to its next then.
    ///
    /// # Errors
    /// Those of [`Source::decode`].
    fn decode_to_shuffled(&self, piece: &Piece, work: &mut Work, into: &mut [u8]) -> Result<Option<usize>> {
        self.decode(piece, work, into).map(|()| None)
    }

    /// Tells the system that a piece's stored bytes will be read soon.
    fn will_need(&self, _piece: &Piece) {}

    /// The bytes of the array where all of it is decoded at once, with what stands before it; 0 where that is not done.
    fn whole_bytes(&self) -> u64 {
        0
    }

    /// The numbers of the packed pieces, in order; nothing where all of them are packed.
    ///
    /// # Errors
    /// As the format and the machine have them.
    fn packed(&self) -> Result<Option<&[u64]>> {
        Ok(None)
    }
}

/// How the voxels of an array's pieces are stored.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct Voxels {
    /// Whether they are in the other kind of machine's byte order.
    pub swapped: bool,
    /// A voxel of a piece that is not stored, in stored byte order.
    pub fill: [u8; 8],
}
