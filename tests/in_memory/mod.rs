//! Datasets without files: volumes of given shapes whose voxels a function gives.

use std::sync::Arc;

use voxfeed::error::Result;
use voxfeed::plan::{EpochOptions, Plan, Rule, Sampler};
use voxfeed::store::{
    ArrayLayout, ChannelPlace, Dataset, Entry, GeometryCheck, Header, MemoryArray, OpenOptions, Origin,
    Subject,
};
use voxfeed::voxel::{Affine, DType, Shape};

/// Where all volumes lie: turned, stretched and moved.
pub(crate) fn affine() -> Affine {
    Affine::new([[0.0, -1.5, 0.0, 10.0], [0.0, 0.0, 2.0, -20.5], [3.0, 0.0, 0.0, 7.25]])
}

/// A dataset of one f32 volume a subject; voxel `k` of subject `s` is `value(s, k)`.
pub(crate) fn dataset(shapes: &[Vec<usize>], value: impl Fn(usize, usize) -> f32) -> Arc<Dataset> {
    let mut dataset = Dataset::new(OpenOptions::default());
    for (number, extents) in shapes.iter().enumerate() {
        let shape = Shape::new(extents).unwrap();
        let voxels = shape.voxels().unwrap();
        let header = Header {
            shape,
            channels: 1,
            dtype: DType::F32,
            scale: None,
            affine: Some(affine()),
            origin: Origin::default(),
        };
        let layout = ArrayLayout::dense(&shape, 1, 4, ChannelPlace::None);
        let bytes = (0..voxels).flat_map(|k| value(number, k).to_ne_bytes()).collect();
        let array = Arc::new(MemoryArray::new(header, layout, bytes).unwrap());
        let mut subject = Subject::new(format!("sub-{number:02}"));
        subject.add("images", Entry::new("T1", array), GeometryCheck::Strict).unwrap();
        dataset.add_subject(subject).unwrap();
    }
    Arc::new(dataset)
}

/// The plan of a rule over a dataset.
pub(crate) fn plan(dataset: Arc<Dataset>, rule: Arc<dyn Rule>, options: EpochOptions) -> Result<Arc<Plan>> {
    Ok(Arc::new(Plan::new(Arc::new(Sampler::new(dataset, rule)?), options)?))
}
