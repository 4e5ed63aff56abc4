//! Decoded volumes that are kept: whole inflated files, within one budget of bytes.
//!
//! Only timing depends on what is kept, never a result. Two readers that want the same volume at once
//! share one decode.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// One volume's place: empty, or its decoded bytes.
type Place = Arc<Mutex<Option<Arc<Vec<u8>>>>>;

/// Decoded volumes by number, the least recently used of which give way to the budget.
#[derive(Debug)]
pub struct Decoded {
    budget: u64,
    next: AtomicU64,
    kept: Mutex<Kept>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct Kept {
    places: HashMap<u64, (Place, u64, u64)>,
    bytes: u64,
    uses: u64,
}

impl Decoded {
    /// A store of decoded volumes that keeps about this many bytes.
    pub fn new(budget: u64) -> Self {
        Self {
            budget,
            next: AtomicU64::new(0),
            kept: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// A number for one more volume.
    pub fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The decoded bytes of a volume, kept or made now by `decode`.
    ///
    /// # Errors
    /// Those of `decode`; nothing is kept then.
    pub fn get(&self, number: u64, decode: impl FnOnce() -> Result<Vec<u8>>) -> Result<Arc<Vec<u8>>> {
        let place = self.place(number);
        let mut bytes = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = bytes.as_ref() {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Arc::clone(bytes));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let made = Arc::new(decode()?);
        *bytes = Some(Arc::clone(&made));
        drop(bytes);
        self.account(number, made.len() as u64);
        Ok(made)
    }

    /// How often a volume was found and how often it had to be decoded.
    pub fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// The bytes that are kept.
    pub fn byte_len(&self) -> u64 {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    fn place(&self, number: u64) -> Place {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        let (place, _, used) = kept.places.entry(number).or_default();
        *used = now;
        Arc::clone(place)
    }

    /// Counts a volume's bytes and lets the least recently used go until the budget holds.
    fn account(&self, number: u64, bytes: u64) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, size, _)) = kept.places.get_mut(&number) {
            let before = std::mem::replace(size, bytes);
            kept.bytes = kept.bytes + bytes - before;
        }
        while kept.bytes > self.budget {
            let candidates = kept.places.iter().filter(|(_, (_, size, _))| *size > 0);
            let oldest = candidates.min_by_key(|(_, (_, _, used))| *used).map(|(&number, _)| number);
            let Some((_, size, _)) = oldest.and_then(|number| kept.places.remove(&number)) else { break };
            kept.bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn the_budget_holds_and_a_failed_decode_keeps_nothing() {
        let decoded = Decoded::new(100);
        let get = |number, len| decoded.get(number, || Ok(vec![1; len])).unwrap().len();
        assert_eq!(get(0, 60), 60);
        assert_eq!(get(0, 1), 60);
        assert_eq!(get(1, 60), 60);
        assert_eq!(decoded.byte_len(), 60);
        assert_eq!(get(0, 7), 7);
        assert_eq!(decoded.hits_and_misses(), (1, 3));
        assert!(decoded.get(5, || Err(Error::format("x"))).is_err());
        assert_eq!(decoded.get(5, || Ok(vec![2; 200])).unwrap().len(), 200);
        assert!(decoded.byte_len() <= 100);
    }
}
