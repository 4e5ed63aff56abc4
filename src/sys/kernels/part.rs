//! Channels that lie beside each other in every voxel, put into rows of their own in one pass.

use crate::sys::kernels::plane::{Plane, each_row_of};
use crate::voxel::DType;

/// The voxels that are parted at a time, so that the compiler makes a few shuffles of them.
const BLOCK: usize = 16;

/// Whether so many channels of elements of a dtype are parted in one pass.
pub fn parts_at_once(dtype: DType, channels: usize) -> bool {
    Channels { count: channels, size: dtype.byte_len(), apart: 0 }.are_usual()
}

/// Channels that lie beside each other, and where they go.
#[derive(Debug, Clone, Copy)]
pub(in crate::sys) struct Channels {
    /// Their number, which is that of all channels of a voxel.
    pub(in crate::sys) count: usize,
    /// The bytes of an element.
    pub(in crate::sys) size: usize,
    /// The bytes from one channel's row to the next one's in the target.
    pub(in crate::sys) apart: usize,
}

impl Channels {
    /// Whether there is a loop for them.
    pub(in crate::sys) fn are_usual(&self) -> bool {
        matches!((self.size, self.count), (1 | 2 | 4, 2..=4) | (8, 2))
    }

    /// The bytes of the target from a row's first to behind the last of its last channel's.
    pub(super) fn reach(&self, row: usize) -> Option<usize> {
        self.apart.checked_mul(self.count.checked_sub(1)?)?.checked_add(row)
    }
}

/// Parts the rows of voxels of so many channels of elements of a size.
macro_rules! by_channels {
    ($channels:expr, $source:expr, $plane:expr, $target:expr,
     $($size:literal x $count:literal = $voxel:literal),*) => {
        match ($channels.size, $channels.count) {
            $(($size, $count) => {
                each_row_of::<$count>($source, $plane, $channels.apart, $target, part::<$size, $count, $voxel>);
            })*
            _ => {}
        }
    };
}

/// Parts the rows of a plane: through the caches, whoever reads them, as lines of several rows at a time to memory
/// take longer.
#[inline(always)]
pub(super) fn part_rows(source: &[u8], plane: &Plane, channels: &Channels, target: &mut [u8]) {
    by_channels!(channels, source, plane, target,
        1 x 2 = 2, 1 x 3 = 3, 1 x 4 = 4, 2 x 2 = 4, 2 x 3 = 6, 2 x 4 = 8, 4 x 2 = 8, 4 x 3 = 12, 4 x 4 = 16,
        8 x 2 = 16);
}

/// Parts voxels of `COUNT` elements of `SIZE` bytes.
#[inline(always)]
fn part<const SIZE: usize, const COUNT: usize, const VOXEL: usize>(source: &[u8], rows: [&mut [u8]; COUNT]) {
    let voxels = source.as_chunks::<VOXEL>().0;
    let shortest = rows.iter().map(|row| row.len() / SIZE).min().unwrap_or_default();
    let count = voxels.len().min(shortest);
    let mut rows = rows.into_iter().enumerate();
    let Some(last) = count.checked_sub(BLOCK) else {
        return rows.for_each(|(channel, row)| elements::<SIZE, VOXEL>(voxels, channel, row));
    };
    let mut rows: [_; COUNT] = std::array::from_fn(|_| rows.next().unwrap_or_default());
    for start in (0..count).step_by(BLOCK) {
        // The last block overlaps the one before: it writes the same bytes once more.
        let start = start.min(last);
        let from = voxels.get(start..).and_then(|voxels| voxels.first_chunk::<BLOCK>());
        for (channel, row) in &mut rows {
            let into = row.as_chunks_mut::<SIZE>().0.get_mut(start..);
            let into = into.and_then(|into| into.first_chunk_mut::<BLOCK>());
            if let (Some(from), Some(into)) = (from, into) {
                elements::<SIZE, VOXEL>(from, *channel, into.as_flattened_mut());
            }
        }
    }
}

