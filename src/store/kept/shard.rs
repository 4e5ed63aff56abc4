//! One share of the parts that are kept, in line.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use foldhash::fast::RandomState;

use crate::store::kept::{DecodedBytes, Part};

/// Where the bytes of a part that is being decoded will be.
pub(super) type Place = Arc<Mutex<Option<DecodedBytes>>>;

#[derive(Debug)]
pub(super) enum State {
    Decoding(Place),
    Kept(DecodedBytes),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) state: State,
    /// Its turn in line; another turn of it is void.
    pub(super) turn: u64,
    /// Whether it was used since it stood in line.
    pub(super) used: bool,
}

/// One share of the parts, under a lock of its own.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) entries: HashMap<Part, Entry, RandomState>,
    /// The kept parts in the order of their turns.
    pub(super) line: VecDeque<(u64, Part)>,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl Shard {
    /// The bytes of a part where they are kept, which is a use of it.
    pub(super) fn find(&mut self, part: Part) -> Option<DecodedBytes> {
        let entry = self.entries.get_mut(&part)?;
        let State::Kept(bytes) = &entry.state else { return None };
        // What is not written stays in the other threads' caches.
        if !entry.used {
            entry.used = true;
        }
        self.hits += 1;
        Some(Arc::clone(bytes))
    }

    /// The bytes of a part where they are kept, which does not count as a use of it.
    pub(super) fn peek(&self, part: Part) -> Option<DecodedBytes> {
        match &self.entries.get(&part)?.state {
            State::Kept(bytes) => Some(Arc::clone(bytes)),
            State::Decoding(_) => None,
        }
    }

    /// The turn of the first in line that was not used since it stood there.
    pub(super) fn first(&mut self, turns: &AtomicU64) -> Option<u64> {
        while let Some(&(turn, part)) = self.line.front() {
            match self.entries.get_mut(&part).filter(|entry| entry.turn == turn) {
                Some(entry) if !entry.used => return Some(turn),
                Some(entry) => {
                    (entry.turn, entry.used) = (next(turns), false);
                    let again = (entry.turn, part);
                    self.line.push_back(again);
                }
                None => {}
            }
            self.line.pop_front();
        }
        None
    }

    /// Lets the first in line go.
    pub(super) fn let_go(&mut self, turns: &AtomicU64) -> Option<DecodedBytes> {
        self.first(turns)?;
        let (_, part) = self.line.pop_front()?;
        self.take_out(part)
    }

    /// The bytes of a part where they are kept, which they no longer are then.
    pub(super) fn take_out(&mut self, part: Part) -> Option<DecodedBytes> {
        let bytes = self.peek(part)?;
        self.entries.remove(&part);
        Some(bytes)
    }
}

pub(super) fn next(turns: &AtomicU64) -> u64 {
    // No entry that is still being decoded has a turn, so 0 is nobody's.
    turns.fetch_add(1, Ordering::Relaxed) + 1
}
