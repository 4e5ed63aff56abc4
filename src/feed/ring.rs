//! The batches' life: filling, sealed, on their way to a GPU where one is asked for, lent.
//!
//! Batches are begun, filled and lent in epoch order. A worker takes the next row of the batch that is
//! filling, or begins another batch where a slot is free. A start or cancel gives the batches up that are
//! not lent yet: their slots are free as soon as the last worker has left them.
//!
//! Slots for a GPU are a pool of their own: a host slot is free again once its batch is on its way, a GPU slot
//! once its batch is released. Batches go to the GPU in epoch order too: one that was sealed early must not
//! take the last GPU slot from those that are lent before it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::feed::passing::{Passed, Passing};
use crate::feed::slot::{Memory, Slot};
use crate::feed::upload::{Upload, Uploads};
use crate::plan::{Plan, Sample};
use crate::store::{ArraysRead, Moment, Patience};

/// The most rows that are put off at a time.
const MOST_PUT_OFF: usize = 32;

/// A row to be filled, or several whose samples lie side by side.
#[derive(Debug)]
pub(super) struct Ticket {
    /// The number of the batch, counted over the loader's life.
    batch: u64,
    /// The rows in the batch.
    pub(super) rows: Range<usize>,
    /// The epoch.
    pub(super) epoch: u64,
    /// The place of the first row's sample in this rank's share.
    pub(super) place: u64,
    /// Where the row is.
    pub(super) slot: Arc<Slot>,
    /// The batch's own stretch of work.
    pub(super) moment: Moment,
    /// What of the rows is read already, category by category, where they were put off.
    pub(super) read: Vec<ArraysRead>,
    /// The places ahead whose samples the disk is to be told of; none where it need not know.
    pub(super) foreseen: Range<u64>,
}

/// What a thread does next.
#[derive(Debug)]
pub(super) enum Task {
    /// Fills rows, and waits for what other threads decode or leaves it.
    Fill(Ticket, Patience),
    /// Decodes ahead of all rows.
    Ahead(Ahead),
}

/// The places that a thread may decode ahead for, which would wait otherwise.
#[derive(Debug)]
pub(super) struct Ahead {
    pub(super) epoch: u64,
    pub(super) places: Range<u64>,
    /// The first place that is not lent yet.
    pub(super) front: u64,
    pub(super) moment: Moment,
    /// What the ring had seen when this was given.
    seen: (u64, u64),
}

/// A batch that is filling or ready.
#[derive(Debug)]
struct Filling {
    number: u64,
    epoch: u64,
    place: u64,
    memory: Memory,
    moment: Moment,
    /// Whether a thread is sending it to a GPU.
    uploading: bool,
    /// One place a row; a row's sample is known when it is filled.
    samples: Vec<Option<Sample>>,
    extents: Vec<usize>,
    taken: usize,
    finished: usize,
    /// The error of the first row, in order, that failed.
    error: Option<(usize, Error)>,
}

impl Filling {
    fn is_whole(&self) -> bool {
        self.finished == self.samples.len()
    }

    /// Whether no thread works on it.
    fn is_left(&self) -> bool {
        self.finished == self.taken && !self.uploading
    }
}

/// What a row's end has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finished {
    /// Nothing yet: other rows of its batch are not filled.
    Row,
    /// Its batch can be lent when those before it have been.
    Batch,
    /// The slot of a batch that was given up is free.
    Slot,
}

/// A batch that is ready to be lent, or the error that it is instead.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) memory: Memory,
    pub(super) samples: Vec<Sample>,
    pub(super) extents: Vec<usize>,
    pub(super) error: Option<Error>,
    /// What of the subjects is done with.
    pub(super) passed: Vec<Passed>,
}

/// Where an epoch is to be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: u64,
    pub(super) place: u64,
}

/// The slots and batches of a loader, guarded by its lock.
#[derive(Debug)]
pub(super) struct Ring {
    free: Vec<Arc<Slot>>,
    /// The most rows that a thread fills at once.
    most_rows: usize,
    /// Where batches go when they are sealed; nowhere without a GPU.
    uploads: Option<Uploads>,
    filling: VecDeque<Filling>,
    given_up: Vec<Filling>,
    /// Rows that wait for what another thread decodes, and how many rows had ended then.
    put_off: VecDeque<(u64, Ticket)>,
    ended: u64,
    /// The furthest place that was decoded for ahead of its turn.
    ahead: Option<u64>,
    /// The batches begun and rows ended when there was nothing to be decoded ahead.
    looked: Option<(u64, u64)>,
    next: Place,
    /// Behind the last batch that was lent.
    lent: Place,
    passing: Passing,
    /// Behind the last place that a ticket named as foreseen.
    foreseen: u64,
    producing: bool,
    begun: u64,
    pub(super) started: bool,
    pub(super) cancelled: bool,
    pub(super) closed: bool,
    pub(super) held: usize,
    pub(super) workers: usize,
    /// Whether no slot will be used again.
    dissolved: bool,
}

