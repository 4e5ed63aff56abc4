//! A dataset file that is written subject by subject.
//!
//! Everything goes into a hidden file beside the target, which takes the target's name when all is
//! written: whoever opens the target finds the old dataset or the new one, never half of one.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{
    ArrayLayout, Category, ChannelPlace, DenseVolume, Entry, Extraction, GeometryCheck, Header, MemoryArray,
    Origin, PendingFile, Reader, StoredArray, Subject, SubjectTable, SubjectsFile,
};
use crate::voxel::{DType, Region};

/// What becomes of a file that has the target's name already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// It stays, and nothing is written.
    #[default]
    Keep,
    /// The finished file takes its place.
    Replace,
}

/// How a dataset is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct WriterOptions {
    /// What becomes of a file that has the target's name already.
    pub existing: Existing,
}

/// Writes a dataset file in pymia's layout: contiguous arrays, one for each subject and category.
///
/// A subject's entries are gathered in memory and written when the next subject begins. What is refused
/// leaves everything before it as it was. Without [`finish`](Self::finish), nothing is left on disk.
#[derive(Debug)]
pub struct DatasetWriter {
    target: PathBuf,
    pending_file: Option<PendingFile>,
    options: WriterOptions,
    file: Option<SubjectsFile>,
    plans: Vec<Plan>,
    ids: HashSet<String>,
    written: Vec<SubjectTable>,
    pending: Option<Subject>,
}

/// What the first subject fixes for one category of all others.
#[derive(Debug)]
struct Plan {
    category: String,
    entries: Vec<(String, usize)>,
    ndim: usize,
}

impl DatasetWriter {
    /// Begins a dataset file.
    ///
    /// # Errors
    /// `Argument` where the target exists and is to be kept, or has another ending; `NotFound` or `Io` where the system refuses.
    pub fn create(path: &Path, options: WriterOptions) -> Result<Self> {
        check_target(path, options)?;
        let pending_file = PendingFile::beside(path)?;
        let file = SubjectsFile::create(pending_file.path()).map_err(|error| error.at(path.display()))?;
        Ok(Self {
            target: path.to_owned(),
            pending_file: Some(pending_file),
            options,
            file: Some(file),
            plans: Vec::new(),
            ids: HashSet::new(),
            written: Vec::new(),
            pending: None,
        })
    }

    /// The path that the finished file will have.
    pub fn path(&self) -> &Path {
        &self.target
    }

    /// The number of subjects begun, the one in the making counted in.
    pub fn subject_count(&self) -> usize {
        self.written.len() + usize::from(self.pending.is_some())
    }

    /// Begins a subject; the one before is complete and written.
    ///
    /// # Errors
    /// `Argument` where the id is empty or taken, or where the subject before lacks an entry that the first
    /// one has; `State` after the end; `Io` where the file cannot be written.
    pub fn add_subject(&mut self, id: &str) -> Result<()> {
        self.open_file()?;
        if id.is_empty() {
            return Err(Error::argument("a subject's id is empty"));
        }
        if self.ids.contains(id) || self.pending.as_ref().is_some_and(|pending| pending.id() == id) {
            return Err(Error::argument(format!("subject \"{id}\" exists already")));
        }
        self.write_pending()?;
        self.pending = Some(Subject::new(id));
        Ok(())
    }

    /// Adds a volume to the subject in the making.
    ///
    /// # Errors
    /// `State` where no subject is begun; `Argument` where the bytes do not fit the shape, the name is
    /// taken, or shape, dtype or geometry differ from what the subject has; `Range` where an extent is
    /// larger than the file's tables hold.
    pub fn add_entry(&mut self, category: &str, name: &str, volume: &DenseVolume<'_>) -> Result<()> {
        self.add_entry_of_file((category, name), volume, Path::new(""))
    }

