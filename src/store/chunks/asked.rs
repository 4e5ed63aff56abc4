//! The pieces that the system was asked to read ahead.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::store::chunks::grid::Span;
use crate::sys::lock;

/// How long asking once is enough: what was read ahead may be put out of memory again.
const MOMENT: Duration = Duration::from_secs(1);

/// Which pieces of an array the system was asked for last, and when.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<Option<(Span, Instant)>>);

impl Asked {
    /// Whether it was asked for these a moment ago and for no others since, as for slice after slice of a layer: it
    /// would look through its pages in vain. From now on it was.
    pub(super) fn again(&self, span: Span) -> bool {
        let now = Instant::now();
        let mut last = lock(&self.0);
        if last.is_some_and(|(before, at)| before == span && now.saturating_duration_since(at) < MOMENT) {
            return true;
        }
        *last = Some((span, now));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::chunks::{Grid, GridAxis};
    use crate::store::{ChannelPlace, Window};
    use crate::voxel::{Region, Shape};

    #[test]
    fn the_pieces_of_neighbouring_slices_are_asked_for_once() {
        let axes = [8, 6].map(|extent| GridAxis { extent, chunk: 4, piece: 4 });
        let grid = Grid::new(axes.to_vec(), ChannelPlace::None).unwrap();
        let asked = Asked::default();
        let again = |row: i64, rows: usize, columns: usize| {
            let region = Region::new(&[row, 0], Shape::new(&[rows, columns]).unwrap()).unwrap();
            asked.again(grid.span(&Window { channel: 0, channels: 1, region }).unwrap())
        };
        assert!(!again(0, 1, 6));
        assert!(again(1, 1, 6) && again(3, 1, 5));
        assert!(!again(3, 1, 4), "a piece less");
        assert!(!again(3, 2, 4), "another layer");
        assert!(!again(4, 1, 4));
        assert!(again(7, 1, 4));
        if let Some((_, at)) = &mut *lock(&asked.0) {
            *at = at.checked_sub(MOMENT).unwrap();
        }
        assert!(!again(7, 1, 4), "long ago");
    }
}
