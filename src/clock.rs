//! The time of day, protected against jumps of the system clock.
//!
//! Rows are dated by it and sessions expire by it, so an administrator or a faulty time server that
//! sets the clock days ahead would end sessions and date rows in the future. The clock of the
//! system is therefore followed only while it agrees with the time that has passed since it was
//! last read, within [`MAX_STEP`]. After a larger jump, the time continues from before the jump,
//! until the system clock agrees with it again or the process is restarted.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

/// Largest step of the system clock that is followed.
pub const MAX_STEP: TimeDelta = TimeDelta::minutes(1);

/// A clock that cannot be set, and that counts while the machine is suspended.
#[cfg(target_os = "linux")]
const ELAPSED: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const ELAPSED: ClockId = ClockId::Monotonic;

static CLOCK: LazyLock<Mutex<Clock>> = LazyLock::new(|| Mutex::new(Clock::new(read())));

/// The current time.
#[must_use]
pub fn now() -> DateTime<Utc> {
    let mut clock = CLOCK.lock();
    clock.advance(read())
}

/// The state of both clocks at one moment.
#[derive(Clone, Copy)]
struct Reading {
    system: DateTime<Utc>,
    /// Time since an unspecified start.
    elapsed: Duration,
}

fn read() -> Reading {
    let elapsed = clock_gettime(ELAPSED);
    let seconds = Duration::from_secs(elapsed.tv_sec.try_into().unwrap_or_default());
    let nanos = Duration::from_nanos(elapsed.tv_nsec.try_into().unwrap_or_default());
    Reading { system: SystemTime::now().into(), elapsed: seconds + nanos }
}

struct Clock {
    /// The last reading whose system time was followed.
    last: Reading,
    /// Whether the system clock has jumped since.
    has_jumped: bool,
}

impl Clock {
    fn new(reading: Reading) -> Self {
        Self { last: reading, has_jumped: false }
    }

    /// The time at a reading.
    fn advance(&mut self, reading: Reading) -> DateTime<Utc> {
        let passed = reading.elapsed.saturating_sub(self.last.elapsed);
        let expected = self.last.system + passed;
        let step = reading.system - expected;
        let jumps = step.abs() > MAX_STEP;
        if jumps != self.has_jumped {
            self.has_jumped = jumps;
            let (system, time, seconds) = (reading.system, expected, step.num_seconds());
            if jumps {
                tracing::error!(%system, %time, seconds, "the system clock jumped and is not \
                    followed; correct it, or restart the service to follow it");
            } else {
                tracing::info!(%system, "the system clock is followed again");
            }
        }
        if jumps {
            return expected;
        }
        self.last = reading;
        reading.system
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_are_followed_and_jumps_are_not_until_they_are_undone() {
        let start = Reading { system: SystemTime::now().into(), elapsed: Duration::from_secs(9) };
        let mut clock = Clock::new(start);
        let mut advance = |elapsed: u64, system: i64| {
            let elapsed = start.elapsed + Duration::from_secs(elapsed);
            let system = start.system + TimeDelta::seconds(system);
            (clock.advance(Reading { system, elapsed }) - start.system).num_seconds()
        };
        let day = 86_400;
        assert_eq!(advance(1, 1), 1);
        assert_eq!(advance(2, 62), 62, "a step of 60 seconds is followed");
        assert_eq!(advance(3, 3), 3, "and one back");
        assert_eq!(advance(10, 60 * day), 10, "a jump is not followed");
        assert_eq!(advance(20, 60 * day + 10), 20);
        assert_eq!(advance(30, 30), 30, "the clock was corrected");
        assert_eq!(advance(40, 45), 45);
        assert_eq!(advance(50, -day), 55, "a jump back is not followed");
        assert_eq!(advance(60 + 7 * 86_400, 60 + 7 * day), 60 + 7 * day, "after a suspension");
    }
}
