//! Zarr, versions 2 and 3: an array of chunk files in a folder, or a folder of such arrays.
//!
//! Source: the Zarr core specifications, versions 2 and 3.0, and the codecs `sharding_indexed`, `blosc`, `gzip`,
//! `zstd`, `crc32c` and `transpose`; numcodecs for the codecs of version 2; OME-NGFF 0.4 and 0.5 for the axes and
//! the spacing of multiscale images.

mod array;
mod element;
mod group;
mod metadata;
mod pipeline;
mod scales;
mod shard;

pub(super) use group::open;
