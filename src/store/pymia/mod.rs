//! pymia's dataset file: all subjects in one HDF5 file, arrays beside tables of names, shapes and geometry.
//!
//! Source: pymia 0.3.4, `pymia.data.creation`. Arrays are `data/{category}/{number}`, channel last; tables
//! are `meta/subjects`, `meta/names`, `meta/shapes`, `meta/files` and `meta/image_props` (ITK's order).

mod read;
mod tables;
mod write;

pub(super) use read::{knows, open};
pub(crate) use write::{StoredArray, SubjectTable, SubjectsFile};
