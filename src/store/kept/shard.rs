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

/// Where parts give way.
#[derive(Debug, Clone, Copy)]
pub(super) enum Leaving {
    /// In line, from its front.
    Line,
    /// Among those that were passed, from the last one.
    Passed,
}

/// One share of the parts, under a lock of its own.
#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) entries: HashMap<Part, Entry, RandomState>,
    /// The kept parts in the order of their turns.
    pub(super) line: VecDeque<(u64, Part)>,
    /// Those of them that are wanted last of all, in the order of their turns too.
    pub(super) passed: VecDeque<(u64, Part)>,
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

    /// The turn of the next to go that was not used since it got it; those that were used go to the end of the line.
    pub(super) fn next_to_go(&mut self, from: Leaving, turns: &AtomicU64) -> Option<u64> {
        loop {
            let &(turn, part) = match from {
                Leaving::Line => self.line.front(),
                Leaving::Passed => self.passed.back(),
            }?;
            match self.entries.get_mut(&part).filter(|entry| entry.turn == turn) {
                Some(entry) if !entry.used => return Some(turn),
                Some(entry) => {
                    (entry.turn, entry.used) = (next(turns), false);
                    let again = (entry.turn, part);
                    self.line.push_back(again);
                }
                None => {}
            }
            self.pop(from);
        }
    }

    /// Lets the next to go go.
    pub(super) fn let_go(&mut self, from: Leaving, turns: &AtomicU64) -> Option<DecodedBytes> {
        self.next_to_go(from, turns)?;
        let (_, part) = self.pop(from)?;
        self.take_out(part)
    }

    fn pop(&mut self, from: Leaving) -> Option<(u64, Part)> {
        match from {
            Leaving::Line => self.line.pop_front(),
            Leaving::Passed => self.passed.pop_back(),
        }
    }

    /// Keeps the bytes of a part, which stands at the end of the line then.
    pub(super) fn keep(&mut self, part: Part, bytes: DecodedBytes, turn: u64) {
        self.entries.insert(part, Entry { state: State::Kept(bytes), turn, used: false });
        self.line.push_back((turn, part));
        tidy(&mut self.line, &self.entries);
    }

    /// Takes a part out of the line, where it is kept: it is wanted after all others. True where it is kept.
    pub(super) fn pass(&mut self, part: Part, turn: u64) -> bool {
        let Some(entry) = self.entries.get_mut(&part) else { return false };
        if let State::Decoding(_) = entry.state {
            return false;
        }
        (entry.turn, entry.used) = (turn, false);
        self.passed.push_back((turn, part));
        tidy(&mut self.passed, &self.entries);
        true
    }

    /// The bytes of a part where they are kept, which they no longer are then.
    pub(super) fn take_out(&mut self, part: Part) -> Option<DecodedBytes> {
        let bytes = self.peek(part)?;
        self.entries.remove(&part);
        Some(bytes)
    }
}

/// Removes void turns, where most of them are.
fn tidy(line: &mut VecDeque<(u64, Part)>, entries: &HashMap<Part, Entry, RandomState>) {
    const FEW: usize = 64;
    if line.len() > 2 * entries.len() + FEW {
        line.retain(|(turn, part)| entries.get(part).is_some_and(|entry| entry.turn == *turn));
    }
}

pub(super) fn next(turns: &AtomicU64) -> u64 {
    // No entry that is still being decoded has a turn, so 0 is nobody's.
    turns.fetch_add(1, Ordering::Relaxed) + 1
}
