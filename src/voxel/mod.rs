//! What a voxel is and where it lies: element types, shapes, regions, padding and geometry, as plain values.

mod affine;
mod dtype;
mod orientation;
mod padding;
mod region;
mod shape;

pub use affine::{Affine, ItkGeometry};
pub use dtype::DType;
pub use orientation::{Orientation, Placement};
pub use padding::{AxisRuns, Padding, Run};
pub use region::Region;
pub use shape::{MAX_AXES, Shape};
