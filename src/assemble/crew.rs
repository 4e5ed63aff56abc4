//! Work that threads share: each takes the next part when it has done one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::sys::{Crew, lock};

/// Threads for a call, the calling one among them: as many as there are tools.
#[derive(Debug)]
pub(super) struct Hands<T> {
    pub(super) crew: Arc<Crew>,
    pub(super) tools: Vec<T>,
}

/// Does all parts.
///
/// # Errors
/// The first that a part meets; other parts are done or not then.
pub(super) fn share<W: Send, T: Send>(
    hands: &mut Hands<T>,
    parts: Vec<W>,
    work: impl Fn(W, &mut T) -> Result<()> + Sync,
) -> Result<()> {
    let Hands { crew, tools } = hands;
    if tools.is_empty() {
        return Err(Error::internal("work for nobody"));
    }
    let helpers = parts.len().min(tools.len()).saturating_sub(1);
    let (parts, tools) = (Mutex::new(parts.into_iter()), Mutex::new(tools.iter_mut()));
    let failed = Mutex::new(None);
    let next = || lock(&parts).next();
    let serve = || {
        let Some(tool) = lock(&tools).next() else { return };
        let all = AssertUnwindSafe(|| {
            while let Some(part) = next() {
                work(part, tool)?;
            }
            Ok(())
        });
        let panicked = |payload: Box<dyn std::any::Any + Send>| {
            Err(Error::panicked("while it worked on a prediction", payload.as_ref()))
        };
        if let Err(error) = catch_unwind(all).unwrap_or_else(panicked) {
            lock(&failed).get_or_insert(error);
        }
    };
    crew.run(helpers, &serve);
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_by_any_number_of_threads() {
        let crew = Arc::<Crew>::default();
        for threads in [1, 2, 5] {
            let mut hands = Hands { crew: Arc::clone(&crew), tools: vec![0u64; threads] };
            let add = |part: u64, sum: &mut u64| {
                *sum += part;
                Ok(())
            };
            share(&mut hands, (0..100).collect(), add).unwrap();
            share(&mut hands, Vec::new(), add).unwrap();
            assert_eq!(hands.tools.iter().sum::<u64>(), 4950);
        }
        assert!(share(&mut Hands { crew, tools: vec![] }, vec![1], |_: i32, (): &mut ()| Ok(())).is_err());
    }

    #[test]
    fn what_a_part_meets_is_told() {
        let crew = Arc::<Crew>::default();
        for threads in 1..4 {
            let mut hands = Hands { crew: Arc::clone(&crew), tools: vec![(); threads] };
            let fail = |part: u64, (): &mut ()| {
                if part == 7 { Err(Error::internal("seven")) } else { Ok(()) }
            };
            let error = share(&mut hands, (0..9).collect(), fail).unwrap_err();
            assert!(error.to_string().contains("seven"));
            let panics = |part: u64, (): &mut ()| {
                assert!(part != 3, "three");
                Ok(())
            };
            let error = share(&mut hands, (0..9).collect(), panics).unwrap_err();
            assert!(error.to_string().contains("three"), "{error}");
        }
    }
}
