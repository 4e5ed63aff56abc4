//! The global heap, where variable-length strings lie: looked at before the library walks it.
//!
//! HDF5 2.2.0 steps through a collection by the sizes of its objects. One of no size makes it step for ever,
//! under the lock that all other reads wait for.
//!
//! Source: HDF5 File Format Specification 3.0, II.A and III.E.

use crate::sys::open_to_read;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";
/// The bytes of an element that points into the heap: length, address, number of the object.
const ELEMENT_BYTES: u64 = 16;
/// The bytes of a collection's header, and of an object's.
const HEADER_BYTES: usize = 16;
/// The largest collection that is looked at; the library makes them of 4096 bytes.
const MOST_BYTES: u64 = 1 << 26;
/// The most elements that are looked at.
const MOST_ELEMENTS: u64 = 1 << 20;

/// Whether the collections that the elements at a place of a file point into can be walked to their end.
///
/// What cannot be looked at is said to be walkable: the library finds by itself what lies outside the file.
pub(super) fn is_walkable(path: &Path, start: u64, elements: u64) -> bool {
    let Some((mut file, base)) = open(path) else { return true };
    let Some(bytes) = read(&mut file, start, elements.min(MOST_ELEMENTS) * ELEMENT_BYTES) else {
        return true;
    };
    let (pointers, _) = bytes.as_chunks::<{ ELEMENT_BYTES as usize }>();
    let collections: BTreeSet<u64> = pointers.iter().filter_map(|element| number(element, 4)).collect();
    collections.into_iter().all(|address| {
        let Some(place) = base.checked_add(address) else { return true };
        let Some(header) = read(&mut file, place, HEADER_BYTES as u64) else { return true };
        let size = number(&header, 8).filter(|_| header.starts_with(b"GCOL"));
        let whole = size.and_then(|size| read(&mut file, place, size));
        whole.is_none_or(|collection| ends(&collection))
    })
}

/// The file, and the place that its addresses count from; none where they have another width than 8 bytes.
fn open(path: &Path) -> Option<(File, u64)> {
    let mut file = open_to_read(path).ok()?;
    let bases = std::iter::successors(Some(0u64), |&base| Some(if base == 0 { 512 } else { base * 2 }));
    for base in bases.take(20) {
        let superblock = read(&mut file, base, 16)?;
        if superblock.starts_with(SIGNATURE) {
            let widths = if superblock.get(8)? < &2 { superblock.get(13..15) } else { superblock.get(9..11) };
            return (widths? == [8, 8]).then_some((file, base));
        }
    }
    None
}

fn read(file: &mut File, place: u64, byte_len: u64) -> Option<Vec<u8>> {
    if byte_len > MOST_BYTES {
        return None;
    }
    let mut bytes = vec![0; byte_len as usize];
    file.seek(SeekFrom::Start(place)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// The eight bytes at a place as a number.
fn number(bytes: &[u8], place: usize) -> Option<u64> {
    let eight = bytes.get(place..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*eight))
}

/// Whether every object of a collection leads on to the next.
fn ends(collection: &[u8]) -> bool {
    let mut place = HEADER_BYTES;
    while let (Some(object), Some(size)) = (collection.get(place..place + 2), number(collection, place + 8)) {
        // Object 0 is the free space, whose size counts its header in.
        let step = match object {
            [0, 0] => Some(size),
            _ => size.checked_add(7).and_then(|size| (size & !7).checked_add(HEADER_BYTES as u64)),
        };
        match step {
            None | Some(0) => return false,
            Some(step) if step > (collection.len() - place) as u64 => return true,
            Some(step) => place += step as usize,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection(objects: &[(u16, u64)]) -> Vec<u8> {
        let mut bytes = b"GCOL\x01\0\0\0\x80\0\0\0\0\0\0\0".to_vec();
        for &(object, size) in objects {
            bytes.extend(object.to_le_bytes());
            bytes.extend([0; 6]);
            bytes.extend(size.to_le_bytes());
            bytes.extend([0; 8]);
        }
        bytes.resize(128, 0);
        bytes
    }

    #[test]
    fn a_sound_collection_ends() {
        assert!(ends(&collection(&[(1, 5), (2, 8), (0, 64)])));
        assert!(ends(&collection(&[(1, 5), (0, 88)])));
        assert!(ends(&[]));
        assert!(ends(&collection(&[(1, 4000)])), "what reaches too far the library refuses");
    }

    #[test]
    fn an_object_that_leads_nowhere_is_found() {
        assert!(!ends(&collection(&[(1, 5), (0, 0)])));
        assert!(!ends(&collection(&[(1, u64::MAX - 6)])));
        assert!(!ends(&collection(&[(3, u64::MAX - 15), (0, 64)])));
    }
}
