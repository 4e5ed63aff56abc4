//! The memory of sums, kept from one subject to the next: the system takes longer to give it anew, page by page,
//! than some of the rows take to be added.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, Weak};

use crate::error::Result;
use crate::sys::{AlignedBuffer, lock};

/// Memory that no subject's sums lie in.
///
/// It is never more than what sums have lain in at the same time: what does not fit the next sums is let go of
/// before more is made.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<AlignedBuffer>>,
}

/// The memory of one subject's sums, which goes back to its pool where that is still there.
#[derive(Debug)]
pub(super) struct Room {
    memory: Option<AlignedBuffer>,
    len: usize,
    pool: Weak<Pool>,
}

impl Pool {
    /// Memory for this many bytes and for not much more; where there is none, all that there is goes.
    fn find(&self, len: usize) -> Option<AlignedBuffer> {
        let mut idle = self.lock();
        let found =
            tightest(idle.iter().map(AlignedBuffer::byte_len), len).map(|place| idle.swap_remove(place));
        let gone = if found.is_none() { std::mem::take(&mut *idle) } else { Vec::new() };
        drop(idle);
        drop(gone);
        found
    }

    fn lock(&self) -> MutexGuard<'_, Vec<AlignedBuffer>> {
        lock(&self.idle)
    }
}

/// Where the smallest memory is that has so many bytes, and not twice as many.
pub(super) fn tightest(sizes: impl Iterator<Item = usize>, len: usize) -> Option<usize> {
    let fitting = sizes.enumerate().filter(|&(_, size)| size >= len && size / 2 <= len);
    fitting.min_by_key(|&(_, size)| size).map(|(place, _)| place)
}

impl Room {
    /// This many bytes, whatever they hold.
    ///
    /// # Errors
    /// `Memory` where the system has not that many.
    pub(super) fn new(pool: &Weak<Pool>, len: usize) -> Result<Self> {
        let found = pool.upgrade().and_then(|pool| pool.find(len));
        let memory = found.map_or_else(|| AlignedBuffer::zeroed(len), Ok)?;
        Ok(Self { memory: Some(memory), len, pool: Weak::clone(pool) })
    }

    /// None yet, for sums that lie elsewhere.
    pub(super) fn elsewhere(pool: &Weak<Pool>) -> Self {
        Self { memory: None, len: 0, pool: Weak::clone(pool) }
    }

    /// This many bytes of the same pool, whatever they hold.
    ///
    /// # Errors
    /// `Memory` where the system has not that many.
    pub(super) fn another(&self, len: usize) -> Result<Self> {
        Self::new(&self.pool, len)
    }
}

impl Deref for Room {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.memory.as_deref().and_then(|memory| memory.get(..self.len)).unwrap_or_default()
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.len;
        self.memory.as_deref_mut().and_then(|memory| memory.get_mut(..len)).unwrap_or_default()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if let (Some(memory), Some(pool)) = (self.memory.take(), self.pool.upgrade()) {
            pool.lock().push(memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn idle(pool: &Pool) -> Vec<usize> {
        pool.lock().iter().map(AlignedBuffer::byte_len).collect()
    }

    #[test]
    fn memory_is_used_again_where_it_fits_and_let_go_of_where_it_does_not() {
        let pool = Arc::<Pool>::default();
        let weak = Arc::downgrade(&pool);
        let (mut one, two) = (Room::new(&weak, 100).unwrap(), Room::new(&weak, 80).unwrap());
        one.fill(7);
        drop((one, two));
        assert_eq!(idle(&pool), [100, 80]);
        let three = Room::new(&weak, 90).unwrap();
        assert_eq!((three.len(), &three[..3], idle(&pool)), (90, &[7, 7, 7][..], vec![80]));
        drop(Room::new(&weak, 60).unwrap());
        assert_eq!(idle(&pool), [80]);
        // More than half of it would lie idle, and then it is too small.
        for len in [39, 81] {
            drop(three.another(80).unwrap());
            let other = Room::new(&weak, len).unwrap();
            assert!(idle(&pool).is_empty());
            drop(other);
            assert_eq!(idle(&pool), [len]);
        }
    }

    #[test]
    fn memory_outlives_its_pool() {
        let pool = Arc::<Pool>::default();
        let room = Room::new(&Arc::downgrade(&pool), 10).unwrap();
        drop(pool);
        let mut other = room.another(20).unwrap();
        other.fill(1);
        assert_eq!((room.len(), other.len()), (10, 20));
        assert!(Room::elsewhere(&Weak::new()).is_empty());
    }
}
