//! One buffer lent in disjoint parts: a row to each writer, or the whole to readers.

use std::ops::Range;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::error::{Error, Result};
use crate::sys::AlignedBuffer;
use crate::sys::cuda::PinnedBuffer;

const FREE: i32 = 0;
const WRITTEN: i32 = -1;

/// The memory that rows lie in.
#[derive(Debug)]
pub enum RowMemory {
    /// Any memory of the process.
    Plain(AlignedBuffer),
    /// Memory that devices copy from directly.
    Pinned(PinnedBuffer),
}

impl RowMemory {
    fn address(&self) -> *mut u8 {
        match self {
            Self::Plain(memory) => memory.address(),
            Self::Pinned(memory) => memory.address(),
        }
    }

    fn byte_len(&self) -> usize {
        match self {
            Self::Plain(memory) => memory.byte_len(),
            Self::Pinned(memory) => memory.byte_len(),
        }
    }
}

/// Rows of equal size in one buffer. Each row is free, held by one writer, or held by readers.
#[derive(Debug)]
pub struct RowBuffer {
    memory: RowMemory,
    row_bytes: usize,
    holders: Vec<AtomicI32>,
}

/// Neighbouring rows that are held for writing; they are free again when this is dropped.
#[derive(Debug)]
pub struct RowsMut<'a> {
    bytes: &'a mut [u8],
    holders: &'a [AtomicI32],
}

/// The rows from the first on, held for reading; they are free again when this is dropped.
#[derive(Debug)]
pub struct RowsRead<'a> {
    bytes: &'a [u8],
    holders: &'a [AtomicI32],
}

impl RowBuffer {
    /// This many rows of this many bytes, all zero.
    ///
    /// # Errors
    /// `Memory` where the system has not that much.
    pub fn zeroed(rows: usize, row_bytes: usize) -> Result<Self> {
        Self::over(rows, row_bytes, |len| AlignedBuffer::zeroed(len).map(RowMemory::Plain))
    }

    /// This many rows of this many bytes in the memory that a function gives.
    ///
    /// # Errors
    /// `Memory` where the system has not that much; those of the function.
    pub fn over(
        rows: usize,
        row_bytes: usize,
        memory: impl FnOnce(usize) -> Result<RowMemory>,
    ) -> Result<Self> {
        let len = rows.checked_mul(row_bytes);
        let refused = || Error::memory(format!("no memory for {rows} rows of {row_bytes} bytes"));
        let len = len.ok_or_else(refused)?;
        let memory = memory(len)?;
        if memory.byte_len() < len {
            return Err(Error::internal("the memory for rows is too small"));
        }
        let mut holders = Vec::new();
        holders.try_reserve_exact(rows).map_err(|_| refused())?;
        holders.extend((0..rows).map(|_| AtomicI32::new(FREE)));
        Ok(Self { memory, row_bytes, holders })
    }

    /// Takes neighbouring rows for writing.
    ///
    /// # Errors
    /// `Internal` where a row does not exist or is held.
    pub fn write(&self, rows: Range<usize>) -> Result<RowsMut<'_>> {
        let missing = || Error::internal(format!("rows {} to {} do not exist", rows.start, rows.end));
        let holders = self.holders.get(rows.clone()).ok_or_else(missing)?;
        for (row, holder) in holders.iter().enumerate() {
            if holder.compare_exchange(FREE, WRITTEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
                give_back(holders.get(..row).unwrap_or_default());
                return Err(Error::internal(format!("row {} is held already", rows.start + row)));
            }
        }
        // SAFETY: the rows lie inside the memory, whose size is rows x row_bytes.
        let start = unsafe { self.memory.address().add(rows.start * self.row_bytes) };
        // SAFETY: rows are disjoint, and the exchanges above make this the only holder of each.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start, holders.len() * self.row_bytes) };
        Ok(RowsMut { bytes, holders })
    }

    /// Takes the first rows for reading.
    ///
    /// # Errors
    /// `Internal` where a row does not exist or is being written.
    pub fn read(&self, rows: usize) -> Result<RowsRead<'_>> {
        let holders = self.holders.get(..rows);
        let holders = holders.ok_or_else(|| Error::internal(format!("{rows} rows do not exist")))?;
        for (row, holder) in holders.iter().enumerate() {
            let join = |count: i32| (count >= FREE).then_some(count + 1);
            if holder.fetch_update(Ordering::Acquire, Ordering::Relaxed, join).is_err() {
                release(holders.get(..row).unwrap_or_default());
                return Err(Error::internal(format!("row {row} is being written")));
            }
        }
        // SAFETY: no row among these has a writer as long as they are held for reading.
        let bytes = unsafe { std::slice::from_raw_parts(self.memory.address(), rows * self.row_bytes) };
        Ok(RowsRead { bytes, holders })
    }

    /// The address of the first row.
    pub fn address(&self) -> *mut u8 {
        self.memory.address()
    }

    /// The bytes of one row.
    pub fn row_byte_len(&self) -> usize {
        self.row_bytes
    }

    /// The bytes of all rows.
    pub fn byte_len(&self) -> usize {
        self.memory.byte_len()
    }
}

/// Ends a writer's hold.
fn give_back(holders: &[AtomicI32]) {
    holders.iter().for_each(|holder| holder.store(FREE, Ordering::Release));
}

/// Ends a reader's hold.
fn release(holders: &[AtomicI32]) {
    for holder in holders {
        holder.fetch_sub(1, Ordering::Release);
    }
}

impl std::ops::Deref for RowsMut<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl std::ops::DerefMut for RowsMut<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes
    }
}

impl Drop for RowsMut<'_> {
    fn drop(&mut self) {
        give_back(self.holders);
    }
}

impl std::ops::Deref for RowsRead<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl Drop for RowsRead<'_> {
    fn drop(&mut self) {
        release(self.holders);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_one_writer_or_any_readers() {
        let buffer = RowBuffer::zeroed(4, 4).unwrap();
        let mut first = buffer.write(0..1).unwrap();
        let mut others = buffer.write(1..3).unwrap();
        first.fill(1);
        others.copy_from_slice(&[2, 2, 2, 2, 3, 3, 3, 3]);
        assert!(buffer.write(0..1).is_err());
        assert!(buffer.write(2..4).is_err());
        assert!(buffer.read(1).is_err());
        assert!(buffer.write(4..5).is_err());
        assert!(buffer.read(5).is_err());
        drop((first, others));
        let all = buffer.read(4).unwrap();
        let again = buffer.read(2).unwrap();
        assert_eq!(*all, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 0, 0, 0, 0]);
        assert!(buffer.write(2..3).is_err());
        drop((all, again));
        drop(buffer.write(3..4).unwrap());
        let last = buffer.write(3..4).unwrap();
        assert!(buffer.write(1..4).is_err());
        drop((buffer.write(1..3).unwrap(), last));
    }
}
