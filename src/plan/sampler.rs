//! A rule applied to every subject of a dataset: the samples of an epoch before they are ordered.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::plan::{Place, Rule, Sample};
use crate::random::{Purpose, Stream};
use crate::store::Dataset;
use crate::voxel::Shape;

/// The samples of a dataset under a rule, numbered subject by subject.
#[derive(Debug, Clone)]
pub struct Sampler {
    dataset: Arc<Dataset>,
    rule: Arc<dyn Rule>,
    shapes: Vec<Shape>,
    ends: Vec<u64>,
}

impl Sampler {
    /// Applies the rule to every subject; only headers are looked at.
    ///
    /// # Errors
    /// `Argument` where the dataset is empty, or where a volume has no sample under the rule; `NotFound` where
    /// a subject has no volume.
    pub fn new(dataset: Arc<Dataset>, rule: Arc<dyn Rule>) -> Result<Self> {
        if dataset.subjects().is_empty() {
            return Err(Error::argument("the dataset has no subject"));
        }
        let mut shapes = Vec::with_capacity(dataset.subjects().len());
        let mut ends = Vec::with_capacity(shapes.capacity());
        let mut end = 0u64;
        for subject in dataset.subjects() {
            let shape = subject.first_entry()?.shape()?;
            let name = |error: Error| error.at(format!("subject \"{}\"", subject.id()));
            let count = rule.count(&shape).map_err(name)?;
            if count == 0 {
                let text = format!(
                    "its volumes of shape {shape} have no sample: choose a smaller patch, or the border rule shift, \
                     clip or pad"
                );
                return Err(name(Error::argument(text)));
            }
            end = end.checked_add(count).ok_or_else(|| Error::range("more samples than 64 bits count"))?;
            shapes.push(shape);
            ends.push(end);
        }
        Ok(Self { dataset, rule, shapes, ends })
    }

    /// The dataset.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// The number of samples of an epoch.
    pub fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Whether there is none; a sampler that exists has one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The spatial shape of a subject's volumes.
    ///
    /// # Errors
    /// `Range` where there is no such subject.
    pub fn subject_shape(&self, subject: usize) -> Result<Shape> {
        let shape = self.shapes.get(subject).copied();
        shape.ok_or_else(|| Error::range(format!("subject {subject} of {}", self.shapes.len())))
    }

    /// The sample of this number in this epoch under this seed.
    ///
    /// # Errors
    /// `Range` where the number is not below the length.
    pub fn sample(&self, seed: u64, epoch: u64, index: u64) -> Result<Sample> {
        if index >= self.len() {
            return Err(Error::range(format!("sample {index} of {}", self.len())));
        }
        let (subject, number) = self.within_subject(index);
        let shape = self.subject_shape(subject)?;
        let mut random = Stream::new(seed, epoch, index, Purpose::Region);
        let Place { region, thin } = self.rule.place(&shape, number, &mut random)?;
        let inside = region.clipped(&shape);
        Ok(Sample { index, subject, epoch, position: index, repeated: false, region, inside, thin })
    }

    /// How many samples, from one on, are slices of one subject that lie side by side; 1 where that is not known.
    pub fn neighbours(&self, index: u64) -> u64 {
        let (subject, number) = self.within_subject(index);
        self.shapes.get(subject).map_or(1, |shape| self.rule.neighbours(shape, number))
    }

    /// The axis and the position on it before which neither a sample nor any that follows it in order begins, as long as
    /// they are of its subject; nothing where that is not known.
    pub fn front(&self, sample: &Sample) -> Option<(usize, i64)> {
        let (subject, number) = self.within_subject(sample.index);
        let axis = self.rule.advances_along(self.shapes.get(subject)?, number)?;
        Some((axis, *sample.region.offset().get(axis)?))
    }

    /// The subject that a sample belongs to, and its number among that subject's.
    fn within_subject(&self, index: u64) -> (usize, u64) {
        let subject = self.subject_of(index);
        let before = subject.checked_sub(1).and_then(|previous| self.ends.get(previous)).copied();
        (subject, index - before.unwrap_or_default())
    }

    /// The subject that a sample belongs to.
    pub fn subject_of(&self, index: u64) -> usize {
        self.ends.partition_point(|&end| end <= index)
    }

    /// Writes the number of samples of each subject.
    pub fn counts(&self, counts: &mut [u64]) {
        let mut before = 0;
        for (count, &end) in counts.iter_mut().zip(&self.ends) {
            *count = end - before;
            before = end;
        }
    }

    /// The shape that the row of a sample has, its thin axis kept.
    ///
    /// # Errors
    /// `Internal` where the sample is not of this sampler.
    pub fn row_shape(&self, sample: &Sample) -> Result<Shape> {
        let shapes = self.rule.row_shapes(&self.subject_shape(sample.subject)?)?;
        let own = shapes.into_iter().find(|(_, thin)| *thin == sample.thin);
        own.map(|(shape, _)| shape).ok_or_else(|| Error::internal("a sample has no row shape"))
    }

    /// A number that tells this sampler from others: of other subjects, shapes, rules or seeds.
    ///
    /// # Errors
    /// Those of [`Sampler::sample`].
    pub fn fingerprint(&self, seed: u64) -> Result<u64> {
        let mut text = format!("{} {seed}", self.len());
        for (subject, shape) in self.dataset.subjects().iter().zip(&self.shapes) {
            text.push_str(&format!(" {} {shape}", subject.id()));
        }
        for index in [0, self.len() / 2, self.len() - 1] {
            text.push_str(&self.sample(seed, 0, index)?.region.to_string());
        }
        // FNV-1a: a hash that stays the same from release to release, which the standard library's need not.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        Ok(text.bytes().fold(0xCBF2_9CE4_8422_2325, step))
    }

    /// Each different shape of a row, with its thin axis and the first subject that has it.
    ///
    /// # Errors
    /// Those of the rule.
    pub fn row_shapes(&self) -> Result<Vec<(Shape, Option<usize>, usize)>> {
        let mut all: Vec<(Shape, Option<usize>, usize)> = Vec::new();
        for (subject, shape) in self.shapes.iter().enumerate() {
            for (row, thin) in self.rule.row_shapes(shape)? {
                if !all.iter().any(|(known, axis, _)| *known == row && *axis == thin) {
                    all.push((row, thin, subject));
                }
            }
        }
        Ok(all)
    }
}
