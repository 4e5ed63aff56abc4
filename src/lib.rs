//! Voxels are stored, planned, fed and assembled.
