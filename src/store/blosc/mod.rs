//! Blosc chunks, first and second format: what `.b2nd` arrays and many Zarr arrays are made of.
//!
//! A chunk is cut into blocks, each decoded by itself: streams of LZ4, Zstandard, zlib or BloscLZ, then filters
//! undone. It is decoded here, so that a block goes from the mapped file straight into the cache without a
//! second library's threads, contexts and file access, and hostile bytes meet bounds-checked code.
//!
//! Source: c-blosc2, `README_CHUNK_FORMAT.rst`; c-blosc, `README_CHUNK_FORMAT.rst`.

mod blosclz;
mod chunk;
mod filters;

pub(super) use chunk::Chunk;
#[cfg(feature = "b2nd")]
pub(super) use chunk::{MOST_HEADER_BYTES, not_a_number};