    /// Adds a volume that came from this file; the dataset names it where it knows the files of all.
    ///
    /// # Errors
    /// Those of [`add_entry`](Self::add_entry).
    pub fn add_entry_of_file(
        &mut self,
        (category, name): (&str, &str),
        volume: &DenseVolume<'_>,
        file: &Path,
    ) -> Result<()> {
        self.open_file()?;
        let Some(pending) = &mut self.pending else {
            return Err(Error::state("an entry needs a subject: begin one first"));
        };
        let place = format!("{category}/{name}");
        for part in [category, name] {
            if part.is_empty() || part == "." || part.contains(['/', '\0']) {
                let text = format!("{part:?} cannot name a category or an entry: no slash, not empty");
                return Err(Error::argument(text));
            }
        }
        let &DenseVolume { shape, channels, dtype, bytes, affine } = volume;
        SubjectsFile::check(&shape, channels).map_err(|error| error.at(&place))?;
        volume.check().map_err(|error| error.at(&place))?;
        let others = pending.categories().iter().find(|known| known.name == category);
        if let Some(first) = others.and_then(|known| known.entries.first()) {
            let expected = first.header().dtype;
            if dtype != expected {
                let known = first.name();
                return Err(Error::argument(format!(
                    "{place} is {dtype}, but {category}/{known} is {expected}: a category has one dtype"
                )));
            }
        }
        let origin = Origin { path: file.to_owned(), inner: place, ..Origin::default() };
        let layout = ArrayLayout::dense(&shape, channels, dtype.byte_len(), ChannelPlace::First);
        let header = Header { shape, channels, dtype, scale: None, affine, origin };
        let volume = MemoryArray::new(header, layout, bytes.to_vec())?;
        pending.add(category, Entry::new(name, Arc::new(volume)), GeometryCheck::Strict)
    }

    /// Writes the subject in the making now, as the next one's begin or the end would.
    ///
    /// # Errors
    /// `Argument` where it lacks an entry that the first subject has, or has another; it stays in the
    /// making then. `State` after the end; `Io` where the file cannot be written.
    pub fn complete_subject(&mut self) -> Result<()> {
        self.open_file()?;
        self.write_pending()
    }

