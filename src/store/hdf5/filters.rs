//! The filters that a chunk went through, undone.

use crate::error::{Error, Result};
use crate::store::hdf5::{fletcher32, lzf};
use crate::store::volume::grown;
use crate::store::{Work, zlib};
use crate::sys::{FilterStep, unshuffle};

/// One filter that is undone here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Deflate,
    /// Of elements of so many bytes.
    Shuffle(usize),
    Fletcher32,
    Lzf,
}

/// The filters of a dataset, in the order in which its chunks went through them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filters {
    steps: Vec<Filter>,
}

impl Filters {
    /// These filters, unless one of them is for the library to undo.
    pub(super) fn of(steps: &[FilterStep]) -> Option<Self> {
        let known = |step: &FilterStep| match (step.id, step.values.as_slice()) {
            (1, _) => Some(Filter::Deflate),
            (2, &[bytes]) if bytes > 0 => Some(Filter::Shuffle(bytes as usize)),
            (3, _) => Some(Filter::Fletcher32),
            (32000, _) => Some(Filter::Lzf),
            _ => None,
        };
        let steps = steps.iter().map(known).collect::<Option<Vec<_>>>()?;
        // Between two compressors, nothing says how many bytes there were.
        let compressors = steps.iter().filter(|step| step.packs()).count();
        (compressors < 2 && steps.len() <= u32::BITS as usize).then_some(Self { steps })
    }

    /// Whether a chunk of this mask went through none of them.
    pub(super) fn none(&self, mask: u32) -> bool {
        self.applied(mask).next().is_none()
    }

    /// The bit of a mask that leaves out what is undone last of a chunk, where that is a shuffle of elements of so many
    /// bytes.
    pub(super) fn shuffle_of(&self, mask: u32, bytes: usize) -> Option<u32> {
        let (number, first) = self.applied(mask).next()?;
        (first == Filter::Shuffle(bytes)).then_some(1 << number)
    }

    /// The most plain bytes that a chunk of so many stored ones can have.
    pub(super) fn most(&self, mask: u32, stored: u64) -> u64 {
        self.applied(mask).fold(stored, |most, (_, step)| match step {
            Filter::Deflate => most.saturating_mul(zlib::MOST_GROWTH),
            Filter::Lzf => most.saturating_mul(lzf::MOST_GROWTH),
            Filter::Shuffle(_) | Filter::Fletcher32 => most,
        })
    }

    /// The filters that changed a chunk, with their numbers; a bit of its mask says that one was left out.
    fn applied(&self, mask: u32) -> impl DoubleEndedIterator<Item = (usize, Filter)> + '_ {
        let steps = self.steps.iter().copied().enumerate();
        // Elements of one byte have nothing to shuffle, although writers say so of labels as well.
        steps.filter(move |(number, step)| mask >> number & 1 == 0 && *step != Filter::Shuffle(1))
    }

    /// Makes the stored bytes of a chunk plain: all of `into`.
    ///
    /// # Errors
    /// `Format` where they are damaged or give another number of bytes; `Memory` where there is none.
    pub(super) fn undo(&self, mask: u32, stored: &[u8], work: &mut Work, into: &mut [u8]) -> Result<()> {
        let Work { between, after, inflater, starter, .. } = work;
        let (mut have, mut next) = (between, after);
        let (mut moved, mut len) = (false, stored.len());
        for (number, step) in self.applied(mask).rev() {
            let from = if moved { have.as_slice() } else { stored }.get(..len).unwrap_or_default();
            let before = || self.applied(mask).take_while(|(other, _)| *other < number);
            let plain = match step {
                Filter::Fletcher32 => {
                    len = fletcher32::checked(from)?.len();
                    continue;
                }
                Filter::Shuffle(_) => len,
                Filter::Deflate | Filter::Lzf => {
                    let sums = before().filter(|(_, step)| *step == Filter::Fletcher32).count();
                    into.len() + sums * fletcher32::LEN
                }
            };
            let last = before().next().is_none();
            if last && plain != into.len() {
                return Err(wrong_size(plain, into.len()));
            }
            let to = if last { &mut *into } else { grown(next, plain)? };
            match step {
                Filter::Deflate => zlib::inflate((starter, inflater), from, to)?,
                Filter::Lzf => lzf::decode(from, to)?,
                Filter::Shuffle(bytes) => unshuffle(from, bytes, to)?,
                Filter::Fletcher32 => {}
            }
            if last {
                return Ok(());
            }
            (have, next, moved, len) = (next, have, true, plain);
        }
        let from = if moved { have.as_slice() } else { stored }.get(..len).unwrap_or_default();
        if from.len() != into.len() {
            return Err(wrong_size(from.len(), into.len()));
        }
        into.copy_from_slice(from);
        Ok(())
    }
}

impl Filter {
    /// Whether the number of bytes depends on what they are.
    fn packs(self) -> bool {
        matches!(self, Filter::Deflate | Filter::Lzf)
    }
}

fn wrong_size(found: usize, expected: usize) -> Error {
    Error::format(format!("its filters give {found} bytes, expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_left_out_where_it_is_undone_last_and_was_applied() {
        let step = |id, values: &[u32]| FilterStep { id, values: values.to_vec() };
        let filters = Filters::of(&[step(2, &[4]), step(1, &[6]), step(3, &[])]).unwrap();
        assert_eq!((filters.shuffle_of(0, 4), filters.shuffle_of(2, 4)), (Some(1), Some(1)));
        assert_eq!((filters.shuffle_of(1, 4), filters.shuffle_of(0, 2)), (None, None));
        let sums_first = Filters::of(&[step(3, &[]), step(2, &[4])]).unwrap();
        assert_eq!((sums_first.shuffle_of(0, 4), sums_first.shuffle_of(1, 4)), (None, Some(2)));
        assert_eq!(Filters::of(&[step(2, &[1])]).unwrap().shuffle_of(0, 1), None);
    }
}
