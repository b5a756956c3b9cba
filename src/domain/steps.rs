//! Writes in several transactions.
//!
//! A write that can concern any number of rows is a sequence of steps, each of which changes a
//! bounded number of rows in a transaction of its own.

use std::time::Duration;

use crate::error::Error;
use crate::retry::with_retries;

/// How often a step is attempted while it conflicts with other writes.
const MAX_ATTEMPTS: u32 = 10;
/// Maximum of the random delay before the second attempt.
///
/// It doubles for each further attempt, up to 32 times this value.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(4);

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Rows were changed, and others may be left.
    Partial,
    /// The write is complete.
    Last(T),
}

/// Runs steps until the last, whose result it returns.
///
/// `step` is called with `false` the first time, and with `true` when rows were changed. A conflict
/// of the first step is the error of the write, which can be called again. Conflicts of later steps
/// are retried here.
///
/// # Errors
/// Any error of a step. After the first step, [`Error::OutcomeUnknown`] replaces the errors that
/// mean that nothing was changed.
pub async fn run_steps<T, F>(step: impl Fn(bool) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<Step<T>, Error>>,
{
    let is_conflict = |error: &Error| *error == Error::Conflict;
    let mut has_begun = false;
    loop {
        let attempts = if has_begun { MAX_ATTEMPTS } else { 1 };
        match with_retries(attempts, is_conflict, retry_delay, || step(has_begun)).await {
            Ok(Step::Partial) => has_begun = true,
            Ok(Step::Last(result)) => return Ok(result),
            Err(Error::Conflict | Error::Unavailable | Error::Timeout | Error::StorageReadOnly)
                if has_begun =>
            {
                return Err(Error::OutcomeUnknown);
            }
            Err(error) => return Err(error),
        }
    }
}

/// A random delay, so that the same writes do not conflict again.
fn retry_delay(attempt: u32) -> tokio::time::Sleep {
    let max = FIRST_RETRY_DELAY * 2u32.pow(attempt.min(6) - 1);
    tokio::time::sleep(max.mul_f32(rand::random()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Runs steps with these results, from the first to the last.
    async fn run(results: &[Result<Step<u8>, Error>]) -> Result<u8, Error> {
        let rest = RefCell::new(results.to_vec());
        let next = |has_begun| {
            let is_first =
                !results[..results.len() - rest.borrow().len()].contains(&Ok(Step::Partial));
            assert_eq!(has_begun, !is_first);
            std::future::ready(rest.borrow_mut().remove(0))
        };
        let result = run_steps(next).await;
        assert!(rest.borrow().is_empty(), "all steps were run");
        result
    }

    #[tokio::test(start_paused = true)]
    async fn steps_run_until_the_last_and_later_conflicts_are_repeated() {
        use Step::{Last, Partial};
        assert_eq!(run(&[Ok(Last(1))]).await, Ok(1));
        assert_eq!(run(&[Ok(Partial), Ok(Partial), Ok(Last(2))]).await, Ok(2));
        assert_eq!(run(&[Err(Error::Conflict)]).await, Err(Error::Conflict), "nothing was changed");
        let conflict = Err(Error::Conflict);
        assert_eq!(run(&[Ok(Partial), conflict.clone(), conflict, Ok(Last(3))]).await, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn errors_after_the_first_step_do_not_say_that_nothing_was_changed() {
        for error in [Error::Unavailable, Error::Timeout, Error::StorageReadOnly] {
            assert_eq!(run(&[Err(error.clone())]).await, Err(error.clone()));
            let begun = [Ok(Step::Partial), Err(error)];
            assert_eq!(run(&begun).await, Err(Error::OutcomeUnknown));
        }
        let gone = Error::account_changed();
        assert_eq!(run(&[Ok(Step::Partial), Err(gone.clone())]).await, Err(gone));
    }
}
