//! Arrays that are stored in chunks: which pieces a window touches, and how each becomes voxels.
//!
//! The same for every chunked format. A format says by its [`Source`] where a piece's bytes lie and how they
//! are decoded; the walk over the pieces, the cache and the places in the window are [`ChunkedArray`]'s.

mod arrangement;
mod array;
mod asked;
mod grid;
mod layers;
mod source;

pub(in crate::store) use array::ChunkedArray;
pub(in crate::store) use grid::{Grid, GridAxis, Piece};
pub(in crate::store) use source::{Found, Source, Voxels};
