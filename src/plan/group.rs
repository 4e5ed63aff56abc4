//! Samples that lie near each other, one after the other, within windows of an epoch's order.
//!
//! A decoded chunk or volume then serves several samples before it gives way to others. The order depends on
//! the samples alone (subject, then the cell of the patch's own size that the region begins in, then the
//! place before), so it is the same for every format, and as repeatable as the order that it starts from.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::plan::Sample;
use crate::voxel::MAX_AXES;

/// The longest window.
pub const MOST_GROUPED: u32 = 1 << 20;

/// The windows whose order is remembered: threads are at work in two at most, and look ahead into a third.
const REMEMBERED: usize = 4;

/// The orders within the windows of a plan's epochs, made when they are first asked for.
#[derive(Debug)]
pub(super) struct Groups {
    window: u64,
    known: Mutex<VecDeque<Known>>,
}

#[derive(Debug)]
struct Known {
    epoch: u64,
    window: u64,
    order: Arc<[u32]>,
}

impl Groups {
    /// Windows of this many samples.
    ///
    /// # Errors
    /// `Argument` where they are longer than [`MOST_GROUPED`].
    pub(super) fn new(window: u32) -> Result<Self> {
        if window > MOST_GROUPED {
            let text = format!("group_window is {window}, expected at most {MOST_GROUPED}");
            return Err(Error::argument(text));
        }
        Ok(Self { window: u64::from(window), known: Mutex::default() })
    }

    /// The place, before grouping, of the sample that stands at a place of an epoch of `len` samples.
    ///
    /// # Errors
    /// Those of `sample`, which gives the sample at a place before grouping.
    pub(super) fn place(
        &self,
        (epoch, place): (u64, u64),
        len: u64,
        sample: impl Fn(u64) -> Result<Sample>,
    ) -> Result<u64> {
        let window = place / self.window;
        let begin = window * self.window;
        let order = {
            // Whoever comes second waits here for the order instead of working it out again.
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let found = known.iter().find(|known| known.epoch == epoch && known.window == window);
            match found.map(|known| Arc::clone(&known.order)) {
                Some(order) => order,
                None => {
                    let order = order(begin..(begin + self.window).min(len), sample)?;
                    known.truncate(REMEMBERED - 1);
                    known.push_front(Known { epoch, window, order: Arc::clone(&order) });
                    order
                }
            }
        };
        let moved = order.get((place - begin) as usize).copied();
        moved.map(|at| begin + u64::from(at)).ok_or_else(|| Error::internal("a place outside its window"))
    }
}

/// What samples are sorted by.
type Nearness = (usize, [i64; MAX_AXES]);

fn order(places: std::ops::Range<u64>, sample: impl Fn(u64) -> Result<Sample>) -> Result<Arc<[u32]>> {
    let keyed = places.enumerate().map(|(at, place)| Ok((nearness(&sample(place)?), at as u32)));
    let mut keyed: Vec<(Nearness, u32)> = keyed.collect::<Result<_>>()?;
    keyed.sort_unstable();
    Ok(keyed.into_iter().map(|(_, at)| at).collect())
}

fn nearness(sample: &Sample) -> Nearness {
    let mut cell = [0; MAX_AXES];
    for (slot, (start, extent)) in cell.iter_mut().zip(sample.region.axes()) {
        *slot = start.div_euclid(extent.max(1) as i64);
    }
    (sample.subject, cell)
}
