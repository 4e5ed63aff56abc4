//! Work that threads share: each takes the next part when it has done one.

use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

use crate::error::{Error, Result};

/// Does all parts, on as many threads as there are tools, the calling one among them.
///
/// The others begin here and end here: a caller that adds nothing has none, and a process that forks meanwhile
/// loses no more than the call that was under way. Where none can be started the calling thread does it all.
///
/// # Errors
/// The first that a part meets; other parts are done or not then.
pub(super) fn share<W: Send, S: Send>(
    parts: Vec<W>,
    tools: &mut [S],
    work: impl Fn(W, &mut S) -> Result<()> + Sync,
) -> Result<()> {
    let Some((own, others)) = tools.split_first_mut() else {
        return Err(Error::internal("work for nobody"));
    };
    let most = parts.len().saturating_sub(1);
    let parts = Mutex::new(parts.into_iter());
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let serve = |tool: &mut S| {
        while let Some(part) = next() {
            work(part, tool)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let begin =
            |tool| Builder::new().name("voxfeed-add".to_owned()).spawn_scoped(scope, || serve(tool)).ok();
        let helpers: Vec<_> = others.iter_mut().take(most).map_while(begin).collect();
        let mut served = serve(own);
        for helper in helpers {
            let panicked = |payload: Box<dyn std::any::Any + Send>| {
                Err(Error::panicked("while it added a prediction", payload.as_ref()))
            };
            served = served.and(helper.join().unwrap_or_else(panicked));
        }
        served
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_by_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let mut sums = vec![0u64; threads];
            let add = |part: u64, sum: &mut u64| {
                *sum += part;
                Ok(())
            };
            share((0..100).collect(), &mut sums, add).unwrap();
            assert_eq!(sums.iter().sum::<u64>(), 4950);
            share(Vec::new(), &mut sums, add).unwrap();
            assert_eq!(sums.iter().sum::<u64>(), 4950);
        }
    }

    #[test]
    fn what_a_part_meets_is_told() {
        let fail = |part: u64, (): &mut ()| {
            if part == 7 { Err(Error::internal("seven")) } else { Ok(()) }
        };
        let error = share((0..9).collect(), &mut [(), ()], fail).unwrap_err();
        assert!(error.to_string().contains("seven"));
    }
}
