//! An open HDF5 file: what is in it, and the library's errors in our words.

use std::path::{Path, PathBuf};

use hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Dataset, File, H5Type, LocationType, MinorErrorCode};

use crate::error::{Error, ErrorKind, Result};
use crate::store::ChannelPlace;
use crate::store::hdf5::heap;
use crate::sys::{forget_built_in_plugins, open_to_read};
use crate::voxel::Affine;

/// How the library begins when it says that it has not a filter.
const NO_FILTER: &str = "required filter";
/// What helps where a filter is missing.
pub(super) const FILTER_HELP: &str =
    "put its plugin's folder into HDF5_PLUGIN_PATH, or write the file with gzip";

/// An HDF5 file that is open for reading.
#[derive(Debug)]
pub(in crate::store) struct Hdf5File {
    path: PathBuf,
    file: File,
}

/// A dataset in a file, and what is known of it from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Place<'a> {
    /// The dataset's name in the file.
    pub inner: &'a str,
    /// Where its channel axis is.
    pub channel: ChannelPlace,
    /// Its geometry, where a table elsewhere says it.
    pub affine: Option<Affine>,
}

impl Hdf5File {
    /// Opens the file.
    ///
    /// # Errors
    /// `NotFound` or `Io` where the system refuses, `Format` where it is no sound HDF5 file.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        forget_built_in_plugins();
        drop(open_to_read(path).map_err(|cause| Error::io(path, cause))?);
        match File::open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(cause) => Err(cannot_open(path, &cause)),
        }
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a group of this name.
    pub(crate) fn has_group(&self, name: &str) -> bool {
        self.kind(name) == Some(LocationType::Group)
    }

    /// Whether there is a dataset of this name.
    pub(crate) fn has_dataset(&self, name: &str) -> bool {
        self.kind(name) == Some(LocationType::Dataset)
    }

    fn kind(&self, name: &str) -> Option<LocationType> {
        self.file.loc_type_by_name(name).ok()
    }

    /// The names in a group, sorted.
    ///
    /// # Errors
    /// `Format` where the group cannot be read.
    pub(crate) fn names(&self, group: &str) -> Result<Vec<String>> {
        let failed = |cause| self.failed(group, &cause);
        let mut names = self.file.group(group).and_then(|group| group.member_names()).map_err(failed)?;
        names.sort();
        Ok(names)
    }

    /// An open dataset.
    ///
    /// # Errors
    /// `NotFound` where there is none of this name; `Format` where it cannot be opened.
    pub(crate) fn dataset(&self, name: &str) -> Result<Dataset> {
        if !self.has_dataset(name) {
            return Err(Error::not_found(format!("no dataset \"{name}\"")).in_file(&self.path));
        }
        self.file.dataset(name).map_err(|cause| self.failed(name, &cause))
    }

    /// The strings of a dataset, in order.
    ///
    /// # Errors
    /// `NotFound` where there is none of this name; `Format` where it holds something else.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>> {
        let dataset = self.dataset(name)?;
        let failed = |cause| self.failed(name, &cause);
        let described = dataset.dtype().and_then(|dtype| dtype.to_descriptor()).map_err(failed)?;
        let heap = matches!(described, TypeDescriptor::VarLenUnicode | TypeDescriptor::VarLenAscii);
        if let Some(start) = dataset.offset().filter(|_| heap)
            && !heap::is_walkable(&self.path, start, dataset.size() as u64)
        {
            return Err(self.wrong(name, "has its strings in a damaged heap"));
        }
        let text = match described {
            TypeDescriptor::VarLenUnicode => text::<VarLenUnicode>(&dataset),
            TypeDescriptor::VarLenAscii => text::<VarLenAscii>(&dataset),
            TypeDescriptor::FixedAscii(_) => text::<FixedAscii<1024>>(&dataset),
            TypeDescriptor::FixedUnicode(_) => text::<FixedUnicode<1024>>(&dataset),
            _ => return Err(self.wrong(name, "does not hold strings")),
        };
        text.map_err(failed)
    }

    /// The shape and the numbers of a small dataset.
    ///
    /// # Errors
    /// `NotFound` where there is none of this name; `Format` where it holds no numbers.
    pub(crate) fn numbers(&self, name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
        let dataset = self.dataset(name)?;
        let numbers = dataset.read_raw::<f64>().map_err(|cause| self.failed(name, &cause))?;
        Ok((dataset.shape(), numbers))
    }

    /// All datasets below the root, by name, with their shapes.
    ///
    /// # Errors
    /// `Format` where a group cannot be read.
    pub(crate) fn datasets(&self) -> Result<Vec<(String, Dataset)>> {
        // Hard links may form circles: each group is entered once, and not too many of them.
        const MOST_OBJECTS: usize = 10_000;
        let mut found = Vec::new();
        let mut seen = Vec::new();
        let mut groups = vec![String::new()];
        while let Some(group) = groups.pop() {
            for name in self.names(if group.is_empty() { "/" } else { &group })? {
                let path = format!("{group}/{name}");
                let Ok(info) = self.file.loc_info_by_name(&path) else { continue };
                match info.loc_type {
                    LocationType::Group if !seen.contains(&info.token) => {
                        seen.push(info.token);
                        groups.push(path);
                    }
                    LocationType::Dataset => found.push((path.clone(), self.dataset(&path)?)),
                    _ => {}
                }
            }
            if found.len() + seen.len() > MOST_OBJECTS {
                break;
            }
        }
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(found)
    }

    /// The error of the library about an object of this file.
    pub(crate) fn failed(&self, name: &str, cause: &hdf5::Error) -> Error {
        cannot_read(&self.path, name, cause)
    }

    /// The error that an object is not what the layout asks.
    pub(crate) fn wrong(&self, name: &str, what: &str) -> Error {
        Error::format(format!("\"{name}\" {what}")).in_file(&self.path)
    }
}

