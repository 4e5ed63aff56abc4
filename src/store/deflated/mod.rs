//! Arrays inside deflated streams: a gzip file of one or more members, a member of a zip archive.
//!
//! A volume that the cache can hold is inflated whole, once ([`DeflatedArray`]). For a larger one a first
//! pass makes an index of places in the stream to go on from ([`SeekIndex`]); then the array is one of the
//! chunked kind, whose pieces are slabs of its slowest axis, and each is inflated on its own.

mod build;
mod gunzip;
mod index;
mod packed;
mod seek;
mod sidecar;
mod slabs;
mod whole;

pub(in crate::store) use gunzip::{Gunzip, damaged};
pub(in crate::store) use index::{Mark, Place, SeekIndex, SeekWindow};
pub(in crate::store) use packed::Packed;
pub(in crate::store) use seek::SeekSource;
pub(in crate::store) use slabs::Slabs;
pub(in crate::store) use whole::DeflatedArray;
