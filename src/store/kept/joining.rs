//! Parts that are joined: what was decoded piece by piece is kept as one afterwards.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::error::Result;
use crate::store::kept::shard::Place;
use crate::store::kept::{Decoded, DecodedBytes, Part};
use crate::sys::lock;

impl Decoded {
    /// Keeps a whole of `len` bytes instead of those of its parts that are kept; true where it does so now.
    ///
    /// `join` writes all bytes of the whole, given these parts in order. Nothing changes where the parts have fewer
    /// bytes than the whole, or the budget no room for both.
    ///
    /// # Errors
    /// Those of `join`, nothing being changed; `Memory` where there is none for the whole.
    pub fn join(
        &self,
        whole: Part,
        len: usize,
        parts: impl Iterator<Item = Part>,
        join: impl FnOnce(&[(Part, DecodedBytes)], &mut [u8]) -> Result<()>,
    ) -> Result<bool> {
        if self.holds(whole) {
            return Ok(false);
        }
        let Err(place) = self.find_or_begin(whole) else { return Ok(false) };
        // Where it is locked, somebody else joins it.
        let Ok(_mine) = place.try_lock() else { return Ok(false) };
        let mut room = Room { decoded: self, whole, place: &place, len: 0, kept: false, freed: 0 };
        if !room.reserve(len) {
            return Ok(false);
        }
        let found = parts.filter_map(|part| Some((part, self.shard(part).peek(part)?)));
        let parts: Vec<(Part, DecodedBytes)> = found.collect();
        let made = self.whole(len, &parts, join);
        let bytes = made.as_ref().ok().and_then(Option::as_ref);
        room.kept = self.settle(whole, &place, bytes);
        let kept = room.kept;
        let mut gone = Vec::new();
        if kept {
            for (part, bytes) in parts {
                drop(bytes);
                gone.extend(self.shard(part).take_out(part));
            }
        }
        room.freed = gone.iter().map(|bytes| bytes.byte_len()).sum();
        drop(room);
        gone.into_iter().for_each(|bytes| self.put_by(bytes));
        self.trim();
        made.map(|_| kept)
    }

    /// The bytes of a whole, which are counted already; nothing where its parts have fewer.
    fn whole(
        &self,
        len: usize,
        parts: &[(Part, DecodedBytes)],
        join: impl FnOnce(&[(Part, DecodedBytes)], &mut [u8]) -> Result<()>,
    ) -> Result<Option<DecodedBytes>> {
        // Parts that are not stored cost nothing by themselves.
        if parts.iter().map(|(_, bytes)| bytes.byte_len()).sum::<usize>() < len {
            return Ok(None);
        }
        lock(&self.spares).await_bytes(len);
        let mut bytes = self.awaited(len)?;
        join(parts, &mut bytes)?;
        Ok(Some(Arc::new(bytes)))
    }
}

/// Room for a whole that is being joined.
struct Room<'a> {
    decoded: &'a Decoded,
    whole: Part,
    place: &'a Place,
    /// Its bytes, counted until this is dropped: from then on as kept, or not at all.
    len: usize,
    kept: bool,
    /// The bytes of its parts that have gone.
    freed: usize,
}

