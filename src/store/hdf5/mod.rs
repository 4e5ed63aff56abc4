//! HDF5: any numeric dataset of a file as a volume, and single volumes written.
//!
//! Contiguous data is read by its place in the file, without the library. Everything else (chunked,
//! filtered, compact, external, virtual, never written) comes through the library, under its lock.

mod array;
mod choose;
mod element;
mod file;
mod handles;
mod heap;
mod save;
mod write;

pub(super) use choose::{knows, open};
pub(super) use file::{Hdf5File, Place};
pub(super) use handles::Handles;
pub use save::library_version;
pub(super) use save::save;
pub(super) use write::Hdf5Writer;
