//! What clients may ask for, one by one and all together.

use clap::Args;

/// What a request may ask for. Whatever goes beyond is refused before it runs; the defaults let the
/// full introspection query and honest clients through.
#[derive(Args, Clone, Debug)]
pub struct Limits {
    /// Bytes of a request's body
    #[arg(long, env = "ROOKERY_MAX_BODY", default_value_t = 65_536, value_name = "BYTES")]
    pub max_body: usize,

    /// Operations in one request, as a JSON array of them; 1 for no batching
    #[arg(long, env = "ROOKERY_MAX_BATCH", default_value_t = 1, value_name = "N")]
    pub max_batch: usize,

    /// Bytes of a GraphQL document
    #[arg(long, env = "ROOKERY_MAX_DOCUMENT", default_value_t = 16_384, value_name = "BYTES")]
    pub max_document: usize,

    /// Bytes of memory, about, for documents that are kept ready for when they come again. 0 for none
    #[arg(
        long,
        env = "ROOKERY_MAX_KNOWN_DOCUMENTS",
        default_value_t = 16_777_216,
        value_name = "BYTES"
    )]
    pub max_known_documents: usize,

    /// Operations and fragments in a document
    #[arg(long, env = "ROOKERY_MAX_DEFINITIONS", default_value_t = 64, value_name = "N")]
    pub max_definitions: usize,

    /// Fields of a document, each fragment counted wherever it is spread
    #[arg(long, env = "ROOKERY_MAX_FIELDS", default_value_t = 1_000, value_name = "N")]
    pub max_fields: usize,

    /// Levels of fields
    #[arg(long, env = "ROOKERY_MAX_DEPTH", default_value_t = 16, value_name = "N")]
    pub max_depth: usize,

    /// Aliases, each fragment counted wherever it is spread
    #[arg(long, env = "ROOKERY_MAX_ALIASES", default_value_t = 30, value_name = "N")]
    pub max_aliases: usize,

    /// Fields at the root of an operation
    #[arg(long, env = "ROOKERY_MAX_ROOT_FIELDS", default_value_t = 20, value_name = "N")]
    pub max_root_fields: usize,

    /// Directives, each fragment counted wherever it is spread
    #[arg(long, env = "ROOKERY_MAX_DIRECTIVES", default_value_t = 50, value_name = "N")]
    pub max_directives: usize,

    /// Operations that run at the same time on one WebSocket
    #[arg(long, env = "ROOKERY_MAX_SOCKET_OPERATIONS", default_value_t = 100, value_name = "N")]
    pub max_socket_operations: usize,

    /// Sockets and streams of events that one user has open at the same time, on one instance
    #[arg(long, env = "ROOKERY_MAX_USER_SOCKETS", default_value_t = 32, value_name = "N")]
    pub max_user_sockets: usize,

    /// The same for all together who come from one network and are not signed in
    #[arg(long, env = "ROOKERY_MAX_NETWORK_SOCKETS", default_value_t = 128, value_name = "N")]
    pub max_network_sockets: usize,

    /// Operations that run at the same time on all sockets of one user, or of a network's who are not signed in
    #[arg(long, env = "ROOKERY_MAX_USER_OPERATIONS", default_value_t = 500, value_name = "N")]
    pub max_user_operations: usize,

    /// Cost of an operation: one for each field and four more for each post of a list, multiplied by the page sizes above
    /// it; 250 for a list without a stored count
    #[arg(long, env = "ROOKERY_MAX_COMPLEXITY", default_value_t = 50_000, value_name = "N")]
    pub max_complexity: usize,

    /// Cost of what a subscription answers to each event
    #[arg(long, env = "ROOKERY_MAX_EVENT_COMPLEXITY", default_value_t = 2_500, value_name = "N")]
    pub max_event_complexity: usize,

    /// Bytes of posts and profiles in one answer
    #[arg(long, env = "ROOKERY_MAX_ANSWER", default_value_t = 8_388_608, value_name = "BYTES")]
    pub max_answer: usize,

    /// Bytes of all answers together until they are sent, half of them to one network; more fail with UNAVAILABLE, status
    /// 503. Answers with less than 64 KiB are not counted
    #[arg(long, env = "ROOKERY_MAX_ANSWERS", default_value_t = 134_217_728, value_name = "BYTES")]
    pub max_answers: usize,

    /// Requests that are worked on at the same time, half of them from one network. More wait for up to a second, and when
    /// there are too many for longer, for 50 milliseconds; then they are answered with UNAVAILABLE, status 503
    #[arg(long, env = "ROOKERY_MAX_REQUESTS", default_value_t = 64, value_name = "N",
          value_parser = at_least_one)]
    pub max_requests: usize,

    /// Connections that are open at the same time; more wait until one is closed
    #[arg(long, env = "ROOKERY_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "N",
          value_parser = at_least_one)]
    pub max_connections: usize,

    /// Connections from one network that are open at the same time; more are closed at once. Those of trusted proxies are
    /// not counted
    #[arg(long, env = "ROOKERY_MAX_NETWORK_CONNECTIONS", default_value_t = 1_000, value_name = "N",
          value_parser = at_least_one)]
    pub max_network_connections: usize,

    /// Cost of all operations in a minute of those who come from one network and are not signed in; 0 for no limit.
    /// More fail with `RATE_LIMITED`, status 429. A network is an IPv4 address or the /64 of an IPv6 address
    #[arg(long, env = "ROOKERY_RATE_NETWORK", default_value_t = 500_000, value_name = "COST")]
    pub rate_network: u32,

    /// The same for one user, wherever they are signed in
    #[arg(long, env = "ROOKERY_RATE_USER", default_value_t = 1_000_000, value_name = "COST")]
    pub rate_user: u32,

    /// Users whom one user may follow; 0 for no limit. More are answered with `FOLLOW_LIMIT_REACHED`
    #[arg(long, env = "ROOKERY_MAX_FOLLOWING", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(i32).range(0..))]
    pub max_following: i32,

    /// The same for one day in UTC, whether or not they are unfollowed again
    #[arg(long, env = "ROOKERY_MAX_FOLLOWS_A_DAY", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(i32).range(0..))]
    pub max_follows_a_day: i32,

    /// Attempts in a minute, from one network, to register, to log in, to prove a password or to change an e-mail
    /// address, and five times as many at one account from everywhere; 0 for no limit. More are answered with
    /// `TOO_MANY_REQUESTS`
    #[arg(long, env = "ROOKERY_RATE_ATTEMPTS", default_value_t = 60, value_name = "N")]
    pub rate_attempts: u32,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| "give a number from 1 to 1000000".to_owned())
}
