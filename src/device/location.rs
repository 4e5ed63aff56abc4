//! Where memory lies.

/// Where memory lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Location {
    /// Host memory.
    #[default]
    Host,
    /// Host memory that GPUs copy from directly.
    Pinned,
    /// The memory of the GPU of this number.
    Gpu(i32),
}
