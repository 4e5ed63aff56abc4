//! The ordered subjects, their named subsets, and what their reading shares.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::store::{Decoded, Entry, Files, GeometryCheck, Io, Subject};
use crate::voxel::Orientation;

/// How a dataset is opened.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenOptions {
    /// How stored bytes are brought up.
    pub io: Io,
    /// How strictly the volumes of a subject must lie on one grid.
    pub geometry: GeometryCheck,
    /// The orientation that all volumes are seen in; as stored where none.
    pub orient: Option<Orientation>,
    /// The bytes of decoded chunks and volumes that are kept.
    pub cache_bytes: u64,
    /// Which deflated volumes are inflated slab by slab, through an index.
    pub seek_index: SeekUse,
    /// Where such an index is kept.
    pub index_place: IndexPlace,
}

/// Which deflated volumes are inflated slab by slab, and not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SeekUse {
    /// Those that are larger than the bytes of decoded volumes that are kept.
    #[default]
    Auto,
    /// None.
    Never,
    /// All whose axes are stored in the order of their shape.
    Always,
}

/// Where the index of a deflated volume is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum IndexPlace {
    /// In memory.
    #[default]
    Memory,
    /// In a file beside the volume's own.
    Beside,
    /// In a file of this folder.
    Folder(PathBuf),
}

/// The bytes of decoded chunks and volumes that are kept where nobody says otherwise: 2 GiB.
pub const DEFAULT_CACHE_BYTES: u64 = 2 << 30;

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            io: Io::Auto,
            geometry: GeometryCheck::Strict,
            orient: None,
            cache_bytes: DEFAULT_CACHE_BYTES,
            seek_index: SeekUse::Auto,
            index_place: IndexPlace::Memory,
        }
    }
}

/// What the volumes of a dataset share: options, open files, decoded volumes.
#[derive(Debug, Clone)]
pub struct Context {
    /// How the dataset was opened.
    pub options: OpenOptions,
    /// The open files.
    pub files: Arc<Files>,
    /// The decoded volumes.
    pub decoded: Arc<Decoded>,
}

impl Context {
    /// A context of its own for these options.
    pub fn new(options: OpenOptions) -> Self {
        let files = Arc::new(Files::new(options.io));
        let decoded = Arc::new(Decoded::new(options.cache_bytes));
        Self { options, files, decoded }
    }

    /// Adds a volume to a subject, oriented and checked as the options say.
    ///
    /// # Errors
    /// `Argument` where the name is taken or the grids differ; those of [`Entry::oriented`].
    pub fn add(&self, subject: &mut Subject, category: &str, entry: Entry) -> Result<()> {
        let entry = match &self.options.orient {
            Some(orientation) => entry.oriented(orientation)?,
            None => entry,
        };
        subject.add(category, entry, self.options.geometry)
    }
}

/// The ordered subjects with their splits.
#[derive(Debug, Clone)]
pub struct Dataset {
    context: Context,
    subjects: Vec<Subject>,
    splits: Vec<(String, Vec<usize>)>,
}

impl Dataset {
    /// A dataset without subjects.
    pub fn new(options: OpenOptions) -> Self {
        Self::in_context(Context::new(options))
    }

    /// A dataset without subjects whose volumes share this context.
    pub fn in_context(context: Context) -> Self {
        Self { context, subjects: Vec::new(), splits: Vec::new() }
    }

    /// Opens a file or a folder, its format told by its content; no voxel is read.
    ///
    /// # Errors
    /// `NotFound` or `Io` where it cannot be opened, `Format` where it is broken, `Unsupported` where no
    /// reader knows it, `Argument` where the volumes of a subject do not lie on one grid.
    pub fn open(path: &Path, options: OpenOptions) -> Result<Self> {
        super::open::dataset(path, Context::new(options))
    }

    /// What its volumes share.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The subjects in order.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// One subject.
    ///
    /// # Errors
    /// `Range` where there is none of this number.
    pub fn subject(&self, number: usize) -> Result<&Subject> {
        self.subjects.get(number).ok_or_else(|| self.no_subject(number))
    }

    /// One subject, to change it.
    ///
    /// # Errors
    /// `Range` where there is none of this number.
    pub fn subject_mut(&mut self, number: usize) -> Result<&mut Subject> {
        let missing = self.no_subject(number);
        self.subjects.get_mut(number).ok_or(missing)
    }

    fn no_subject(&self, number: usize) -> Error {
        let count = self.subjects.len();
        Error::range(format!("no subject {number}: the dataset has {count}, counted from 0"))
    }

    /// Adds a subject and gives its number.
    ///
    /// # Errors
    /// `Argument` where its id is empty or taken.
    pub fn add_subject(&mut self, subject: Subject) -> Result<usize> {
        if subject.id().is_empty() {
            return Err(Error::argument("a subject's id is empty"));
        }
        if self.find(subject.id()).is_ok() {
            return Err(Error::argument(format!("subject \"{}\" exists already", subject.id())));
        }
        self.subjects.push(subject);
        Ok(self.subjects.len() - 1)
    }

    /// The number of the subject of this id.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn find(&self, id: &str) -> Result<usize> {
        let number = self.subjects.iter().position(|subject| subject.id() == id);
        number.ok_or_else(|| Error::not_found(format!("no subject \"{id}\"")))
    }

    /// Names a subset: "train", "validation", "test" and so on; an old one of this name is replaced.
    ///
    /// # Errors
    /// `Range` where a subject does not exist; `Argument` where one is named twice or the name is empty.
    pub fn set_split(&mut self, name: &str, subjects: &[usize]) -> Result<()> {
        if name.is_empty() {
            return Err(Error::argument("a split's name is empty"));
        }
        let mut seen = vec![false; self.subjects.len()];
        for &number in subjects {
            match seen.get_mut(number) {
                None => return Err(self.no_subject(number).at(format!("split \"{name}\""))),
                Some(true) => {
                    let id = self.subject(number)?.id();
                    return Err(Error::argument(format!(
                        "split \"{name}\": subject \"{id}\" is named twice"
                    )));
                }
                Some(flag) => *flag = true,
            }
        }
        self.splits.retain(|(known, _)| known != name);
        self.splits.push((name.to_owned(), subjects.to_vec()));
        Ok(())
    }

    /// The names and subjects of all splits.
    pub fn splits(&self) -> &[(String, Vec<usize>)] {
        &self.splits
    }

    /// A dataset of the subjects of one split, in the split's order.
    ///
    /// # Errors
    /// `NotFound` where there is no split of this name; the message lists those that there are.
    pub fn split(&self, name: &str) -> Result<Dataset> {
        let found = self.splits.iter().find(|(known, _)| known == name);
        let Some((_, subjects)) = found else {
            let known: Vec<_> = self.splits.iter().map(|(known, _)| known.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Error::not_found(format!("no split \"{name}\": there are {known}")));
        };
        self.subset(subjects)
    }

    /// A dataset of these subjects, in this order; splits are not carried over.
    ///
    /// # Errors
    /// `Range` where a subject does not exist; `Argument` where one is named twice.
    pub fn subset(&self, subjects: &[usize]) -> Result<Dataset> {
        let mut subset = Dataset::in_context(self.context.clone());
        for (place, &number) in subjects.iter().enumerate() {
            let subject = self.subject(number)?;
            if subjects.iter().take(place).any(|&other| other == number) {
                let id = subject.id();
                return Err(Error::argument(format!("subject \"{id}\" is named twice")));
            }
            subset.add_subject(subject.clone())?;
        }
        Ok(subset)
    }
}