    /// Forgets the subject in the making.
    pub fn discard_subject(&mut self) {
        self.pending = None;
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// `State` where there is no subject, or after the end; `Argument` where the last subject lacks an entry
    /// that the first one has, or where a file of this name has appeared; `Io` where it cannot be written.
    pub fn finish(&mut self) -> Result<()> {
        self.open_file()?;
        self.write_pending()?;
        if self.written.is_empty() {
            return Err(Error::state("a dataset without subjects is not written"));
        }
        check_target(&self.target, self.options)?;
        let (Some(file), Some(pending_file)) = (self.file.take(), self.pending_file.take()) else {
            return Err(ended());
        };
        let names = |plan: &Plan| (plan.category.clone(), channel_names(&plan.entries));
        let categories: Vec<_> = self.plans.iter().map(names).collect();
        file.finish(&categories, &self.written)?;
        pending_file.keep()
    }

    fn open_file(&self) -> Result<&SubjectsFile> {
        self.file.as_ref().ok_or_else(ended)
    }

    /// Writes the subject in the making, which stays one where it is refused.
    fn write_pending(&mut self) -> Result<()> {
        let Some(subject) = &self.pending else { return Ok(()) };
        let plans = self.plans_for(subject)?;
        let ordered: Vec<Category> = plans
            .iter()
            .map(|plan| {
                let names: Vec<String> = plan.entries.iter().map(|(name, _)| name.clone()).collect();
                subject.category(&plan.category)?.select(&names)
            })
            .collect::<Result<_>>()?;
        let first = subject.first_entry()?;
        let mut table = SubjectTable {
            id: subject.id().to_owned(),
            extents: Vec::new(),
            shape: first.shape()?,
            affine: first.affine(),
            files: Vec::new(),
        };
        let number = self.written.len();
        for category in &ordered {
            table.files.push(files(category));
            let extents = match write(self.open_file()?, category, number) {
                Ok(extents) => extents,
                Err(error) => {
                    // Half of the subject's arrays may be in the file, so it can no longer be completed.
                    self.file = None;
                    return Err(error);
                }
            };
            table.extents.push(extents);
        }
        if self.plans.is_empty() {
            self.plans = plans;
        }
        self.ids.insert(table.id.clone());
        self.written.push(table);
        self.pending = None;
        Ok(())
    }

    /// What the first subject fixes, checked against this one.
    fn plans_for(&self, subject: &Subject) -> Result<Vec<Plan>> {
        let own: Vec<Plan> = subject.categories().iter().map(plan).collect::<Result<_>>()?;
        let Some(first) = self.written.first() else {
            if own.is_empty() {
                return Err(Error::argument(format!("subject \"{}\" has no entry", subject.id())));
            }
            return Ok(own);
        };
        let describe = |plan: &Plan| {
            let mut names: Vec<_> =
                plan.entries.iter().map(|(name, count)| (name.as_str(), *count)).collect();
            names.sort_unstable();
            let names: Vec<_> = names.iter().map(|(name, count)| format!("{name} ({count})")).collect();
            format!("{} of {} axes: {}", plan.category, plan.ndim, names.join(", "))
        };
        let list = |plans: &[Plan]| {
            let mut all: Vec<String> = plans.iter().map(describe).collect();
            all.sort_unstable();
            all.join("; ")
        };
        let (here, there) = (list(&own), list(&self.plans));
        if here != there {
            return Err(Error::argument(format!(
                "subject \"{}\" has entries (channels) {here}, but subject \"{}\" has {there}",
                subject.id(),
                first.id
            )));
        }
        let known = self.plans.iter().map(|plan| Plan {
            category: plan.category.clone(),
            entries: plan.entries.clone(),
            ndim: plan.ndim,
        });
        Ok(known.collect())
    }
}

impl Drop for DatasetWriter {
    fn drop(&mut self) {
        // The library closes the file before the pending file removes it.
        self.file = None;
    }
}

fn ended() -> Error {
    Error::state("the dataset file is finished or has failed: begin another one")
}

fn check_target(path: &Path, options: WriterOptions) -> Result<()> {
    if path.is_dir() {
        return Err(Error::argument("is a folder, expected the name of a file").in_file(path));
    }
    let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
    if !matches!(ending.as_deref(), Some("h5" | "hdf5")) {
        return Err(Error::argument("a dataset file's name ends in .h5 or .hdf5").in_file(path));
    }
    if options.existing == Existing::Keep && path.exists() {
        return Err(Error::argument("exists already: remove it, or say existing = replace").in_file(path));
    }
    Ok(())
}

fn plan(category: &Category) -> Result<Plan> {
    let entries = category.entries.iter().map(|entry| (entry.name().to_owned(), entry.channels())).collect();
    let ndim = category.entries.first().map_or(Ok(0), |entry| entry.shape().map(|shape| shape.ndim()))?;
    Ok(Plan { category: category.name.clone(), entries, ndim })
}

/// The names of a category's channels: the entries', numbered where one has several.
fn channel_names(entries: &[(String, usize)]) -> Vec<String> {
    let names = entries.iter().flat_map(|(name, channels)| {
        (0..*channels).map(move |channel| match channels {
            1 => name.clone(),
            _ => format!("{name}_{channel}"),
        })
    });
    names.collect()
}

/// The files that the channels of a category came from.
fn files(category: &Category) -> Vec<PathBuf> {
    let files = category
        .entries
        .iter()
        .flat_map(|entry| std::iter::repeat_n(entry.header().origin.path.clone(), entry.channels()));
    files.collect()
}

/// Writes a category of a subject and gives the extents of its array.
fn write(file: &SubjectsFile, category: &Category, number: usize) -> Result<Vec<usize>> {
    let dtype = category.value_dtype()?;
    let channels = category.channels();
    let shape = category.entries.first().map_or_else(|| Err(ended()), Entry::shape)?;
    let mut planar = buffer(shape.byte_len(channels, dtype.byte_len())?)?;
    let region = Region::whole(shape);
    Reader::default().read(&category.entries, &region, &Extraction::exact(dtype), &mut planar)?;
    let bytes = if channels == 1 { planar } else { interleave(&planar, channels, dtype)? };
    let mut extents = shape.extents().to_vec();
    extents.push(channels);
    file.write((&category.name, number), &StoredArray { extents: &extents, dtype, bytes: &bytes })?;
    Ok(extents)
}

/// The same voxels with the channel as the fastest axis.
fn interleave(planar: &[u8], channels: usize, dtype: DType) -> Result<Vec<u8>> {
    let voxel = dtype.byte_len();
    let mut joined = buffer(planar.len())?;
    for (channel, plane) in planar.chunks_exact(planar.len() / channels).enumerate() {
        let first = channel * voxel;
        for (from, into) in plane.chunks_exact(voxel).zip(joined.chunks_exact_mut(voxel * channels)) {
            if let Some(into) = into.get_mut(first..first + voxel) {
                into.copy_from_slice(from);
            }
        }
    }
    Ok(joined)
}

/// Zeroed memory of this many bytes.
pub(super) fn buffer(len: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Error::memory(format!("no memory for {len} bytes")))?;
    bytes.resize(len, 0);
    Ok(bytes)
}
