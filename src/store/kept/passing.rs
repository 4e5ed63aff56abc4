//! Parts that give way: to the budget, and in which order.

use std::sync::atomic::Ordering;

use crate::store::kept::shard::{Leaving, next};
use crate::store::kept::{Decoded, DecodedBytes, Part};
use crate::sys::lock;

impl Decoded {
    /// Notes that parts will be wanted again after all others, as those of what is read in order, epoch after epoch: where
    /// something has to give way, it is they, the last ones before the others.
    ///
    /// Of more than the budget holds the first parts so are still there when the next epoch comes to them. In the order in
    /// which they were used each would go just before it is wanted.
    pub fn pass(&self, parts: impl Iterator<Item = Part>) {
        let turn = next(&self.turns);
        let passed = parts.filter(|&part| self.shard(part).pass(part, turn)).count();
        if passed > 0 {
            self.passed.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that a part was decoded ahead of its use, up to which those that have been used are to give way first.
    pub fn await_use(&self, part: Part) {
        if let Some(entry) = self.shard(part).entries.get_mut(&part) {
            entry.used = true;
        }
    }

    /// Lets parts go until the budget holds.
    pub(super) fn trim(&self) {
        while self.is_too_much() {
            if let Some(bytes) = self.last_passed() {
                self.let_go(bytes);
                continue;
            }
            let oldest = self
                .shards
                .iter()
                .filter_map(|shard| Some((lock(shard).next_to_go(Leaving::Line, &self.turns)?, shard)));
            let Some((_, shard)) = oldest.min_by_key(|(turn, _)| *turn) else { break };
            let Some(bytes) = lock(shard).let_go(Leaving::Line, &self.turns) else { continue };
            self.let_go(bytes);
        }
    }

    /// The bytes of a part that was passed, which are no longer kept then; of the last such part, but for what other
    /// threads do meanwhile.
    fn last_passed(&self) -> Option<DecodedBytes> {
        while self.passed.load(Ordering::Relaxed) {
            let last = self
                .shards
                .iter()
                .filter_map(|shard| Some((lock(shard).next_to_go(Leaving::Passed, &self.turns)?, shard)));
            let Some((_, shard)) = last.max_by_key(|(turn, _)| *turn) else {
                // A part that is passed just now may be missed, until the next one is.
                self.passed.store(false, Ordering::Relaxed);
                break;
            };
            if let Some(bytes) = lock(shard).let_go(Leaving::Passed, &self.turns) {
                return Some(bytes);
            }
        }
        None
    }

    /// Whether the budget does not hold. What is being joined is there twice, for a moment for which nothing has to go.
    fn is_too_much(&self) -> bool {
        let byte_len = || self.byte_len.load(Ordering::Relaxed);
        if byte_len() <= self.budget() {
            return false;
        }
        let joining = lock(&self.joining);
        byte_len().saturating_sub(*joining) > self.budget()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Patience;

    fn part(number: u64) -> Part {
        Part { volume: number / 4, number }
    }

    /// Looks parts up or decodes them, and says of each whether it was kept.
    fn use_all(decoded: &Decoded, numbers: impl Iterator<Item = u64>) -> Vec<bool> {
        let use_one = |number| {
            let mut kept = true;
            let decode = |bytes: &mut [u8]| {
                kept = false;
                bytes.fill(number as u8);
                Ok(())
            };
            let bytes = decoded.get(part(number), 10, Patience::Wait, decode).unwrap().unwrap();
            assert_eq!(bytes[..], [number as u8; 10]);
            kept
        };
        numbers.map(use_one).collect()
    }

    fn records(decoded: &Decoded) -> usize {
        decoded
            .shards
            .iter()
            .map(|shard| lock(shard))
            .map(|shard| shard.line.len() + shard.passed.len())
            .sum()
    }

    #[test]
    fn what_is_read_round_and_round_is_found_as_far_as_the_budget_goes() {
        // Ten volumes of four parts, of which 24 fit.
        let decoded = Decoded::new(240);
        let mut found = [0; 40];
        for round in 0..500 {
            for volume in 0..10 {
                let parts = volume * 4..volume * 4 + 4;
                for (number, kept) in parts.clone().zip(use_all(&decoded, parts.clone())) {
                    found[number as usize] += usize::from(kept && round > 0);
                }
                decoded.pass(parts.map(part));
            }
            assert!(decoded.byte_len() <= 240);
        }
        // All that fits but one volume's worth, where the others come and go.
        assert!(found.iter().sum::<usize>() >= 499 * 20, "{found:?}");
        assert!(records(&decoded) <= 2 * (2 * 24 + 16 * 65), "{} records of 24 parts", records(&decoded));
    }

    #[test]
    fn what_is_used_after_it_was_passed_stands_in_line_again() {
        let decoded = Decoded::new(60);
        use_all(&decoded, 0..6);
        decoded.pass((0..4).map(part));
        assert_eq!(use_all(&decoded, 2..4), [true, true]);
        // Two that were passed and not used go, then the first in line.
        assert_eq!(use_all(&decoded, 6..9), [false; 3]);
        let kept = |number: &u64| decoded.is_kept(part(*number));
        assert_eq!((0..9).filter(kept).collect::<Vec<_>>(), [2, 3, 5, 6, 7, 8]);
    }

    #[test]
    fn what_is_awaited_stays_longer_than_what_has_been_used() {
        let decoded = Decoded::new(30);
        use_all(&decoded, 0..2);
        assert_eq!(use_all(&decoded, 0..2), [true, true]);
        use_all(&decoded, 2..3);
        decoded.await_use(part(2));
        decoded.await_use(part(9));
        use_all(&decoded, 3..5);
        assert_eq!(use_all(&decoded, 2..3), [true]);
    }

    #[test]
    fn threads_that_read_and_pass_at_once_see_their_own_parts_within_the_budget() {
        let decoded = Decoded::new(240);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let decoded = &decoded;
                scope.spawn(move || {
                    for step in 0..3000 {
                        let volume = (step * (2 * thread + 1) + thread) % 10;
                        use_all(decoded, volume * 4..volume * 4 + 4);
                        match step % 3 {
                            0 => decoded.pass((volume * 4..volume * 4 + 4).map(part)),
                            1 => decoded.await_use(part(volume * 4)),
                            _ => {}
                        }
                    }
                });
            }
        });
        decoded.trim();
        assert!(decoded.byte_len() <= 240, "{}", decoded.byte_len());
        let kept = (0..40).filter(|&number| decoded.is_kept(part(number))).count() as u64;
        assert_eq!(decoded.byte_len(), kept * 10);
    }

    #[test]
    fn records_of_what_has_gone_are_few() {
        let decoded = Decoded::new(30);
        for number in 0..20_000 {
            use_all(&decoded, number..number + 1);
            decoded.pass([part(number), part(number + 1), part(number)].into_iter());
        }
        assert!(records(&decoded) <= 16 * 2 * 80, "{}", records(&decoded));
        decoded.clear();
        assert_eq!((records(&decoded), decoded.byte_len()), (0, 0));
    }
}
