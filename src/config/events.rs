//! Options of live updates.

use clap::Args;

/// Storage of events.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Live updates")]
pub struct EventsConfig {
    /// Seconds that events are kept for subscribers that resume, 1 to 604800
    ///
    /// A subscriber that resumes later receives `StreamLagged` and reads its page again.
    #[arg(long, env = "ROOKERY_EVENT_RETENTION", default_value_t = 3600, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=604_800))]
    pub event_retention: u64,
}
