//! Retries of an operation that failed for a transient reason.

/// Runs `operation`, and repeats it when it fails for a transient reason.
///
/// It is attempted at most `max_attempts` times. `delay` is awaited before each further attempt,
/// with the number of attempts so far.
///
/// # Errors
/// The error of the last attempt.
pub async fn with_retries<T, E, F, D>(
    max_attempts: u32,
    is_transient: impl Fn(&E) -> bool,
    delay: impl Fn(u32) -> D,
    operation: impl Fn() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    D: Future<Output = ()>,
{
    let mut attempt = 1;
    loop {
        let result = operation().await;
        match &result {
            Err(error) if attempt < max_attempts && is_transient(error) => {
                delay(attempt).await;
                attempt += 1;
            }
            _ => return result,
        }
    }
}

/// No delay between attempts.
pub fn immediately(_attempt: u32) -> std::future::Ready<()> {
    std::future::ready(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn transient_errors_are_retried_until_the_last_attempt() {
        for (failures, expected, attempts) in [(0, Ok(1), 1), (2, Ok(3), 3), (9, Err(3), 3)] {
            let attempted = Cell::new(0);
            let operation = || {
                attempted.set(attempted.get() + 1);
                let attempt = attempted.get();
                async move { if attempt > failures { Ok(attempt) } else { Err(attempt) } }
            };
            assert_eq!(with_retries(3, |_| true, immediately, operation).await, expected);
            assert_eq!(attempted.get(), attempts);
        }
    }

    #[tokio::test]
    async fn other_errors_are_not_retried() {
        let attempted = Cell::new(0);
        let operation = || {
            attempted.set(attempted.get() + 1);
            async { Err::<(), _>("permanent") }
        };
        let result = with_retries(3, |error| *error == "transient", immediately, operation).await;
        assert_eq!((result, attempted.get()), (Err("permanent"), 1));
    }
}