impl Ring {
    /// A ring of these slots that nobody has started; its batches are uploaded where there is a way.
    pub(super) fn new(slots: Vec<Arc<Slot>>, most_rows: usize, uploads: Option<Uploads>) -> Self {
        let nowhere = Place { epoch: 0, place: 0 };
        Self {
            free: slots,
            most_rows,
            uploads,
            filling: VecDeque::new(),
            given_up: Vec::new(),
            put_off: VecDeque::new(),
            ended: 0,
            ahead: None,
            looked: None,
            next: nowhere,
            lent: nowhere,
            passing: Passing::default(),
            foreseen: 0,
            producing: false,
            begun: 0,
            started: false,
            cancelled: false,
            closed: false,
            held: 0,
            workers: 0,
            dissolved: false,
        }
    }

    /// Begins at a place, giving up what is not lent.
    pub(super) fn start(&mut self, at: Place) {
        self.give_up();
        (self.next, self.lent, self.foreseen) = (at, at, at.place);
        (self.producing, self.started, self.cancelled) = (true, true, false);
        (self.ahead, self.looked) = (None, None);
    }

    /// Ends production, giving up what is not lent.
    pub(super) fn give_up(&mut self) {
        self.producing = false;
        for (_, ticket) in std::mem::take(&mut self.put_off) {
            if let Some(batch) = self.filling.iter_mut().find(|batch| batch.number == ticket.batch) {
                batch.finished += ticket.rows.len();
            }
        }
        for batch in std::mem::take(&mut self.filling) {
            if batch.is_left() {
                self.put_back(batch.memory);
            } else {
                self.given_up.push(batch);
            }
        }
    }

    /// The place behind the last batch that was lent.
    pub(super) fn place(&self) -> Place {
        self.lent
    }

    /// What is to be done next, if there is something now.
    ///
    /// Rows that were put off come first when another row has ended since. Where there is no other row, they are
    /// waited for, once there is nothing to be decoded ahead either; `ahead` of a row's place samples may be
    /// foreseen.
    pub(super) fn take(&mut self, plan: &Plan, endless: bool, ahead: u64) -> Option<Task> {
        let ended = self.ended;
        if let Some((_, ticket)) = self.put_off.pop_front_if(|(then, _)| *then != ended) {
            return Some(Task::Fill(ticket, Patience::Leave));
        }
        if self.put_off.len() < MOST_PUT_OFF
            && let Some(ticket) = self.take_new(plan, endless, ahead)
        {
            return Some(Task::Fill(ticket, Patience::Leave));
        }
        if let Some(ahead) = self.look_ahead(plan) {
            return Some(Task::Ahead(ahead));
        }
        self.put_off.pop_front().map(|(_, ticket)| Task::Fill(ticket, Patience::Wait))
    }

    /// The places behind the last batch, as long as rows wait and none was decoded for ahead of its turn: more
    /// would push each other out.
    fn look_ahead(&mut self, plan: &Plan) -> Option<Ahead> {
        let seen = (self.begun, self.ended);
        if self.put_off.is_empty() || !self.producing || self.looked == Some(seen) {
            return None;
        }
        let Place { epoch, place } = self.next;
        let end = self.ahead.filter(|&ahead| ahead >= place).map_or(plan.len(), |ahead| ahead + 1);
        let front = self.filling.front().filter(|batch| batch.epoch == epoch)?.place;
        Some(Ahead { epoch, places: place..end, front, moment: Moment::begin(), seen })
    }

    /// Notes that a place was decoded for ahead of its turn, or that there was none to be.
    pub(super) fn finish_ahead(&mut self, ahead: &Ahead, place: Option<u64>) {
        match place {
            Some(place) if self.next.epoch == ahead.epoch => self.ahead = self.ahead.max(Some(place)),
            Some(_) => {}
            None => self.looked = Some(ahead.seen),
        }
    }

    /// Puts rows off that wait for what another thread decodes; such rows stay in order.
    pub(super) fn put_off(&mut self, ticket: Ticket) -> Finished {
        if self.filling.iter().all(|batch| batch.number != ticket.batch) {
            return self.finish(ticket, Err(Error::internal("its batch was given up")));
        }
        let index = self.turn_of(&ticket);
        let ticket = Ticket { foreseen: 0..0, ..ticket };
        self.put_off.insert(index, (self.ended, ticket));
        Finished::Row
    }

