//! HDF5: any numeric dataset of a file as a volume, and single volumes written.
//!
//! Contiguous data is read by its place in the file, without the library; so are chunks, whose filters are
//! undone here and whose places the library is asked for once. Everything else (compact, external, virtual,
//! never written, other filters, odd types) comes through the library, under its lock.

mod array;
mod choose;
mod chunked;
mod element;
mod file;
mod filters;
mod fletcher32;
mod handles;
mod heap;
mod index;
mod library;
mod lzf;
mod save;
mod write;

pub(super) use choose::{knows, open};
pub(super) use file::{Hdf5File, Place};
pub(super) use handles::Handles;
pub use save::library_version;
pub(super) use save::save;
pub(super) use write::Hdf5Writer;
