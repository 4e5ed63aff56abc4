//! Memory that is used again by the next decode.

use crate::sys::AlignedBuffer;

/// Memory of parts that gave way, for those that they gave way to: fresh pages take as long as copying does.
///
/// It is never more than what has been counted for parts whose memory is not had yet, and what is left of the budget.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: Vec<AlignedBuffer>,
    byte_len: usize,
    /// The bytes that are counted already and not had yet.
    awaited: usize,
}

impl Spares {
    /// Counts bytes of which the memory will be asked for.
    pub(super) fn await_bytes(&mut self, len: usize) {
        self.awaited += len;
    }

    /// Keeps memory for who awaits some, or will, as long as no more of the budget is left than `left`; gives back what
    /// is too much.
    pub(super) fn put(&mut self, buffer: AlignedBuffer, left: usize) -> Vec<AlignedBuffer> {
        let room = self.awaited.saturating_add(left).saturating_sub(self.byte_len);
        let buffer = buffer.cut(room);
        self.byte_len += buffer.byte_len();
        self.buffers.push(buffer);
        self.too_much(left)
    }

    /// Memory of this size, if there is some, for who has awaited it; and what is too much then.
    pub(super) fn take(&mut self, len: usize, left: usize) -> (Option<AlignedBuffer>, Vec<AlignedBuffer>) {
        self.awaited -= len;
        let fitting = self.buffers.iter().enumerate().filter(|(_, buffer)| buffer.fits(len));
        let found = fitting.min_by_key(|(_, buffer)| buffer.byte_len()).map(|(place, _)| place);
        let spare = found.map(|place| self.buffers.swap_remove(place)).map(|buffer| {
            self.byte_len -= buffer.byte_len();
            buffer.cut(len)
        });
        (spare, self.too_much(left))
    }

    /// The bytes that nobody awaits.
    pub(super) fn idle_bytes(&self) -> usize {
        self.byte_len.saturating_sub(self.awaited)
    }

    /// Gives all memory back.
    pub(super) fn clear(&mut self) -> Vec<AlignedBuffer> {
        self.byte_len = 0;
        std::mem::take(&mut self.buffers)
    }

    /// The oldest buffers, as far as they are more than what is awaited and left.
    fn too_much(&mut self, left: usize) -> Vec<AlignedBuffer> {
        let mut gone = Vec::new();
        while self.byte_len > self.awaited.saturating_add(left) && !self.buffers.is_empty() {
            let buffer = self.buffers.remove(0);
            self.byte_len -= buffer.byte_len();
            gone.push(buffer);
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(len: usize) -> AlignedBuffer {
        AlignedBuffer::zeroed(len).unwrap()
    }

    #[test]
    fn spares_are_never_more_than_what_is_awaited() {
        let mut spares = Spares::default();
        assert_eq!(spares.put(buffer(10), 0).len(), 1, "nobody waits for it");
        spares.await_bytes(30);
        spares.await_bytes(10);
        assert!(spares.put(buffer(30), 0).is_empty());
        assert!(spares.put(buffer(10), 0).is_empty());
        assert_eq!(spares.put(buffer(5), 0).len(), 1, "45 bytes for 40: the oldest goes");
        let (spare, left) = spares.take(10, 0);
        assert_eq!((spare.map(|spare| spare.byte_len()), left.len()), (Some(10), 0));
        let (spare, left) = spares.take(30, 0);
        assert_eq!((spare.is_none(), left.len()), (true, 1));
        assert_eq!((spares.byte_len, spares.awaited), (0, 0));
    }

    #[test]
    fn what_is_left_of_the_budget_may_hold_spares_too() {
        let mut spares = Spares::default();
        assert!(spares.put(buffer(10), 12).is_empty());
        assert_eq!(spares.idle_bytes(), 10);
        assert_eq!(spares.put(buffer(3), 12).len(), 1);
        spares.await_bytes(20);
        assert_eq!(spares.put(buffer(20), 2).len(), 1, "23 bytes where 20 are awaited and 2 left");
        assert_eq!(spares.take(20, 2).0.map(|spare| spare.byte_len()), Some(20));
        assert!(spares.put(buffer(2), 2).is_empty());
        assert_eq!((spares.clear().len(), spares.byte_len), (1, 0));
    }

    #[test]
    fn memory_of_a_larger_volume_serves_for_one_that_is_a_little_smaller() {
        let (large, small) = (8 << 20, 7 << 20);
        let mut spares = Spares::default();
        spares.await_bytes(small);
        let memory = AlignedBuffer::zeroed(large).unwrap();
        let place = memory.address();
        assert!(spares.put(memory, 0).is_empty());
        let spare = spares.take(small, 0).0.unwrap();
        assert_eq!((spare.address(), spare.byte_len()), (place, small));
    }
}
