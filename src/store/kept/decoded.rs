//! Decoded bytes that are kept: chunks and inflated volumes of all files, within one budget.
//!
//! Only timing depends on what is kept, never a result. Two readers that want the same part at once share
//! one decode. Parts that have not been used for long give way, and the bytes of a part are counted before it is
//! decoded, so that the budget holds at every moment but for what readers still look at. Parts that are joined to
//! a whole are looked at by who joins them: he begins where there is room for it, and others may take that meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use crate::error::Result;
use crate::store::kept::shard::{Entry, Place, Shard, State, next};
use crate::store::kept::spares::Spares;
use crate::sys::{AlignedBuffer, lock};

/// Decoded bytes that several readers share.
pub type DecodedBytes = Arc<AlignedBuffer>;

/// A part of a volume that is decoded as a whole: a chunk, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// The volume's number, from [`Decoded::number`].
    pub volume: u64,
    /// The part's number in its volume.
    pub number: u64,
}

/// The decoded bytes of a part, or of the whole that it has been joined to.
#[derive(Debug)]
pub enum Had {
    /// The part's own.
    Part(DecodedBytes),
    /// The whole's.
    Whole(DecodedBytes),
}

/// Bytes that are counted as being decoded, until this is dropped; from then on as kept, or not at all.
struct Counted<'a> {
    decoded: &'a Decoded,
    len: usize,
    kept: bool,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.decoded.decoding.fetch_sub(self.len, Ordering::Relaxed);
        if !self.kept {
            self.decoded.byte_len.fetch_sub(self.len, Ordering::Relaxed);
        }
    }
}

/// Enough that threads seldom meet at one lock.
const SHARDS: usize = 16;

/// What a reader does about a part that another thread is decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patience {
    /// Waits for it.
    #[default]
    Wait,
    /// Leaves it, to do something else meanwhile.
    Leave,
}

/// Decoded parts, those of which that have not been used for long give way to the budget.
///
/// They stand in line in the order in which they were decoded. The first in line goes, unless it was used
/// since it came there: then it goes to the end of the line. A use so costs a mark, whatever is kept. Before all in
/// line, those go that were [passed](Self::pass), the last one first.
#[derive(Debug)]
pub struct Decoded {
    budget: usize,
    pub(super) shards: [Mutex<Shard>; SHARDS],
    pub(super) byte_len: AtomicUsize,
    /// The bytes that are being decoded to be kept.
    decoding: AtomicUsize,
    /// The bytes of wholes to which parts are being joined, which are counted as well.
    ///
    /// They are changed together with `byte_len`, and judged together with it.
    pub(super) joining: Mutex<usize>,
    pub(super) spares: Mutex<Spares>,
    pub(super) turns: AtomicU64,
    /// Whether some part may be among those that were passed.
    pub(super) passed: AtomicBool,
    volumes: AtomicU64,
}

impl Decoded {
    /// A store of decoded parts that keeps at most this many bytes.
    pub fn new(budget: u64) -> Self {
        Self {
            budget: usize::try_from(budget).unwrap_or(usize::MAX),
            shards: std::array::from_fn(|_| Mutex::default()),
            byte_len: AtomicUsize::new(0),
            decoding: AtomicUsize::new(0),
            joining: Mutex::new(0),
            spares: Mutex::default(),
            turns: AtomicU64::new(0),
            passed: AtomicBool::new(false),
            volumes: AtomicU64::new(0),
        }
    }

    /// A number for one more volume.
    pub fn number(&self) -> u64 {
        self.volumes.fetch_add(1, Ordering::Relaxed)
    }

    /// The most bytes that are kept.
    pub fn budget(&self) -> usize {
        self.budget
    }

    /// The bytes that are kept or being decoded to be kept.
    pub fn byte_len(&self) -> u64 {
        self.byte_len.load(Ordering::Relaxed) as u64
    }

    /// The bytes of memory that are held: those of [`Decoded::byte_len`], and what lies ready for further parts.
    pub fn memory_bytes(&self) -> u64 {
        self.byte_len() + lock(&self.spares).idle_bytes() as u64
    }

