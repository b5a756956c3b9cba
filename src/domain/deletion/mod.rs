//! Deletions of posts and of accounts, in steps.
//!
//! A deletion can concern any number of rows of other users. It is therefore a sequence of
//! transactions, each of which changes a bounded number of rows: other writers wait for one step at
//! most, on SQLite for the only writer, on PostgreSQL for row locks. Each step keeps all counts
//! equal to the rows, and records its events.
//!
//! A deletion that ends early, for example by the timeout of its request or the end of the process,
//! leaves an exact database. The post or the account still exists, with fewer reactions, posts and
//! follows. It can be deleted again, and the deletion then goes on.

mod account;
mod plan;
mod post;
mod reactions;
mod rows;
mod uncounted;

use std::time::Duration;

use crate::error::Error;
use crate::retry::with_retries;

pub use account::delete_account;
pub use post::delete_post;

/// Number of rows that a step deletes, beside those that depend on them.
const STEP: i64 = 1_000;
/// How often a step is attempted while it conflicts with other writes.
const MAX_ATTEMPTS: u32 = 10;
/// Maximum of the random delay before the second attempt.
///
/// It doubles for each further attempt, up to 32 times this value.
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(4);

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// There was nothing to delete.
    Missing,
    /// Rows were deleted, and others may be left.
    Partial,
    /// The post or the account was deleted.
    Last,
}

/// Runs steps until the last. Returns whether there was anything to delete.
///
/// A conflict of the first step is the error of the deletion, which can be called again. Conflicts
/// of later steps are retried here.
///
/// # Errors
/// Any error of a step. After the first step, [`Error::OutcomeUnknown`] replaces the errors that
/// mean that nothing was changed.
async fn run_steps<F>(step: impl Fn() -> F) -> Result<bool, Error>
where
    F: Future<Output = Result<Step, Error>>,
{
    let is_conflict = |error: &Error| *error == Error::Conflict;
    let mut has_begun = false;
    loop {
        let attempts = if has_begun { MAX_ATTEMPTS } else { 1 };
        match with_retries(attempts, is_conflict, retry_delay, &step).await {
            Ok(Step::Missing) => return Ok(has_begun),
            Ok(Step::Partial) => has_begun = true,
            Ok(Step::Last) => return Ok(true),
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
    async fn run(results: &[Result<Step, Error>]) -> Result<bool, Error> {
        let rest = RefCell::new(results.to_vec());
        let next = || std::future::ready(rest.borrow_mut().remove(0));
        let result = run_steps(next).await;
        assert!(rest.borrow().is_empty(), "all steps were run");
        result
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_runs_until_the_last_step_and_repeats_later_conflicts() {
        use Step::{Last, Missing, Partial};
        assert_eq!(run(&[Ok(Missing)]).await, Ok(false));
        assert_eq!(run(&[Ok(Last)]).await, Ok(true));
        assert_eq!(run(&[Ok(Partial), Ok(Partial), Ok(Last)]).await, Ok(true));
        assert_eq!(run(&[Ok(Partial), Ok(Missing)]).await, Ok(true), "deleted by another request");
        assert_eq!(run(&[Err(Error::Conflict)]).await, Err(Error::Conflict), "nothing was changed");
        let conflict = Err(Error::Conflict);
        assert_eq!(run(&[Ok(Partial), conflict.clone(), conflict, Ok(Last)]).await, Ok(true));
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
