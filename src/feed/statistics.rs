//! Mean and standard deviation of a subject's channels, taken once and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::store::{Entry, Extraction, Reader};
use crate::transform::{Statistics, StatisticsVoxels};
use crate::voxel::{DType, Region, Shape};

/// The most voxels that are read at once.
const SLAB_VOXELS: usize = 1 << 22;

type Place = Arc<Mutex<Option<Arc<Vec<Statistics>>>>>;

/// The statistics of subjects by category and subject number.
#[derive(Debug, Default)]
pub(super) struct KnownStatistics {
    places: Mutex<HashMap<(usize, usize), Place>>,
}

impl KnownStatistics {
    /// The statistics of each channel of these entries, which belong to `key`: kept, or taken now.
    pub(super) fn get(
        &self,
        key: (usize, usize),
        entries: &[Entry],
        voxels: StatisticsVoxels,
    ) -> Result<Arc<Vec<Statistics>>> {
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(key).or_default())
        };
        // Who comes second waits here, so that a volume is read once.
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref() {
            return Ok(Arc::clone(known));
        }
        let mut all = Vec::new();
        for entry in entries {
            all.extend(of_entry(entry, voxels)?);
        }
        Ok(Arc::clone(known.insert(Arc::new(all))))
    }
}

/// Count, mean and sum of squared distances from the mean: what two parts can be joined from.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(values: &[f64], voxels: StatisticsVoxels) -> Self {
        let wanted = |value: &&f64| voxels == StatisticsVoxels::All || **value != 0.0;
        let count = values.iter().filter(wanted).count() as f64;
        if count == 0.0 {
            return Self::default();
        }
        let mean = values.iter().filter(wanted).sum::<f64>() / count;
        let squares = values.iter().filter(wanted).map(|value| (value - mean) * (value - mean)).sum();
        Self { count, mean, squares }
    }

    /// Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    /// variances", 1979.
    fn join(self, other: Self) -> Self {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let apart = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + apart * other.count / count,
            squares: self.squares + other.squares + apart * apart * self.count * other.count / count,
        }
    }
}

/// The statistics of each channel of an entry, read slab by slab along its slowest axis.
fn of_entry(entry: &Entry, voxels: StatisticsVoxels) -> Result<Vec<Statistics>> {
    let shape = entry.shape()?;
    let channels = entry.channels();
    let mut moments = vec![Moments::default(); channels];
    let depth = shape.extent(0);
    let plane = (shape.voxels()? / depth.max(1)).max(1);
    let thick = (SLAB_VOXELS / plane / channels.max(1)).clamp(1, depth.max(1));
    let mut reader = Reader::default();
    let mut values: Vec<f64> = Vec::new();
    let mut start = 0;
    while start < depth {
        let len = thick.min(depth - start);
        let mut extents = shape.extents().to_vec();
        let mut offset = vec![0i64; extents.len()];
        if let (Some(extent), Some(first)) = (extents.first_mut(), offset.first_mut()) {
            (*extent, *first) = (len, start as i64);
        }
        let region = Region::new(&offset, Shape::new(&extents)?)?;
        values.resize(region.shape().byte_len(channels, 1)?, 0.0);
        let into = bytemuck::cast_slice_mut(&mut values);
        reader.read(std::slice::from_ref(entry), &region, &Extraction::exact(DType::F64), into)?;
        let part = values.len() / channels.max(1);
        for (sum, channel) in moments.iter_mut().zip(values.chunks(part.max(1))) {
            *sum = sum.join(Moments::of(channel, voxels));
        }
        start += len;
    }
    let finish = |moments: Moments| {
        let variance = if moments.count > 0.0 { moments.squares / moments.count } else { 0.0 };
        Statistics { mean: moments.mean, std: variance.sqrt() }
    };
    Ok(moments.into_iter().map(finish).collect())
}