    /// How often a part was found and how often it had to be decoded.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        let counts = self.shards.iter().map(|shard| {
            let shard = lock(shard);
            (shard.hits, shard.misses)
        });
        counts.fold((0, 0), |sum, (hits, misses)| (sum.0 + hits, sum.1 + misses))
    }

    /// The decoded bytes of a part where they are kept.
    pub fn kept(&self, part: Part) -> Option<DecodedBytes> {
        self.shard(part).find(part)
    }

    /// The decoded bytes of a part: kept from before, or `len` of them made now by `decode`, which writes all.
    ///
    /// A part that is larger than the budget is decoded and not kept. Nothing where this thread has no
    /// patience and another one decodes the part, or others decode so much that this part would push out
    /// what they decode it for.
    ///
    /// # Errors
    /// Those of `decode`, nothing being kept then; `Memory` where there is none for the part.
    pub fn get(
        &self,
        part: Part,
        len: usize,
        patience: Patience,
        decode: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Option<DecodedBytes>> {
        let had = self.get_part_or_whole((part, None), len, patience, decode)?;
        Ok(had.map(|(Had::Part(bytes) | Had::Whole(bytes))| bytes))
    }

    /// The same of a part that may have been [joined](Self::join) to a whole, of which the bytes are given then.
    ///
    /// # Errors
    /// Those of [`Decoded::get`].
    pub fn get_part_or_whole(
        &self,
        (part, whole): (Part, Option<Part>),
        len: usize,
        patience: Patience,
        decode: impl FnOnce(&mut [u8]) -> Result<()>,
    ) -> Result<Option<Had>> {
        let mut place = match self.find_or_begin(part) {
            Ok(bytes) => return Ok(Some(Had::Part(bytes))),
            Err(place) => place,
        };
        let mut kept = loop {
            let kept = match (place.try_lock(), patience) {
                (Ok(kept), _) => kept,
                (Err(TryLockError::Poisoned(poisoned)), _) => poisoned.into_inner(),
                (Err(TryLockError::WouldBlock), Patience::Leave) => return Ok(None),
                (Err(TryLockError::WouldBlock), Patience::Wait) => lock(&place),
            };
            if let Some(bytes) = kept.as_ref() {
                self.shard(part).hits += 1;
                return Ok(Some(Had::Part(Arc::clone(bytes))));
            }
            // Whoever was to decode it may have given up, and another one begun anew.
            match self.find_or_begin(part) {
                Ok(bytes) => return Ok(Some(Had::Part(bytes))),
                Err(now) if Arc::ptr_eq(&now, &place) => break kept,
                Err(now) => {
                    drop(kept);
                    place = now;
                }
            }
        };
        // Whoever joins keeps the whole before he lets the parts go.
        if let Some(bytes) = whole.and_then(|whole| self.kept(whole)) {
            self.settle(part, &place, None);
            return Ok(Some(Had::Whole(bytes)));
        }
        let keep = len <= self.budget;
        if patience == Patience::Leave && keep && !self.has_room_ahead(len) {
            self.settle(part, &place, None);
            return Ok(None);
        }
        self.shard(part).misses += 1;
        let (memory, mut counted) = if keep {
            (self.memory(len), Some(Counted { decoded: self, len, kept: false }))
        } else {
            (AlignedBuffer::zeroed(len), None)
        };
        let made = memory.and_then(|mut bytes| {
            decode(&mut bytes)?;
            Ok(Arc::new(bytes))
        });
        if let Ok(bytes) = &made {
            *kept = Some(Arc::clone(bytes));
        }
        // Who waits for the place finds it settled, and begins anew where nothing came of it.
        let settled = self.settle(part, &place, made.as_ref().ok().filter(|_| keep));
        drop(kept);
        if let Some(counted) = &mut counted {
            counted.kept = settled;
        }
        drop(counted);
        // Parts that were decoded at the same time may together be more than the budget.
        self.trim();
        made.map(|bytes| Some(Had::Part(bytes)))
    }

    /// Memory for a part that will be kept, of parts that give way to it where theirs is of use.
    fn memory(&self, len: usize) -> Result<AlignedBuffer> {
        self.decoding.fetch_add(len, Ordering::Relaxed);
        self.byte_len.fetch_add(len, Ordering::Relaxed);
        lock(&self.spares).await_bytes(len);
        self.trim();
        self.awaited(len)
    }

    /// Memory that is counted and awaited.
    pub(super) fn awaited(&self, len: usize) -> Result<AlignedBuffer> {
        let (spare, gone) = lock(&self.spares).take(len, self.left());
        drop(gone);
        spare.map_or_else(|| AlignedBuffer::zeroed(len), Ok)
    }

    /// What is left of the budget.
    pub fn left(&self) -> usize {
        self.budget.saturating_sub(self.byte_len.load(Ordering::Relaxed))
    }

    /// Whether a part can be decoded beside those that are being decoded, with room left for one that has just
    /// been and that others still look for.
    fn has_room_ahead(&self, len: usize) -> bool {
        match self.decoding.load(Ordering::Relaxed) {
            0 => true,
            others => len.saturating_mul(2).saturating_add(others) <= self.budget,
        }
    }

    /// Whether a part is kept or being decoded, which does not count as a use of it.
    pub fn holds(&self, part: Part) -> bool {
        self.shard(part).entries.contains_key(&part)
    }

    /// Whether a part is kept, which does not count as a use of it.
    pub fn is_kept(&self, part: Part) -> bool {
        self.shard(part).peek(part).is_some()
    }

    /// Lets all parts go that nobody looks at; they are decoded anew when they are wanted.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let mut freed = 0;
            shard.entries.retain(|_, entry| match &entry.state {
                State::Decoding(_) => true,
                State::Kept(bytes) => {
                    freed += bytes.byte_len();
                    false
                }
            });
            shard.line.clear();
            shard.passed.clear();
            self.byte_len.fetch_sub(freed, Ordering::Relaxed);
        }
        let gone = lock(&self.spares).clear();
        drop(gone);
    }

    pub(super) fn shard(&self, part: Part) -> MutexGuard<'_, Shard> {
        // Neighbouring chunks and volumes of one file come at the same time: they go to different shards.
        let mixed = part.volume.wrapping_mul(7).wrapping_add(part.number) as usize % SHARDS;
        let shard = self.shards.get(mixed).unwrap_or(&self.shards[0]);
        lock(shard)
    }

    /// The bytes of a part, or the place where they will be.
    pub(super) fn find_or_begin(&self, part: Part) -> std::result::Result<DecodedBytes, Place> {
        let mut shard = self.shard(part);
        if let Some(bytes) = shard.find(part) {
            return Ok(bytes);
        }
        let fresh = || Entry { state: State::Decoding(Place::default()), turn: 0, used: false };
        match &shard.entries.entry(part).or_insert_with(fresh).state {
            State::Kept(bytes) => Ok(Arc::clone(bytes)),
            State::Decoding(place) => Err(Arc::clone(place)),
        }
    }

    /// Counts bytes no more that are kept no longer, and puts them by.
    pub(super) fn let_go(&self, bytes: DecodedBytes) {
        self.byte_len.fetch_sub(bytes.byte_len(), Ordering::Relaxed);
        self.put_by(bytes);
    }

    /// Puts bytes by that are counted no more, where nobody else looks at them.
    pub(super) fn put_by(&self, bytes: DecodedBytes) {
        if let Some(bytes) = Arc::into_inner(bytes) {
            let gone = lock(&self.spares).put(bytes, self.left());
            drop(gone);
        }
    }

    /// Keeps the bytes of a part that has been decoded, or forgets it; true where they are kept.
    pub(super) fn settle(&self, part: Part, place: &Place, bytes: Option<&DecodedBytes>) -> bool {
        let turn = next(&self.turns);
        let mut shard = self.shard(part);
        let waits =
            |entry: &&mut Entry| matches!(&entry.state, State::Decoding(own) if Arc::ptr_eq(own, place));
        match (shard.entries.get_mut(&part).filter(waits), bytes) {
            (Some(_), Some(bytes)) => {
                shard.keep(part, Arc::clone(bytes), turn);
                true
            }
            (Some(_), None) => {
                shard.entries.remove(&part);
                false
            }
            (None, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn part(number: u64) -> Part {
        Part { volume: number / 3, number }
    }

    fn get(decoded: &Decoded, number: u64, len: usize) -> DecodedBytes {
        let fill = |bytes: &mut [u8]| {
            bytes.fill(number as u8);
            Ok(())
        };
        decoded.get(part(number), len, Patience::Wait, fill).unwrap().unwrap()
    }

    #[test]
    fn a_part_that_was_not_used_again_gives_way() {
        let decoded = Decoded::new(100);
        get(&decoded, 0, 40);
        get(&decoded, 1, 40);
        get(&decoded, 0, 40);
        get(&decoded, 2, 40);
        assert_eq!(decoded.hits_and_misses(), (1, 3));
        assert_eq!(decoded.byte_len(), 80);
        get(&decoded, 0, 40);
        assert_eq!(decoded.hits_and_misses(), (2, 3), "the part that was used again is still there");
        assert_eq!(get(&decoded, 1, 40).iter().map(|&byte| u64::from(byte)).sum::<u64>(), 40);
        assert_eq!(decoded.hits_and_misses(), (2, 4));
    }

    #[test]
    fn a_part_that_another_thread_decodes_is_left_without_patience_and_awaited_with_it() {
        let decoded = Decoded::new(100);
        let (entered, enter) = std::sync::mpsc::channel();
        let (leave, left) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let shared = &decoded;
            scope.spawn(move || {
                let slow = |bytes: &mut [u8]| {
                    bytes.fill(7);
                    entered.send(()).unwrap();
                    left.recv().unwrap();
                    Ok(())
                };
                shared.get(part(1), 10, Patience::Wait, slow).unwrap().unwrap();
            });
            enter.recv().unwrap();
            let never = |_: &mut [u8]| panic!("another thread is at it");
            assert!(decoded.get(part(1), 10, Patience::Leave, never).unwrap().is_none());
            assert!(decoded.kept(part(1)).is_none());
            leave.send(()).unwrap();
            assert_eq!(decoded.get(part(1), 10, Patience::Wait, never).unwrap().unwrap()[..], [7; 10]);
        });
        assert_eq!(decoded.kept(part(1)).unwrap()[..], [7; 10]);
        assert_eq!(decoded.hits_and_misses(), (2, 1));
    }

    #[test]
    fn parts_that_would_push_each_other_out_are_not_decoded_at_once_without_need() {
        let decoded = Decoded::new(100);
        let get = |number, patience| {
            let none = |_: &mut [u8]| Ok(());
            decoded.get(part(number), 40, patience, none).unwrap().is_some()
        };
        let outer = |_: &mut [u8]| {
            assert!(!get(1, Patience::Leave), "a third of 40 would not fit 100");
            assert!(get(2, Patience::Wait), "who waits is not refused");
            assert!(get(2, Patience::Leave), "what is kept needs no room");
            Ok(())
        };
        decoded.get(part(0), 40, Patience::Leave, outer).unwrap().unwrap();
        assert!(get(1, Patience::Leave), "nobody else decodes now");
        assert_eq!((decoded.byte_len(), decoded.hits_and_misses()), (80, (1, 3)));
    }

    #[test]
    fn what_fails_or_is_too_large_is_not_kept_and_not_counted() {
        let decoded = Decoded::new(100);
        assert!(decoded.get(part(5), 60, Patience::Wait, |_| Err(Error::format("x"))).is_err());
        assert_eq!(decoded.byte_len(), 0);
        assert_eq!(get(&decoded, 5, 200).len(), 200);
        assert_eq!(decoded.byte_len(), 0);
        assert_eq!(get(&decoded, 5, 60).len(), 60);
        assert_eq!((decoded.byte_len(), decoded.hits_and_misses()), (60, (0, 3)));
        decoded.clear();
        assert_eq!(decoded.byte_len(), 0);
    }

    #[test]
    fn threads_that_want_the_same_parts_share_decodes_within_the_budget() {
        let decoded = Decoded::new(50 * 64);
        let decodes = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let (decoded, decodes) = (&decoded, &decodes);
                scope.spawn(move || {
                    for step in 0..2000u64 {
                        let number = (step * (thread + 1) * 7) % 50;
                        let bytes = decoded.get(part(number), 64, Patience::Wait, |bytes| {
                            decodes.fetch_add(1, Ordering::Relaxed);
                            bytes.fill(number as u8);
                            Ok(())
                        });
                        assert!(bytes.unwrap().unwrap().iter().all(|&byte| u64::from(byte) == number));
                    }
                });
            }
        });
        assert_eq!(decodes.into_inner(), 50, "all parts fit, so each is decoded once");
        assert_eq!(decoded.byte_len(), 50 * 64);
        let small = Decoded::new(10 * 64);
        std::thread::scope(|scope| {
            for thread in 0..8u64 {
                let small = &small;
                scope.spawn(move || {
                    for step in 0..2000u64 {
                        let number = (step * (thread + 3) * 11) % 50;
                        assert!(get(small, number, 64).iter().all(|&byte| u64::from(byte) == number));
                    }
                });
            }
        });
        assert_eq!(small.byte_len(), 10 * 64);
    }
}
