//! Volumes, subjects and datasets on disk: headers first, then blocks of voxels in the stored dtype.
//!
//! Every format gives the same thing, a [`Volume`]: a header, and strided blocks of stored bytes. What a
//! caller sees (orientation, padding, dtype) is made of a block by [`Reader`], in one copy.

mod array;
mod beside;
#[cfg(feature = "b2nd")]
mod b2nd;
#[cfg(any(feature = "b2nd", feature = "zarr"))]
mod blosc;
mod canvas;
mod chunks;
#[cfg(any(feature = "b2nd", feature = "zarr"))]
mod codec;
mod dataset;
mod deflated;
mod extract;
mod files;
mod folder;
mod hdf5;
mod kept;
mod manifest;
mod medsegpy;
mod moment;
mod montage;
mod nifti;
mod nifti_header;
mod nifti_save;
mod nnunet;
mod npy;
mod npz;
mod numpy;
mod open;
mod pending;
mod preload;
mod pymia;
mod save;
mod slide;
mod stack;
mod subject;
mod volume;
#[cfg(feature = "zarr")]
mod zarr;
mod zlib;

pub use array::{FileArray, MemoryArray};
pub use dataset::{Context, DEFAULT_CACHE_BYTES, Dataset, IndexPlace, OpenOptions, SeekUse};
pub use extract::{ArraysRead, Extraction, Reader, Rows, Wanted};
pub use files::{Files, Io, StoredFile};
pub use hdf5::library_version;
pub use kept::{Decoded, DecodedBytes, Had, Part, Patience};
pub use manifest::save as save_manifest;
pub use moment::Moment;
pub use montage::{Look, MontageColumn, MontageOptions, montage};
pub use open::{Choice, volume};
pub(crate) use pending::PendingFile;
pub(crate) use pymia::{StoredArray, SubjectTable, SubjectsFile};
pub use save::{DenseVolume, save};
pub use subject::{Category, Entry, GeometryCheck, Subject, extents_of_three};
pub use volume::{
    ArrayLayout, Block, Bytes, ChannelPlace, DecodedParts, Header, Origin, Scratch, TakeBlock, Volume,
    Window, Work,
};
