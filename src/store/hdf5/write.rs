//! An HDF5 file that is being written.

use std::path::{Path, PathBuf};

use hdf5::file::LibraryVersion;
use hdf5::types::{FixedAscii, VarLenUnicode};
use hdf5::{Dataset, File, Group};
use ndarray::ArrayView;

use crate::error::{Error, ErrorKind, Result};
use crate::store::hdf5::element::{StoredNumber, with_stored_type};
use crate::store::hdf5::file::{reason, system_error};
use crate::voxel::DType;

/// A text of one letter for each axis.
pub(super) type AxisLetters = FixedAscii<8>;

/// A new HDF5 file, in the format that every library since 1.10 reads.
#[derive(Debug)]
pub(in crate::store) struct Hdf5Writer {
    path: PathBuf,
    file: File,
}

impl Hdf5Writer {
    /// Creates the file.
    ///
    /// # Errors
    /// `Io` where it exists or the system refuses.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        // h5py's libver="latest" of pymia's time is this one; newer bounds would shut older readers out.
        let mut options = File::with_options();
        options.with_fapl(|plist| plist.libver_bounds(LibraryVersion::V110, LibraryVersion::V110));
        match options.create_excl(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(cause) => Err(match std::fs::OpenOptions::new().write(true).create_new(true).open(path) {
                Err(system) => {
                    let mut error = Error::io(path, system);
                    if error.kind() == ErrorKind::NotFound {
                        error = Error::not_found("the folder does not exist").in_file(path);
                    }
                    error
                }
                Ok(_) => refused(path, "the file", &cause),
            }),
        }
    }

    /// Writes an array of these bytes, dense, slowest axis first.
    ///
    /// # Errors
    /// `Io` where it cannot be written.
    pub(crate) fn array(&self, name: &str, extents: &[usize], dtype: DType, bytes: &[u8]) -> Result<()> {
        let made = if dtype == DType::Bool {
            let flags: Vec<bool> = bytes.iter().map(|&byte| byte != 0).collect();
            numbers(&self.file, name, extents, &flags)
        } else {
            with_stored_type!(dtype, stored(&self.file, name, extents, bytes))
        };
        made.map(drop).map_err(|cause| self.failed(name, &cause))
    }

    /// Writes an array of numbers.
    ///
    /// # Errors
    /// `Io` where it cannot be written.
    pub(crate) fn numbers<T: hdf5::H5Type>(&self, name: &str, extents: &[usize], values: &[T]) -> Result<()> {
        numbers(&self.file, name, extents, values).map(drop).map_err(|cause| self.failed(name, &cause))
    }

    /// Writes strings, variable-length UTF-8; no extent is a single one.
    ///
    /// # Errors
    /// `Argument` where one holds a zero byte; `Io` where they cannot be written.
    pub(crate) fn strings(&self, name: &str, extents: &[usize], values: &[String]) -> Result<()> {
        let values = values.iter().map(|value| text(value)).collect::<Result<Vec<_>>>()?;
        self.numbers(name, extents, &values)
    }

    /// Adds attributes to a dataset: its axes, and its geometry where there is one.
    ///
    /// # Errors
    /// `Io` where they cannot be written.
    pub(crate) fn describe(&self, name: &str, axes: &str, affine: Option<&[[f64; 4]; 4]>) -> Result<()> {
        let axes = AxisLetters::from_ascii(axes).map_err(|_| Error::internal("letters of axes"))?;
        let describe = || {
            let dataset = self.file.dataset(name)?;
            dataset.new_attr::<AxisLetters>().create("axes")?.write_scalar(&axes)?;
            if let Some(affine) = affine {
                let flat: Vec<f64> = affine.iter().flatten().copied().collect();
                dataset.new_attr::<f64>().shape((4, 4)).create("affine")?.write_raw(&flat)?;
                let column =
                    |axis: usize| affine.iter().take(3).filter_map(move |row| row.get(axis).copied());
                let length = |axis| column(axis).map(|step| step * step).sum::<f64>().sqrt();
                let spacing = [length(0), length(1), length(2)];
                dataset.new_attr::<f64>().shape(3).create("spacing_mm")?.write_raw(&spacing)?;
            }
            Ok(())
        };
        describe().map_err(|cause| self.failed(name, &cause))
    }

    /// Gives an object another name.
    ///
    /// # Errors
    /// `Io` where it cannot be written.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.file.relink(from, to).map_err(|cause| self.failed(from, &cause))
    }

    /// Closes the file.
    ///
    /// # Errors
    /// `Io` where the last bytes cannot be written.
    pub(crate) fn close(self) -> Result<()> {
        let Self { path, file } = self;
        let refused = |cause| refused(&path, "the end of the file", &cause);
        file.flush().map_err(refused)?;
        file.close().map_err(refused)
    }

    fn failed(&self, name: &str, cause: &hdf5::Error) -> Error {
        refused(&self.path, name, cause)
    }
}

/// The error of a write, the system's own where there is one.
fn refused(path: &Path, name: &str, cause: &hdf5::Error) -> Error {
    let error = match system_error(cause) {
        Some(cause) => Error::io(path, cause),
        None => Error::new(ErrorKind::Io, reason(cause)).in_file(path),
    };
    error.at(format!("\"{name}\" cannot be written"))
}

fn text(value: &str) -> Result<VarLenUnicode> {
    value.parse().map_err(|_| Error::argument(format!("{value:?} holds a zero byte")))
}

fn stored<T: StoredNumber>(
    group: &Group,
    name: &str,
    extents: &[usize],
    bytes: &[u8],
) -> hdf5::Result<Dataset> {
    match bytemuck::try_cast_slice::<u8, T>(bytes) {
        Ok(values) => numbers(group, name, extents, values),
        Err(_) => numbers(group, name, extents, &bytemuck::pod_collect_to_vec::<u8, T>(bytes)),
    }
}

fn numbers<T: hdf5::H5Type>(
    group: &Group,
    name: &str,
    extents: &[usize],
    values: &[T],
) -> hdf5::Result<Dataset> {
    let view = ArrayView::from_shape(extents, values)?;
    group.new_dataset_builder().with_data(view).create(name)
}