    /// Where a ticket stands among those that were put off.
    fn turn_of(&self, ticket: &Ticket) -> usize {
        let turn = |ticket: &Ticket| (ticket.batch, ticket.rows.start);
        self.put_off.partition_point(|(_, other)| turn(other) < turn(ticket))
    }

    /// Gives each row of a ticket, which could not be filled together, a ticket of its own.
    fn part(&mut self, ticket: &Ticket) {
        let index = self.turn_of(ticket);
        for row in ticket.rows.clone().rev() {
            let one = Ticket {
                rows: row..row + 1,
                place: ticket.place + (row - ticket.rows.start) as u64,
                slot: Arc::clone(&ticket.slot),
                read: Vec::new(),
                foreseen: 0..0,
                ..*ticket
            };
            // They wait for nobody, so they are taken next.
            self.put_off.insert(index, (self.ended.wrapping_sub(1), one));
        }
    }

    fn take_new(&mut self, plan: &Plan, endless: bool, ahead: u64) -> Option<Ticket> {
        if !self.producing {
            return None;
        }
        let open = self.filling.back().is_some_and(|batch| batch.taken < batch.samples.len());
        if !open && !self.begin(plan, endless) {
            return None;
        }
        let batch = self.filling.back_mut()?;
        let row = batch.taken;
        let (number, epoch, place) = (batch.number, batch.epoch, batch.place + row as u64);
        let left = (batch.samples.len() - row).min(self.most_rows);
        let count = if left > 1 { plan.neighbours(place).min(left as u64) as usize } else { 1 };
        let rows = row..row + count;
        batch.taken = rows.end;
        let Memory::Host(slot) = &batch.memory else { return None };
        let (slot, moment) = (Arc::clone(slot), batch.moment);
        let foreseen = self.foresee((place, count as u64), ahead, plan.len());
        let read = Vec::new();
        Some(Ticket { batch: number, rows, epoch, place, slot, moment, read, foreseen })
    }

    /// The next places to foresee, of those that are at most `ahead` of the last of `count` from this one on; few, so
    /// that the samples at these places do not wait for the others.
    fn foresee(&mut self, (place, count): (u64, u64), ahead: u64, end: u64) -> Range<u64> {
        const MOST_AT_ONCE: u64 = 2;
        let from = self.foreseen.max(place + count);
        let most = from + count * MOST_AT_ONCE;
        let to = (place + count).saturating_add(ahead).min(most).min(end).max(from);
        self.foreseen = to;
        from..to
    }

    /// Begins another batch, where there are samples and a slot is free.
    fn begin(&mut self, plan: &Plan, endless: bool) -> bool {
        if self.next.place >= plan.len() {
            if !endless {
                self.producing = false;
                return false;
            }
            self.next = Place { epoch: self.next.epoch.wrapping_add(1), place: 0 };
            (self.foreseen, self.ahead) = (0, None);
        }
        let Some(slot) = self.free_slot() else { return false };
        let left = plan.len() - self.next.place;
        let rows = left.min(plan.options().batch_size as u64) as usize;
        self.filling.push_back(Filling {
            number: self.begun,
            epoch: self.next.epoch,
            place: self.next.place,
            memory: Memory::Host(slot),
            uploading: false,
            moment: Moment::begin(),
            samples: vec![None; rows],
            extents: Vec::new(),
            taken: 0,
            finished: 0,
            error: None,
        });
        self.begun += 1;
        self.next.place += rows as u64;
        true
    }

    /// A free host slot: the one that was used last, or the first where others may still work on it.
    fn free_slot(&mut self) -> Option<Arc<Slot>> {
        match self.free.last()?.uses() {
            None => self.free.pop(),
            Some(_) => Some(self.free.remove(0)),
        }
    }

    /// Whether its batches are uploaded.
    pub(super) fn has_uploads(&self) -> bool {
        self.uploads.is_some()
    }

    /// The next upload to be made, if there is one now; for one thread alone, so that they arrive in order.
    pub(super) fn take_upload(&mut self) -> Option<Upload> {
        let uploads = self.uploads.as_mut()?;
        let waits = |batch: &&mut Filling| matches!(batch.memory, Memory::Host(_)) && batch.error.is_none();
        let batch = self.filling.iter_mut().find(waits).filter(|batch| batch.is_whole())?;
        let Memory::Host(slot) = &batch.memory else { return None };
        let upload = uploads.begin(batch.number, slot, (batch.samples.len(), &batch.extents))?;
        batch.uploading = true;
        Some(upload)
    }