/// The strings of a dataset; bytes that are no UTF-8 are replaced.
fn text<T: H5Type + AsBytes>(dataset: &Dataset) -> hdf5::Result<Vec<String>> {
    let strings = dataset.read_raw::<T>()?;
    Ok(strings.iter().map(|string| String::from_utf8_lossy(string.bytes()).into_owned()).collect())
}

/// The bytes of a string type of the library.
trait AsBytes {
    fn bytes(&self) -> &[u8];
}

macro_rules! strings {
    ($($type:ty),*) => { $(
        impl AsBytes for $type {
            fn bytes(&self) -> &[u8] {
                self.as_bytes()
            }
        }
    )* };
}
strings!(VarLenUnicode, VarLenAscii, FixedAscii<1024>, FixedUnicode<1024>);

/// Why a file could not be opened.
fn cannot_open(path: &Path, cause: &hdf5::Error) -> Error {
    let has = |code| cause.contains_minor(code);
    let error = if has(MinorErrorCode::NotHdf5) {
        Error::format("no HDF5 superblock is found in it")
    } else if has(MinorErrorCode::Truncated) {
        Error::format("truncated: it is shorter than its superblock says")
    } else if has(MinorErrorCode::CantLock) || has(MinorErrorCode::CantLockFile) {
        let text = "locked by a program that writes it: close that one, or set HDF5_USE_FILE_LOCKING=FALSE";
        Error::new(ErrorKind::Io, text)
    } else {
        Error::format(format!("cannot be opened as HDF5: {}", reason(cause)))
    };
    error.in_file(path)
}

/// Why an object of a file could not be read.
pub(super) fn cannot_read(path: &Path, name: &str, cause: &hdf5::Error) -> Error {
    // A virtual dataset shows only when it is read what its sources are behind.
    let frames = cause.stack().unwrap_or_default();
    if let Some(missing) = frames.iter().map(|frame| frame.desc()).find(|text| text.starts_with(NO_FILTER)) {
        let text = format!("\"{name}\" cannot be read: {missing}: {FILTER_HELP}");
        return Error::unsupported(text).in_file(path);
    }
    match system_error(cause) {
        Some(cause) => Error::io(path, cause).at(format!("\"{name}\" cannot be read")),
        None => Error::format(format!("\"{name}\" cannot be read: {}", reason(cause))).in_file(path),
    }
}

/// The system's error that the library reports, where there is one.
pub(super) fn system_error(cause: &hdf5::Error) -> Option<std::io::Error> {
    let text = reason(cause);
    let (_, rest) = text.split_once("errno = ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(std::io::Error::from_raw_os_error)
}

/// What the library says, in one line: its innermost reason.
pub(super) fn reason(cause: &hdf5::Error) -> String {
    let stack = cause.stack();
    let innermost = stack.as_deref().and_then(<[_]>::last).map(|frame| frame.desc().to_owned());
    let text = innermost.unwrap_or_else(|| cause.to_string());
    text.lines().next().unwrap_or_default().trim().to_owned()
}
