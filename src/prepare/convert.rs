//! A dataset of any format written as one file: subjects are read in parallel and written in order.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::path::PathBuf;

use crossbeam_channel::{Receiver, bounded};

use crate::error::{Error, Result};
use crate::prepare::DatasetWriter;
use crate::prepare::writer::buffer;
use crate::store::{Dataset, DenseVolume, Extraction, Reader, Subject};
use crate::sys::core_count;
use crate::voxel::{Affine, DType, Region, Shape};

/// How a dataset is converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvertOptions {
    /// The threads that read; at most one subject more than these is in memory.
    pub threads: usize,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self { threads: core_count() }
    }
}

/// How a conversion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All subjects are written.
    Complete,
    /// The caller cancelled it after this many subjects.
    Cancelled(usize),
}

/// A volume that is read and not yet written.
struct Read {
    category: String,
    name: String,
    file: PathBuf,
    shape: Shape,
    channels: usize,
    dtype: DType,
    affine: Option<Affine>,
    bytes: Vec<u8>,
}

/// Adds all subjects of a dataset to a writer, in order, and reports (done, all) after each; a break stops.
///
/// Volumes are written as they are seen: oriented as the dataset was opened, values with their scale
/// applied, in the smallest dtype that holds a category's values in all subjects. The writer is not
/// finished: that is the caller's, who may also drop it.
///
/// # Errors
/// Those of reading and of [`DatasetWriter::add_entry`], with the subject named; subjects written before
/// stay in the writer.
pub fn convert(
    dataset: &Dataset,
    writer: &mut DatasetWriter,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Outcome> {
    let dtypes = category_dtypes(dataset)?;
    let threads = options.threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("voxfeed-convert-{number}"))
        .build()
        .map_err(|cause| Error::memory("no threads could be started").caused_by(cause))?;
    let subjects = dataset.subjects();
    let all = subjects.len();
    pool.in_place_scope(|scope| {
        let mut waiting: VecDeque<Receiver<Result<Vec<Read>>>> = VecDeque::new();
        let mut next = subjects.iter();
        let dtypes = &dtypes;
        for done in 0..all {
            while waiting.len() <= threads {
                let Some(subject) = next.next() else { break };
                let (sender, receiver) = bounded(1);
                scope.spawn(move |_| {
                    // The receiver is gone where the conversion has ended early.
                    let _ = sender.send(read(subject, dtypes));
                });
                waiting.push_back(receiver);
            }
            let (Some(receiver), Some(subject)) = (waiting.pop_front(), subjects.get(done)) else { break };
            let lost = |_| Error::internal("a reading thread ended without a result");
            let volumes = receiver.recv().map_err(lost)?;
            let named = |error: Error| error.at(format!("subject \"{}\"", subject.id()));
            write(writer, subject, volumes.map_err(named)?).map_err(named)?;
            if progress(done as u64 + 1, all as u64).is_break() && done + 1 < all {
                return Ok(Outcome::Cancelled(done + 1));
            }
        }
        Ok(Outcome::Complete)
    })
}

/// The smallest dtype of each category that holds its values in all subjects.
fn category_dtypes(dataset: &Dataset) -> Result<HashMap<String, DType>> {
    let mut dtypes: HashMap<String, DType> = HashMap::new();
    for category in dataset.subjects().iter().flat_map(Subject::categories) {
        let own = category.value_dtype()?;
        let known = dtypes.entry(category.name.clone()).or_insert(own);
        *known = known.promote(own);
    }
    Ok(dtypes)
}

/// Reads all volumes of a subject.
fn read(subject: &Subject, dtypes: &HashMap<String, DType>) -> Result<Vec<Read>> {
    let mut reader = Reader::default();
    let mut volumes = Vec::new();
    for category in subject.categories() {
        let dtype = dtypes.get(&category.name).copied().unwrap_or(DType::F64);
        for entry in &category.entries {
            let stored = &entry.header().origin;
            // A file of many arrays is no entry's file, and nobody could read the entry from it alone.
            let file = if stored.inner.is_empty() { stored.path.clone() } else { PathBuf::new() };
            let (shape, channels) = (entry.shape()?, entry.channels());
            let mut bytes = buffer(shape.byte_len(channels, dtype.byte_len())?)?;
            let (region, how) = (Region::whole(shape), Extraction::exact(dtype));
            reader.read(std::slice::from_ref(entry), &region, &how, &mut bytes)?;
            let (category, name) = (category.name.clone(), entry.name().to_owned());
            let affine = entry.affine();
            volumes.push(Read { category, name, file, shape, channels, dtype, affine, bytes });
        }
    }
    Ok(volumes)
}

fn write(writer: &mut DatasetWriter, subject: &Subject, volumes: Vec<Read>) -> Result<()> {
    writer.add_subject(subject.id())?;
    let add = |read: Read| {
        let Read { shape, channels, dtype, affine, .. } = read;
        let volume = DenseVolume { shape, channels, dtype, affine, bytes: &read.bytes };
        writer.add_entry_of_file((&read.category, &read.name), &volume, &read.file)
    };
    let written = volumes.into_iter().try_for_each(add).and_then(|()| writer.complete_subject());
    if written.is_err() {
        writer.discard_subject();
    }
    written
}
