//! Writing pymia's dataset file.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::hdf5::Hdf5Writer;
use crate::store::pymia::tables::digits;
use crate::voxel::{Affine, DType, Shape};

/// The largest extent that pymia's tables of shapes hold.
const MOST_EXTENT: usize = u16::MAX as usize;

/// A dataset file in the making: arrays first, tables when all subjects are known.
#[derive(Debug)]
pub(crate) struct SubjectsFile {
    file: Hdf5Writer,
}

/// What the tables say of one subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SubjectTable {
    /// Its id.
    pub(crate) id: String,
    /// The shapes of its arrays with the channel last, one for each category.
    pub(crate) extents: Vec<Vec<usize>>,
    /// The spatial shape of its first volume.
    pub(crate) shape: Shape,
    /// Where that volume lies.
    pub(crate) affine: Option<Affine>,
    /// The files that the entries of each category came from; empty where one is not known.
    pub(crate) files: Vec<Vec<PathBuf>>,
}

impl SubjectsFile {
    /// Creates the file.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it exists or the system refuses.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self { file: Hdf5Writer::create(path)? })
    }

    /// Refuses a shape that the tables cannot hold.
    ///
    /// # Errors
    /// `Range` where an extent needs more than 16 bits, or where there is none.
    pub(crate) fn check(shape: &Shape, channels: usize) -> Result<()> {
        for extent in shape.extents().iter().copied().chain([channels]) {
            if extent == 0 || extent > MOST_EXTENT {
                return Err(Error::range(format!(
                    "an axis of {extent} in {channels} channels of {shape}: this file's tables hold 1 to \
                     {MOST_EXTENT}"
                )));
            }
        }
        Ok(())
    }

    /// Writes the array of a subject's category: dense, channel last.
    ///
    /// # Errors
    /// `Io` where it cannot be written.
    pub(crate) fn write(&self, (category, number): (&str, usize), array: &StoredArray<'_>) -> Result<()> {
        self.file.array(&provisional(category, number), array.extents, array.dtype, array.bytes)
    }

    /// Writes the tables, gives the arrays their final names, and closes the file.
    ///
    /// # Errors
    /// `Io` where it cannot be written.
    pub(crate) fn finish(
        self,
        categories: &[(String, Vec<String>)],
        subjects: &[SubjectTable],
    ) -> Result<()> {
        let count = subjects.len();
        let width = digits(count);
        for (category, _) in categories {
            for number in 0..count {
                let (from, to) = (provisional(category, number), format!("data/{category}/{number:0width$}"));
                if from != to {
                    self.file.rename(&from, &to)?;
                }
            }
        }
        let ids: Vec<String> = subjects.iter().map(|subject| subject.id.clone()).collect();
        self.file.strings("meta/subjects", &[count], &ids)?;
        for (place, (category, names)) in categories.iter().enumerate() {
            self.file.strings(&format!("meta/names/{category}_names"), &[names.len()], names)?;
            let rows = subjects.iter().filter_map(|subject| subject.extents.get(place));
            let shapes: Vec<u16> = rows.flatten().map(|&extent| extent as u16).collect();
            let columns = shapes.len().checked_div(count).unwrap_or_default();
            self.file.numbers(&format!("meta/shapes/{category}_shapes"), &[count, columns], &shapes)?;
        }
        self.write_geometry(subjects)?;
        self.write_files(categories, subjects)?;
        self.file.close()
    }

    /// Writes where the volumes lie, in ITK's order: x, y, z, LPS+; not-a-number where that is not known.
    fn write_geometry(&self, subjects: &[SubjectTable]) -> Result<()> {
        let all_have_three = subjects.iter().all(|subject| subject.shape.ndim() == 3);
        if !all_have_three || subjects.iter().all(|subject| subject.affine.is_none()) {
            return Ok(());
        }
        let (mut shapes, mut origins, mut directions, mut spacings) = (vec![], vec![], vec![], vec![]);
        for subject in subjects {
            shapes.extend(subject.shape.extents().iter().rev().map(|&extent| extent as u16));
            let itk = subject.affine.map(|affine| affine.to_itk());
            origins.extend(itk.map_or([f64::NAN; 3], |itk| itk.origin));
            directions.extend(itk.map_or([f64::NAN; 9], |itk| itk.direction));
            spacings.extend(itk.map_or([f64::NAN; 3], |itk| itk.spacing_mm));
        }
        let count = subjects.len();
        self.file.numbers("meta/image_props/shapes", &[count, 3], &shapes)?;
        self.file.numbers("meta/image_props/origins", &[count, 3], &origins)?;
        self.file.numbers("meta/image_props/directions", &[count, 9], &directions)?;
        self.file.numbers("meta/image_props/spacing", &[count, 3], &spacings)
    }

    /// Writes where the entries came from, where all of them are known.
    fn write_files(&self, categories: &[(String, Vec<String>)], subjects: &[SubjectTable]) -> Result<()> {
        let files =
            |subject: &SubjectTable, place: usize| subject.files.get(place).cloned().unwrap_or_default();
        let complete = subjects.iter().all(|subject| {
            let rows = categories.iter().enumerate();
            rows.into_iter().all(|(place, (_, names))| files(subject, place).len() == names.len())
        });
        let all = || subjects.iter().flat_map(|subject| subject.files.iter().flatten());
        if !complete || all().any(|path| path.as_os_str().is_empty()) {
            return Ok(());
        }
        let Some(root) = common_folder(all()) else { return Ok(()) };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        self.file.strings("meta/files/file_root", &[], &[text(&root)])?;
        for (place, (category, names)) in categories.iter().enumerate() {
            let rows = subjects.iter().flat_map(|subject| files(subject, place));
            let relative: Vec<String> =
                rows.map(|path| text(path.strip_prefix(&root).unwrap_or(&path))).collect();
            let shape = [subjects.len(), names.len()];
            self.file.strings(&format!("meta/files/{category}_files"), &shape, &relative)?;
        }
        Ok(())
    }
}

/// A dense array of bytes, channel last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredArray<'a> {
    /// Its extents, slowest axis first, the channel last.
    pub(crate) extents: &'a [usize],
    /// Its dtype.
    pub(crate) dtype: DType,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
}

/// The name of an array until the number of subjects is known; never that of a final one of more digits.
fn provisional(category: &str, number: usize) -> String {
    format!("data/{category}/{number}")
}

/// The deepest folder that holds all of these files.
fn common_folder<'a>(mut paths: impl Iterator<Item = &'a PathBuf>) -> Option<PathBuf> {
    let mut root = paths.next()?.parent()?.to_owned();
    for path in paths {
        while !path.starts_with(&root) {
            root = root.parent()?.to_owned();
        }
    }
    Some(root)
}
