//! Predictions added up on a device.

use crate::error::{Error, Result};
use crate::sys::cuda::driver::Address;
use crate::sys::cuda::kernels::counted;
use crate::sys::cuda::{Current, DeviceBuffer, Kernels, LentMemory, StreamHandle};
use crate::voxel::DType;

/// The kernel's struct, field by field.
#[repr(C)]
#[derive(Debug)]
struct Arguments {
    sums: Address,
    source: Address,
    weights: [Address; 3],
    sum_strides: [u64; 3],
    source_strides: [u64; 3],
    extents: [u32; 4],
    from: u32,
    mode: u32,
}

/// How a part of a prediction comes to what is there.
#[derive(Debug, Clone, Copy)]
pub enum Adding<'a> {
    /// It takes its place.
    Put,
    /// It is added.
    Add,
    /// It is added times `(plane's weight * row's weight) * column's weight`: f32 numbers in one buffer, from
    /// these places on.
    Weighted(&'a DeviceBuffer, [usize; 3]),
}

/// A part of a prediction, and where it belongs in f32 sums: (channel, depth, height, width), width dense.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The sums, and the place of the part's first element in them.
    pub sums: (&'a DeviceBuffer, usize),
    /// From one channel, plane and row of the sums to the next, in elements.
    pub sum_strides: [usize; 3],
    /// The prediction, its dtype, and the place of the part's first element.
    pub source: (LentMemory, DType, usize),
    /// From one channel, plane and row of the prediction to the next, in elements.
    pub source_strides: [usize; 3],
    /// Channels, depth, height, width of the part.
    pub extents: [usize; 4],
}

/// The elements up to behind the last one of a part.
fn reach(first: usize, strides: [usize; 3], extents: [usize; 4]) -> Option<usize> {
    let [channels, depth, height, width] = extents;
    let mut end = first.checked_add(width)?;
    for (extent, stride) in [channels, depth, height].into_iter().zip(strides) {
        end = end.checked_add(extent.checked_sub(1)?.checked_mul(stride)?)?;
    }
    Some(end)
}

/// Gives the adding of a part to a stream, and waits for nothing; what a stream is given adds up in that order.
///
/// Who calls keeps all memory until the work is past.
///
/// # Errors
/// `Unsupported` for a dtype that does not become f32 on a device; `Internal` where memory is too small;
/// `Device`.
pub fn add_part(current: &Current, stream: StreamHandle, part: &Part<'_>, how: Adding<'_>) -> Result<()> {
    let ((sums, first), (source, dtype, begin)) = (part.sums, part.source);
    if matches!(dtype, DType::U64 | DType::F64) {
        return Err(Error::unsupported(format!("adding {dtype} predictions up in f32 is not done on a GPU")));
    }
    if part.extents.contains(&0) {
        return Ok(());
    }
    let bytes = |end: Option<usize>, size: usize| end.and_then(|end| end.checked_mul(size));
    let lies_in = |bytes: Option<usize>, len: usize| bytes.is_some_and(|end| end <= len);
    let sum_end = bytes(reach(first, part.sum_strides, part.extents), size_of::<f32>());
    let source_end = bytes(reach(begin, part.source_strides, part.extents), dtype.byte_len());
    let [channels, depth, height, width] = part.extents;
    let (mode, weights) = match how {
        Adding::Put => (0, [0; 3]),
        Adding::Add => (1, [0; 3]),
        Adding::Weighted(buffer, places) => {
            let ends = places.iter().zip([depth, height, width]);
            let fits = |(&place, extent): (&usize, usize)| {
                lies_in(bytes(place.checked_add(extent), 4), buffer.byte_len())
            };
            if !ends.into_iter().all(fits) {
                return Err(Error::internal("a part of a prediction has fewer weights than voxels"));
            }
            (2, places.map(|place| buffer.address() + 4 * place as u64))
        }
    };
    if !lies_in(sum_end, sums.byte_len()) || !lies_in(source_end, source.byte_len()) {
        return Err(Error::internal("a part of a prediction lies beyond its memory"));
    }
    let rows = counted(channels.saturating_mul(depth).saturating_mul(height))?;
    let arguments = Arguments {
        sums: sums.address() + 4 * first as u64,
        source: source.address() + (begin * dtype.byte_len()) as u64,
        weights,
        sum_strides: part.sum_strides.map(|stride| stride as u64),
        source_strides: part.source_strides.map(|stride| stride as u64),
        extents: [counted(channels)?, counted(depth)?, counted(height)?, counted(width)?],
        from: dtype.code().cast_unsigned(),
        mode,
    };
    let kernels = Kernels::of(current)?;
    // SAFETY: these are the kernel's arguments, all that they point to is as large as they say, and the caller
    // keeps it.
    unsafe { kernels.launch(kernels.accumulate, stream, (width as u64, u64::from(rows)), &arguments) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_struct_is_the_kernel_s() {
        let size = size_of::<Arguments>();
        let text = include_str!("kernels/kernels.ptx");
        assert!(text.contains(&format!("voxfeed_accumulate_param_0[{size}]")), "{size}");
    }

    #[test]
    fn a_part_reaches_to_behind_its_last_element() {
        assert_eq!(reach(5, [100, 10, 3], [2, 3, 3, 3]), Some(5 + 100 + 20 + 6 + 3));
        assert_eq!(reach(0, [usize::MAX, 1, 1], [3, 1, 1, 1]), None);
        assert_eq!(reach(0, [1, 1, 1], [0, 1, 1, 1]), None);
    }
}
