//! What one call adds, to the sums of which subjects, and on how many threads.

use std::sync::{Arc, Mutex};

use crate::assemble::accumulator::scratch_len;
use crate::assemble::crew::Hands;
use crate::assemble::options::AssemblerOptions;
use crate::assemble::pool::Pool;
use crate::assemble::prediction::{Placed, View};
use crate::assemble::progress::{Held, Progress, Ticket};
use crate::error::{Error, Result};
use crate::sys::{Crew, lock};

/// How far the current epoch is.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The memory of sums: the first to go, so that those that are held then are freed.
    pub(super) pool: Arc<Pool>,
    pub(super) progress: Option<Progress>,
    /// Tells one epoch's progress from the next, so that a thread that is late changes nothing.
    pub(super) generation: u64,
}

/// What one call adds: samples that count, with their rows' places.
#[derive(Debug)]
pub(super) struct Addition {
    pub(super) tickets: Vec<Ticket>,
    pub(super) places: Vec<Placed>,
    pub(super) epoch: u64,
    pub(super) channels: usize,
}

/// The sums that an addition goes to, and the generation that they belong to.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) generation: u64,
    pub(super) held: Vec<Held>,
}

impl Addition {
    /// The samples of which something holds, and the others.
    pub(super) fn split(
        self,
        begun: Begun,
        mut holds: impl FnMut(&Ticket, &Held) -> bool,
    ) -> [(Self, Begun); 2] {
        let Self { tickets, places, epoch, channels } = self;
        let empty = || {
            let part = Self { tickets: Vec::new(), places: Vec::new(), epoch, channels };
            (part, Begun { generation: begun.generation, held: Vec::new() })
        };
        let (mut one, mut other) = (empty(), empty());
        for ((ticket, placed), held) in tickets.into_iter().zip(places).zip(begun.held) {
            let (part, sums) = if holds(&ticket, &held) { &mut one } else { &mut other };
            part.tickets.push(ticket);
            part.places.push(placed);
            sums.held.push(held);
        }
        [one, other]
    }
}

/// The threads that add rows, each with the memory that they are brought into shape in.
pub(super) fn hands(
    crew: &Arc<Crew>,
    options: &AssemblerOptions,
    view: &View<'_>,
    addition: &Addition,
) -> Result<Hands<Vec<u64>>> {
    let voxels = addition.places.iter().map(|placed| placed.piece.voxels()).sum::<usize>();
    let work = voxels.saturating_mul(addition.channels).saturating_mul(options.sum_dtype().byte_len());
    let len = addition.places.iter().map(|placed| scratch_len(options, view, placed)).max();
    let len = len.unwrap_or_default();
    let scratch = |_| {
        let mut memory: Vec<u64> = Vec::new();
        let refused = |_| Error::memory(format!("no memory for {len} voxels of a prediction"));
        memory.try_reserve_exact(len).map_err(refused)?;
        memory.resize(len, 0);
        Ok(memory)
    };
    let tools = (0..options.threads_for(work)).map(scratch).collect::<Result<_>>()?;
    Ok(Hands { crew: Arc::clone(crew), tools })
}

/// Adds rows to their subjects' sums, and counts them.
pub(super) fn sum(
    state: &Mutex<State>,
    view: &View<'_>,
    (addition, begun): (&Addition, &Begun),
    mut hands: Hands<Vec<u64>>,
) -> Result<()> {
    let Addition { tickets, places, .. } = addition;
    for (last, (ticket, held)) in tickets.iter().zip(&begun.held).enumerate() {
        let subject = ticket.subject;
        let of_it = |other: &Ticket| other.subject == subject;
        // A subject's rows are added together, in the place of the last: so subjects become complete in order.
        if tickets.iter().skip(last + 1).any(of_it) {
            continue;
        }
        let rows = tickets.iter().zip(places).filter(|(ticket, _)| of_it(ticket));
        let rows: Vec<&Placed> = rows.map(|(_, placed)| placed).collect();
        lock(held).add(view, &rows, &mut hands)?;
        count(state, begun.generation, (subject, rows.len() as u64));
    }
    Ok(())
}

/// Counts samples of a subject as added.
pub(super) fn count(state: &Mutex<State>, generation: u64, (subject, samples): (usize, u64)) {
    let mut state = lock(state);
    if state.generation == generation {
        state.progress.iter_mut().for_each(|progress| progress.added(subject, samples));
    }
}
