//! Options of accounts: registration, sessions and password hashing.

use clap::Args;
use clap::builder::FalseyValueParser;

/// Registration, sessions and passwords.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Accounts")]
pub struct AccountsConfig {
    /// Who may register: 'open' for all, 'invite' with an invite's code, or 'closed'
    ///
    /// `rookery invite create` creates invites. Where registration is closed, it fails with
    /// `FORBIDDEN`.
    #[arg(long, env = "ROOKERY_REGISTRATION", default_value = "open", value_name = "MODE",
          value_parser = parse_registration)]
    pub registration: Registration,

    /// File of usernames that no user may choose, one on each line
    ///
    /// They are reserved in addition to a built-in list, which `docs/identity.md` has. Lines that
    /// start with # are ignored.
    #[arg(long, env = "ROOKERY_RESERVED_NAMES", default_value = "", value_name = "FILE")]
    pub reserved_names: String,

    /// Days until a session's bearer token expires, 1 to 3650
    #[arg(long, env = "ROOKERY_SESSION_DAYS", default_value_t = 30, value_name = "DAYS",
          value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub session_days: u16,

    /// Lowest score of a new password, 0 to 4; 0 accepts all
    ///
    /// The scores are those of zxcvbn: less than 10³, 10⁶, 10⁸ and 10¹⁰ guesses, and more. The
    /// default refuses common passwords and their variants. Existing passwords are not checked.
    #[arg(long, env = "ROOKERY_MIN_PASSWORD_SCORE", default_value_t = 2, value_name = "SCORE",
          value_parser = clap::value_parser!(u8).range(0..=4))]
    pub min_password_score: u8,

    /// Memory for one argon2id hash in KiB
    ///
    /// The default follows the OWASP Password Storage Cheat Sheet.
    #[arg(long, env = "ROOKERY_ARGON2_MEMORY_KIB", default_value_t = 19_456, value_name = "KIB")]
    pub argon2_memory_kib: u32,

    /// Number of argon2id iterations
    #[arg(long, env = "ROOKERY_ARGON2_ITERATIONS", default_value_t = 2, value_name = "N")]
    pub argon2_iterations: u32,

    /// Maximum number of password hashes computed concurrently, 1 to 255, or 'auto'
    ///
    /// 'auto' is half of the CPU cores, so that the other half serves signed-in clients. For each
    /// concurrent hash 16 more may queue; further ones fail with `TOO_MANY_REQUESTS`.
    #[arg(long, env = "ROOKERY_MAX_CONCURRENT_HASHES", default_value = "auto", value_name = "N",
          value_parser = parse_hash_concurrency)]
    pub max_concurrent_hashes: usize,

    /// Refuse writes of users whose e-mail address is not verified
    ///
    /// They fail with `EMAIL_NOT_VERIFIED`. Mutations for the account itself are possible. It needs
    /// mail.
    #[arg(long, env = "ROOKERY_REQUIRE_VERIFIED_EMAIL", value_parser = FalseyValueParser::new())]
    pub require_verified_email: bool,
}

fn parse_hash_concurrency(text: &str) -> Result<usize, String> {
    if text == "auto" {
        return Ok(std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)));
    }
    let number = text.parse().ok().filter(|number| (1..=255).contains(number));
    number.ok_or_else(|| "expected a number from 1 to 255, or 'auto'".to_owned())
}

/// Who may register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    Open,
    Invite,
    Closed,
}

fn parse_registration(text: &str) -> Result<Registration, String> {
    match text {
        "open" => Ok(Registration::Open),
        "invite" => Ok(Registration::Invite),
        "closed" => Ok(Registration::Closed),
        _ => Err("expected 'open', 'invite' or 'closed'".to_owned()),
    }
}
