//! Reading pymia's dataset file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::store::hdf5::{Hdf5File, Place};
use crate::store::pymia::tables::digits;
use crate::store::pymia::tables::{Geometry, Table, Tables, check_shape};
use crate::store::{ChannelPlace, Choice, Context, Dataset, Entry, Subject};

/// Arrays of at most this many axes, the channel counted in, hold numbers about a subject and no voxels.
const MOST_ATTRIBUTE_AXES: usize = 2;

/// Whether a file has this layout.
pub(in crate::store) fn knows(file: &Hdf5File) -> bool {
    file.has_dataset("meta/subjects") && (file.has_group("data") || file.has_group("meta/files"))
}

/// Opens the file as a dataset: tables and headers only.
pub(in crate::store) fn open(file: &Hdf5File, context: Context) -> Result<Dataset> {
    let tables = Tables::read(file)?;
    let mut dataset = Dataset::in_context(context);
    for (number, id) in tables.subjects.iter().enumerate() {
        let mut subject = Subject::new(id.clone());
        let reading = Reading { file, tables: &tables, number };
        reading.read(&mut subject, dataset.context())?;
        dataset.add_subject(subject).map_err(|error| error.in_file(file.path()))?;
    }
    Ok(dataset)
}

/// One subject that is being read.
struct Reading<'a> {
    file: &'a Hdf5File,
    tables: &'a Tables,
    number: usize,
}

impl Reading<'_> {
    fn read(&self, subject: &mut Subject, context: &Context) -> Result<()> {
        let geometry = self.tables.geometry.as_ref().and_then(|rows| rows.get(self.number));
        let (mut volumes, mut placed) = (0, 0);
        for table in &self.tables.categories {
            if !table.stored {
                self.add_files(subject, table, context)?;
                continue;
            }
            let inner = self.place_of(&table.category);
            if !self.file.has_dataset(&inner) {
                let text = format!("is missing, though \"{}\" is among the subjects", subject.id());
                return Err(self.file.wrong(&inner, &text));
            }
            let extents = self.file.dataset(&inner)?.shape();
            if let Some(row) = table.shapes.as_ref().and_then(|rows| rows.get(self.number)) {
                check_shape(&extents, row, &inner).map_err(|error| error.in_file(self.file.path()))?;
            }
            if extents.len() <= MOST_ATTRIBUTE_AXES {
                self.add_attribute(subject, table, &inner)?;
                continue;
            }
            volumes += 1;
            placed += usize::from(self.add_volumes(subject, table, &extents, context)?);
        }
        if let (Some(geometry), true) = (geometry, volumes > 0 && placed == 0) {
            let text = format!(
                "has shape {:?} for subject \"{}\", which no array of it has",
                geometry.shape,
                subject.id()
            );
            return Err(self.file.wrong("meta/image_props/shapes", &text));
        }
        self.add_file_names(subject);
        Ok(())
    }

    /// The name of a category's array.
    fn place_of(&self, category: &str) -> String {
        let width = digits(self.tables.subjects.len());
        format!("data/{category}/{:0width$}", self.number)
    }

    /// Adds the entries of an array, and says whether the table of geometry is about them.
    fn add_volumes(
        &self,
        subject: &mut Subject,
        table: &Table,
        extents: &[usize],
        context: &Context,
    ) -> Result<bool> {
        let inner = self.place_of(&table.category);
        let channel = match (&table.names, extents.last()) {
            // A caller's own way of joining entries may leave a single one without a channel axis.
            (Some(names), Some(&last)) if names.len() == 1 && last != 1 => ChannelPlace::None,
            _ => ChannelPlace::Last,
        };
        let (shape, channels) = channel.split(extents)?;
        let row = self.tables.geometry.as_ref().and_then(|rows| rows.get(self.number));
        let affine = row.filter(|row| is_about(row, shape.extents())).map(|row| row.affine);
        let volume = self.file.volume(Place { inner: &inner, channel, affine }, context)?;
        if let Some(names) = table.names.as_ref().filter(|names| names.len() != channels) {
            let text = format!("has {channels} channels, but {} names", names.len());
            return Err(self.file.wrong(&inner, &text));
        }
        for number in 0..channels {
            let known = table.names.as_ref().and_then(|names| names.get(number));
            let name = known.cloned().unwrap_or_else(|| format!("channel_{number}"));
            let entry = Entry::channel(name, Arc::clone(&volume), number)?;
            context.add(subject, &table.category, entry)?;
        }
        Ok(affine.is_some())
    }

    /// Takes a small array as an attribute of the subject.
    fn add_attribute(&self, subject: &mut Subject, table: &Table, inner: &str) -> Result<()> {
        let values = match self.file.strings(inner) {
            Ok(strings) => json!(strings),
            Err(_) => json!(self.file.numbers(inner)?.1),
        };
        subject.set_attribute(&table.category, values);
        Ok(())
    }

    /// Opens the original files of a category whose voxels are not in the file.
    fn add_files(&self, subject: &mut Subject, table: &Table, context: &Context) -> Result<()> {
        let files = table.files.as_ref().and_then(|files| files.get(self.number));
        for (number, name) in files.into_iter().flatten().enumerate() {
            let volume = crate::store::volume(&self.original(name), &Choice::default(), context)?;
            let known = table.names.as_ref().and_then(|names| names.get(number));
            let entry = known.cloned().unwrap_or_else(|| format!("channel_{number}"));
            context.add(subject, &table.category, Entry::new(entry, volume))?;
        }
        Ok(())
    }

    /// The path of an original file: below the root that the file names, or beside the file itself.
    fn original(&self, name: &str) -> PathBuf {
        let root = self.tables.root.as_deref().unwrap_or_default();
        let first = Path::new(root).join(name);
        let beside = self.file.path().with_file_name(name);
        if !first.exists() && beside.exists() { beside } else { first }
    }

    fn add_file_names(&self, subject: &mut Subject) {
        let mut files = Map::new();
        for table in &self.tables.categories {
            if let Some(names) = table.files_attribute(self.number) {
                files.insert(table.category.clone(), names);
            }
        }
        if files.is_empty() {
            return;
        }
        subject.set_attribute("files", Value::Object(files));
        if let Some(root) = &self.tables.root {
            subject.set_attribute("file_root", json!(root));
        }
    }
}

/// Whether a row of the table of geometry has these extents, slowest axis first.
fn is_about(row: &Geometry, extents: &[usize]) -> bool {
    extents.len() == 3
        && extents.iter().rev().zip(row.shape).all(|(&extent, listed)| f64::from(extent as u16) == listed)
        && row.affine.is_finite()
}
