//! A look at the heaps that a table of strings points to, before the library reads them.
//!
//! The library walks a heap object by object, and one that claims to have no bytes keeps it walking for
//! ever, under the lock that all readers share. Heaps bear no checksum, so a single damaged byte does that.
//!
//! Source: HDF5 File Format Specification 3.0, III.E (Global Heap), IV.B (Variable-length types).

use std::collections::BTreeSet;

use hdf5::Dataset;

use crate::error::{Error, Result};
use crate::store::Files;
use crate::store::hdf5::Hdf5File;

/// The bytes of a reference to a string: its length, the heap's address, the object's number.
const REFERENCE: usize = 16;
/// The bytes of a heap's header, and of an object's.
const HEADER: usize = 16;
/// What a heap begins with.
const MAGIC: &[u8] = b"GCOL";
/// The bytes of a table of strings that are looked at; larger ones are refused.
const MOST_BYTES: u64 = 1 << 28;

impl Hdf5File {
    /// Refuses a table of strings one of whose heaps cannot be walked.
    ///
    /// # Errors
    /// `Format` where a heap is broken; `Io` where the file cannot be read.
    pub(super) fn check_heaps(&self, name: &str, dataset: &Dataset) -> Result<()> {
        let Some(start) = dataset.offset() else { return Ok(()) };
        let stored = dataset.storage_size();
        if stored != (dataset.size() as u64).saturating_mul(REFERENCE as u64) {
            // Addresses of another width than 8 bytes: nobody writes these.
            return Ok(());
        }
        let broken = |what: &str| self.wrong(name, &format!("points to a broken heap of strings: {what}"));
        if stored > MOST_BYTES {
            return Err(broken("it is too large"));
        }
        let mut references = vec![0u8; stored as usize];
        Files::read_at(self.path(), start, &mut references)?;
        let heaps: BTreeSet<u64> =
            references.chunks_exact(REFERENCE).map(|reference| number(reference, 4)).collect();
        let (base, end) = (self.user_block(), self.byte_len()?);
        for heap in heaps.into_iter().filter(|&address| address != 0 && address != u64::MAX) {
            let place = heap.checked_add(base).filter(|&place| place.saturating_add(HEADER as u64) <= end);
            let place = place.ok_or_else(|| broken("it lies beyond the end of the file"))?;
            let mut header = [0u8; HEADER];
            Files::read_at(self.path(), place, &mut header)?;
            let len = number(&header, 8);
            if !header.starts_with(MAGIC) || len > MOST_BYTES || len > end - place {
                return Err(broken("its header makes no sense"));
            }
            let mut bytes = vec![0u8; len as usize];
            Files::read_at(self.path(), place, &mut bytes)?;
            walk(&bytes).map_err(|_| broken("an object in it has an impossible size"))?;
        }
        Ok(())
    }
}

/// Goes from object to object as the library will.
fn walk(heap: &[u8]) -> Result<()> {
    let impossible = || Error::format("an object of impossible size");
    let mut at = HEADER;
    while let Some(object) = heap.get(at..at.saturating_add(HEADER)) {
        let size = usize::try_from(number(object, 8)).map_err(|_| impossible())?;
        let is_free_space = object.starts_with(&[0, 0]);
        let padded = if is_free_space {
            Some(size)
        } else {
            size.checked_next_multiple_of(8).and_then(|padded| padded.checked_add(HEADER))
        };
        let next = padded.filter(|&step| step > 0).and_then(|step| at.checked_add(step));
        at = next.filter(|&next| next <= heap.len()).ok_or_else(impossible)?;
    }
    Ok(())
}

/// The 8-byte number at a place, little-endian as all of the format's own are.
fn number(bytes: &[u8], place: usize) -> u64 {
    let bytes = bytes.get(place..place + 8).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(u64::MAX, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heap(objects: &[(u16, u64)], len: usize) -> Vec<u8> {
        let mut bytes = vec![0u8; len];
        let mut at = HEADER;
        for &(index, size) in objects {
            bytes[at..at + 2].copy_from_slice(&index.to_le_bytes());
            bytes[at + 8..at + 16].copy_from_slice(&size.to_le_bytes());
            at += HEADER + if index == 0 { 0 } else { size.next_multiple_of(8) as usize };
        }
        bytes
    }

    #[test]
    fn a_heap_that_never_ends_is_refused() {
        assert!(walk(&heap(&[(1, 5), (2, 8), (0, 40)], 104)).is_ok());
        assert!(walk(&heap(&[(1, 5), (0, 0)], 104)).is_err());
        assert!(walk(&heap(&[(1, 500)], 104)).is_err());
        let mut wrapping = heap(&[(1, 0)], 64);
        wrapping[24..32].copy_from_slice(&(u64::MAX - 15).to_le_bytes());
        assert!(walk(&wrapping).is_err());
    }
}
