//! Which samples of an epoch have come, and which subjects are complete: counting, and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::assemble::accumulator::Accumulator;
use crate::error::{Error, Result};
use crate::plan::Epoch;

/// A subject's sums, which one thread at a time adds to.
pub(super) type Held = Arc<Mutex<Accumulator>>;

/// How far a subject is.
#[derive(Debug, Clone)]
enum Stage {
    /// None of its samples has come.
    Awaited,
    /// Some or all have come.
    Held(Held),
    /// It has been handed out.
    Taken,
}

/// One epoch's samples and subjects.
#[derive(Debug)]
pub(super) struct Progress {
    epoch: u64,
    expected: Vec<u64>,
    outstanding: Vec<u64>,
    stages: Vec<Stage>,
    untaken: usize,
    seen: Vec<u64>,
    /// The samples that have not come.
    unseen: u64,
    complete: VecDeque<usize>,
    channels: usize,
}

/// A sample that counts: its subject, and its place in this rank's share of the epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) subject: usize,
    pub(super) place: u64,
}

impl Progress {
    /// An epoch of which nothing has come yet.
    ///
    /// # Errors
    /// `Memory` where there is not a bit for each of this many samples.
    pub(super) fn new(number: u64, epoch: &Epoch<'_>, len: u64, channels: usize) -> Result<Self> {
        let expected = epoch.samples_by_subject()?;
        let stages = vec![Stage::Awaited; expected.len()];
        let untaken = expected.iter().filter(|&&count| count > 0).count();
        let words = usize::try_from(len.div_ceil(64)).unwrap_or(usize::MAX);
        let mut seen = Vec::new();
        let refused = |_| Error::memory(format!("no memory to count {len} samples"));
        seen.try_reserve_exact(words).map_err(refused)?;
        seen.resize(words, 0);
        let (outstanding, complete) = (expected.clone(), VecDeque::new());
        let unseen = expected.iter().sum();
        Ok(Self { epoch: number, expected, outstanding, stages, untaken, seen, unseen, complete, channels })
    }

    /// The epoch's number.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The channels of its predictions.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Whether every subject that has samples has been taken.
    pub(super) fn is_finished(&self) -> bool {
        self.untaken == 0
    }

    /// The subjects whose sums are held.
    pub(super) fn held_count(&self) -> usize {
        self.stages.iter().filter(|stage| matches!(stage, Stage::Held(_))).count()
    }

    /// Makes sure that these samples may come.
    ///
    /// # Errors
    /// `State` where one has come before, or its subject is taken.
    pub(super) fn check(&self, tickets: &[Ticket]) -> Result<()> {
        let mut places: Vec<u64> = tickets.iter().map(|ticket| ticket.place).collect();
        places.sort_unstable();
        let twice = places.windows(2).find_map(|pair| match pair {
            [first, second] if first == second => Some(*first),
            _ => None,
        });
        if let Some(place) = twice.or_else(|| places.into_iter().find(|&place| self.has_come(place))) {
            let epoch = self.epoch;
            let text = format!(
                "sample {place} of epoch {epoch} was added already: make a new assembler to begin anew"
            );
            return Err(Error::state(text));
        }
        for ticket in tickets {
            if matches!(self.stages.get(ticket.subject), Some(Stage::Taken)) {
                let Ticket { subject, place } = ticket;
                let text = format!("sample {place} belongs to subject {subject}, which was taken incomplete");
                return Err(Error::state(text));
            }
        }
        Ok(())
    }

    fn has_come(&self, place: u64) -> bool {
        let word = self.seen.get((place / 64) as usize).copied().unwrap_or_default();
        word >> (place % 64) & 1 == 1
    }

    /// Whether a subject has no sums yet, and its number of samples.
    pub(super) fn awaited(&self, subject: usize) -> Option<u64> {
        let awaited = matches!(self.stages.get(subject), Some(Stage::Awaited));
        self.expected.get(subject).copied().filter(|_| awaited)
    }

    /// Holds a subject's sums from now on.
    pub(super) fn hold(&mut self, subject: usize, sums: Held) {
        if let Some(stage) = self.stages.get_mut(subject) {
            *stage = Stage::Held(sums);
        }
    }

    /// Marks samples that [`Progress::check`] has let pass as come.
    pub(super) fn mark(&mut self, tickets: &[Ticket]) {
        for Ticket { place, .. } in tickets {
            if let Some(word) = self.seen.get_mut((place / 64) as usize) {
                *word |= 1 << (place % 64);
            }
        }
        self.unseen = self.unseen.saturating_sub(tickets.len() as u64);
    }

    /// Takes a mark back, of samples that could not be brought.
    pub(super) fn unmark(&mut self, tickets: &[Ticket]) {
        for Ticket { place, .. } in tickets {
            if let Some(word) = self.seen.get_mut((place / 64) as usize) {
                *word &= !(1 << (place % 64));
            }
        }
        self.unseen += tickets.len() as u64;
    }

    /// Whether every sample has come, added or on its way.
    pub(super) fn has_all(&self) -> bool {
        self.unseen == 0
    }

    /// A subject's sums.
    ///
    /// # Errors
    /// `NotFound` where they are not held.
    pub(super) fn held(&self, subject: usize) -> Result<&Held> {
        let why = match self.stages.get(subject) {
            Some(Stage::Held(sums)) => return Ok(sums),
            Some(Stage::Taken) => "was taken already",
            Some(Stage::Awaited) => "has no prediction yet",
            None => "does not exist",
        };
        Err(Error::not_found(format!("this subject {why} in epoch {}", self.epoch)))
    }

    /// Counts samples of a subject as added; its last one makes it complete.
    pub(super) fn added(&mut self, subject: usize, samples: u64) {
        if !matches!(self.stages.get(subject), Some(Stage::Held(_))) {
            return;
        }
        if let Some(outstanding) = self.outstanding.get_mut(subject) {
            *outstanding = outstanding.saturating_sub(samples);
            if *outstanding == 0 {
                self.complete.push_back(subject);
            }
        }
    }

    /// The samples of a subject that have not been added; none of a subject that is taken.
    ///
    /// # Errors
    /// `Range` where there is no such subject.
    pub(super) fn outstanding(&self, subject: usize) -> Result<u64> {
        match (self.stages.get(subject), self.outstanding.get(subject)) {
            (Some(Stage::Taken), _) => Ok(0),
            (_, Some(&outstanding)) => Ok(outstanding),
            _ => Err(Error::range(format!("there is no such subject, there are {}", self.stages.len()))),
        }
    }

    /// The next subject that has become complete.
    pub(super) fn next_complete(&mut self) -> Option<usize> {
        self.complete.pop_front()
    }

    /// Makes sure that a subject is complete.
    ///
    /// # Errors
    /// `State` where it is not; the message says how many samples are outstanding.
    pub(super) fn check_complete(&self, subject: usize) -> Result<()> {
        let expected = self.expected.get(subject).copied().unwrap_or_default();
        match self.outstanding(subject)? {
            0 => Ok(()),
            left => {
                let text =
                    format!("this subject is incomplete: {left} of {expected} samples are outstanding");
                Err(Error::state(text))
            }
        }
    }

    /// Lets go of a subject's sums.
    ///
    /// # Errors
    /// `NotFound` where they are not held, because another thread was faster.
    pub(super) fn release(&mut self, subject: usize) -> Result<()> {
        self.held(subject)?;
        if let Some(stage) = self.stages.get_mut(subject) {
            *stage = Stage::Taken;
            self.untaken = self.untaken.saturating_sub(1);
        }
        self.complete.retain(|&complete| complete != subject);
        Ok(())
    }
}