impl Room<'_> {
    /// Counts the bytes of the whole, where there is room for it beside its parts.
    fn reserve(&mut self, len: usize) -> bool {
        let Decoded { byte_len, joining, .. } = self.decoded;
        let mut joining = lock(joining);
        let budget = self.decoded.budget();
        let more = |bytes: usize| bytes.checked_add(len).filter(|&bytes| bytes <= budget);
        if byte_len.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return false;
        }
        *joining += len;
        self.len = len;
        true
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.decoded.settle(self.whole, self.place, None);
        }
        let gone = if self.kept { self.freed } else { self.len };
        let mut joining = lock(&self.decoded.joining);
        self.decoded.byte_len.fetch_sub(gone, Ordering::Relaxed);
        *joining -= self.len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::store::{Had, Patience};

    const WHOLE: Part = Part { volume: 0, number: 9 };

    fn part(number: u64) -> Part {
        Part { volume: 0, number }
    }

    fn get(decoded: &Decoded, number: u64) -> Had {
        let fill = |bytes: &mut [u8]| {
            bytes.fill(number as u8);
            Ok(())
        };
        decoded.get_part_or_whole((part(number), Some(WHOLE)), 10, Patience::Wait, fill).unwrap().unwrap()
    }

    /// Joins the first three parts, end to end.
    fn join(decoded: &Decoded, len: usize) -> bool {
        let end_to_end = |parts: &[(Part, DecodedBytes)], into: &mut [u8]| {
            let bytes: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            into.copy_from_slice(&bytes[..len]);
            if parts.len() == 3 { Ok(()) } else { Err(Error::internal("a part is missing")) }
        };
        decoded.join(WHOLE, len, (0..3).map(part), end_to_end).unwrap_or(false)
    }

    #[test]
    fn parts_are_found_in_the_whole_that_they_were_joined_to() {
        let decoded = Decoded::new(100);
        (0..4).for_each(|number| assert!(matches!(get(&decoded, number), Had::Part(_))));
        assert!(join(&decoded, 25));
        assert_eq!((decoded.byte_len(), decoded.hits_and_misses()), (35, (0, 4)));
        assert_eq!(decoded.memory_bytes(), 65, "what the parts left is ready for others");
        for number in 0..3 {
            let Had::Whole(bytes) = get(&decoded, number) else { panic!("part {number} came back") };
            assert_eq!(bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>(), 10 + 2 * 5);
        }
        assert!(matches!(get(&decoded, 3), Had::Part(_)));
        assert_eq!((decoded.byte_len(), decoded.hits_and_misses()), (35, (4, 4)));
        assert!(!join(&decoded, 25), "it is joined");
        decoded.clear();
        assert_eq!((decoded.byte_len(), decoded.memory_bytes()), (0, 0));
        assert!(matches!(get(&decoded, 1), Had::Part(_)), "decoded anew");
    }

    #[test]
    fn nothing_is_joined_without_all_parts_or_room() {
        let decoded = Decoded::new(59);
        get(&decoded, 0);
        get(&decoded, 1);
        assert!(!join(&decoded, 20), "a part is missing");
        get(&decoded, 2);
        assert!(!join(&decoded, 30), "30 beside 30 are more than 59");
        let failing = |_: &[(Part, DecodedBytes)], _: &mut [u8]| Err(Error::format("x"));
        assert!(decoded.join(WHOLE, 29, (0..3).map(part), failing).is_err());
        let parts = (0..2).map(part);
        assert!(!decoded.join(WHOLE, 21, parts, |_, _| panic!("20 bytes are fewer than 21")).unwrap());
        assert_eq!((decoded.byte_len(), decoded.hits_and_misses()), (30, (0, 3)));
        assert!((0..3).all(|number| matches!(get(&decoded, number), Had::Part(_))));
        assert!(join(&decoded, 29));
        assert_eq!(decoded.byte_len(), 29);
    }

    #[test]
    fn what_is_decoded_while_parts_are_joined_pushes_none_out() {
        let decoded = Decoded::new(60);
        (0..3).for_each(|number| drop(get(&decoded, number)));
        let meanwhile = |parts: &[(Part, DecodedBytes)], into: &mut [u8]| {
            (4..7).for_each(|number| drop(get(&decoded, number)));
            into.fill(1);
            assert_eq!(parts.len(), 3);
            Ok(())
        };
        assert!(decoded.join(WHOLE, 30, (0..3).map(part), meanwhile).unwrap());
        assert_eq!((decoded.byte_len(), decoded.hits_and_misses()), (60, (0, 6)));
        (0..7).filter(|&number| number != 3).for_each(|number| drop(get(&decoded, number)));
        assert_eq!(decoded.hits_and_misses(), (6, 6));
        assert_eq!(decoded.memory_bytes(), 60);
    }
}