    /// Notes that an upload is on its way or has failed.
    pub(super) fn finish_upload(&mut self, upload: Upload, outcome: Result<()>) {
        let Upload { batch: number, from, into, .. } = upload;
        let Some(batch) = self.filling.iter_mut().find(|batch| batch.number == number) else {
            self.given_up.retain(|batch| batch.number != number);
            self.put_back(Memory::Host(from));
            self.put_back(Memory::Gpu(into));
            return;
        };
        batch.uploading = false;
        match outcome {
            Ok(()) => {
                batch.memory = Memory::Gpu(into);
                self.put_back(Memory::Host(from));
            }
            Err(error) => {
                batch.error = Some((0, error));
                self.put_back(Memory::Gpu(into));
            }
        }
    }

    /// Makes memory free; gives it back where the ring is dissolved.
    fn put_back(&mut self, memory: Memory) -> Option<Memory> {
        match (memory, &mut self.uploads) {
            (memory, _) if self.dissolved => return Some(memory),
            (Memory::Gpu(slot), Some(uploads)) => uploads.free.push_back(slot),
            (memory @ Memory::Gpu(_), None) => return Some(memory),
            (Memory::Host(slot), _) => self.free.push(slot),
        }
        None
    }

    /// Notes that rows are filled or have failed; several that failed together are tried again one by one.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Result<(Vec<Sample>, Vec<usize>)>) -> Finished {
        let (number, row) = (ticket.batch, ticket.rows.start);
        let rows = ticket.rows.len();
        self.ended += 1;
        if let Some(batch) = self.filling.iter_mut().find(|batch| batch.number == number) {
            match outcome {
                Ok((samples, extents)) => {
                    let slots = batch.samples.iter_mut().skip(row).take(rows);
                    slots.zip(samples).for_each(|(slot, sample)| *slot = Some(sample));
                    batch.extents = extents;
                }
                Err(_) if rows > 1 => {
                    self.part(&ticket);
                    return Finished::Row;
                }
                // Of several failed rows the first in order is told, whichever thread was faster.
                Err(error) => {
                    if batch.error.as_ref().is_none_or(|(known, _)| *known > row) {
                        batch.error = Some((row, error));
                    }
                }
            }
            batch.finished += rows;
            return if batch.is_whole() { Finished::Batch } else { Finished::Row };
        }
        let index = self.given_up.iter().position(|batch| batch.number == number);
        let Some(batch) = index.and_then(|index| self.given_up.get_mut(index)) else { return Finished::Row };
        batch.finished += rows;
        if batch.is_left()
            && let Some(index) = index
        {
            let batch = self.given_up.swap_remove(index);
            self.put_back(batch.memory);
            return Finished::Slot;
        }
        Finished::Row
    }

    /// Takes the batch at the front, where it is ready.
    pub(super) fn pop(&mut self, plan: &Plan) -> Option<Ready> {
        let uploaded = |batch: &Filling| self.uploads.is_none() || matches!(batch.memory, Memory::Gpu(_));
        let front = self.filling.front()?;
        if !front.is_whole() || !(uploaded(front) || front.error.is_some()) {
            return None;
        }
        let batch = self.filling.pop_front()?;
        self.lent = Place { epoch: batch.epoch, place: batch.place + batch.samples.len() as u64 };
        if batch.error.is_some() {
            self.put_back(batch.memory.clone());
        } else {
            self.held += 1;
        }
        let samples: Vec<Sample> = batch.samples.into_iter().flatten().collect();
        let passed = self.passing.pass(plan, &samples, self.lent);
        let (memory, extents, error) = (batch.memory, batch.extents, batch.error.map(|(_, error)| error));
        Some(Ready { memory, samples, extents, error, passed })
    }

    /// Whether the epoch has no further batch.
    pub(super) fn is_over(&self, plan: &Plan, endless: bool) -> bool {
        let more = self.producing && (endless || self.next.place < plan.len());
        self.filling.is_empty() && !more
    }

    /// Takes lent memory back; gives it to the caller, to be let go of, where the ring is dissolved.
    pub(super) fn release(&mut self, memory: Memory) -> Option<Memory> {
        self.held -= 1;
        self.put_back(memory)
    }

    /// Gives up all memory that is not lent, and what brings batches to a GPU.
    pub(super) fn dissolve(&mut self) -> (Vec<Arc<Slot>>, Option<Uploads>) {
        self.dissolved = true;
        (std::mem::take(&mut self.free), self.uploads.take())
    }
}