/// The elements of one channel.
#[inline(always)]
fn elements<const SIZE: usize, const VOXEL: usize>(voxels: &[[u8; VOXEL]], channel: usize, row: &mut [u8]) {
    for (into, voxel) in row.as_chunks_mut::<SIZE>().0.iter_mut().zip(voxels) {
        if let Some(element) = voxel.as_chunks::<SIZE>().0.get(channel) {
            *into = *element;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::sys::{Fit, Scale, Stored, Stores, Target, gather};
    use crate::voxel::{DType, Run};

    /// A box of a (7, 9, 90) volume whose channels lie beside each other, from some column on.
    fn parted(dtype: DType, channels: usize, (column, columns): (usize, usize), stores: Stores) {
        let (size, [planes, rows, width]) = (dtype.byte_len(), [7usize, 9, 90]);
        let bytes: Vec<u8> = (0..planes * rows * width * channels * size)
            .map(|place| (place.wrapping_mul(2_654_435_761) >> 11) as u8)
            .collect();
        let voxel = (channels * size) as isize;
        let stored = Stored {
            bytes: &bytes,
            first: 0,
            strides: &[size as isize, voxel * (rows * width) as isize, voxel * width as isize, voxel],
            dtype,
            swapped: false,
            shuffled: None,
            scale: None,
        };
        let run = |source, len| [Run { output: 0, len, source, step: 1 }];
        let runs = [run(0, channels), run(2, 3), run(1, 5), run(column, columns)];
        let extents = [channels, 3, 5, columns];
        let mut room = vec![0u8; 64 + extents.iter().product::<usize>() * size];
        // Aligned as a batch's rows are, and not.
        for shift in [room.as_ptr().align_offset(64), size] {
            let len = room.len() - 64;
            let into = &mut room[shift..shift + len];
            into.fill(0);
            let mut target = Target { bytes: into, dtype, fit: Fit::Exact, stores };
            gather(&stored, &runs.each_ref().map(<[Run; 1]>::as_slice), &extents, &mut target).unwrap();
            for (place, element) in room[shift..shift + len].chunks(size).enumerate() {
                let (x, rest) = (place % columns, place / columns);
                let (y, z, channel) = (rest % 5, rest / 5 % 3, rest / 15);
                let voxel = ((2 + z) * rows + 1 + y) * width + column + x;
                let from = (voxel * channels + channel) * size;
                assert_eq!(element, &bytes[from..from + size], "{dtype} x {channels}: {channel} {z} {y} {x}");
            }
        }
    }

    /// All channels at once are what each is alone, whatever happens to their elements on the way.
    fn turned(
        (from, into): (DType, DType),
        (channels, columns): (usize, usize),
        (swapped, scale, stores): (bool, Option<Scale>, Stores),
    ) {
        let (size, width, [planes, rows, all]) = (from.byte_len(), into.byte_len(), [3usize, 5, 700]);
        let bytes: Vec<u8> = (0..planes * rows * all * channels * size)
            .map(|place| (place.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let count = bytes.len() / size;
        let parted: Vec<u8> =
            (0..bytes.len()).map(|place| bytes[place % count * size + place / count]).collect();
        let voxel = channels as isize;
        let steps = [1, voxel * (rows * all) as isize, voxel * all as isize, voxel];
        let strides = steps.map(|step| step * size as isize);
        let (dtype, shuffled) = (from, None);
        let whole = Stored { bytes: &bytes, first: 0, strides: &strides, dtype, swapped, shuffled, scale };
        let shuffled = Stored { bytes: &parted, strides: &steps, shuffled: Some(count), ..whole };
        let run = |source, len| [Run { output: 0, len, source, step: 1 }];
        let gathered = |stored: &Stored<'_>, first: usize, count: usize| {
            let runs = [run(first, count), run(1, 2), run(0, 5), run(700 - columns, columns)];
            let extents = [count, 2, 5, columns];
            let mut room = vec![0u8; 64 + extents.iter().product::<usize>() * width];
            let shift = room.as_ptr().align_offset(64);
            let len = room.len() - 64;
            let bytes = &mut room[shift..shift + len];
            let mut target = Target { bytes, dtype: into, fit: Fit::Saturate, stores };
            gather(stored, &runs.each_ref().map(<[Run; 1]>::as_slice), &extents, &mut target).unwrap();
            room[shift..shift + len].to_vec()
        };
        let alone: Vec<u8> = (0..channels).flat_map(|channel| gathered(&whole, channel, 1)).collect();
        for stored in [&whole, &shuffled] {
            assert!(
                gathered(stored, 0, channels) == alone,
                "{from} to {into} x {channels}: {columns} {swapped} {scale:?} {:?}",
                stored.shuffled
            );
        }
    }

    #[test]
    fn channels_are_converted_scaled_and_swapped_as_they_are_parted() {
        let scale = Some(Scale { slope: 0.5, intercept: -3.0 });
        let pairs = [
            (DType::U8, DType::F32),
            (DType::I16, DType::F32),
            (DType::I16, DType::F16),
            (DType::U16, DType::U8),
            (DType::F32, DType::I16),
            (DType::F64, DType::F32),
            (DType::F32, DType::F32),
            (DType::I32, DType::F64),
            (DType::Bool, DType::Bool),
        ];
        for pair in pairs {
            for channels in 2..=5 {
                for columns in [1, 7, 16, 64, 257, 700] {
                    for stores in [Stores::Cached, Stores::Streaming] {
                        turned(pair, (channels, columns), (false, None, stores));
                        turned(pair, (channels, columns), (true, None, stores));
                        turned(pair, (channels, columns), (false, scale, stores));
                    }
                }
            }
        }
    }

    #[test]
    fn every_number_of_channels_of_every_dtype_is_parted() {
        for dtype in [DType::U8, DType::I16, DType::F32, DType::F64] {
            for channels in 1..=5 {
                for columns in [1, 3, 15, 16, 17, 40, 64, 83] {
                    for stores in [Stores::Cached, Stores::Streaming] {
                        parted(dtype, channels, (90 - columns, columns), stores);
                        parted(dtype, channels, (0, columns), stores);
                    }
                }
                parted(dtype, channels, (0, 90), Stores::Cached);
            }
        }
    }
}
