//! Options that bound what clients may use, each client alone and all together.

use clap::Args;

/// Limits of requests, connections, streams and rates.
///
/// The defaults admit the full introspection query and the operations of ordinary frontends. The
/// limits of a document and its operations are checked before execution.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Maximum size of a request body in bytes
    #[arg(long, env = "ROOKERY_MAX_BODY_BYTES", default_value_t = 65_536, value_name = "BYTES")]
    pub max_body_bytes: usize,

    /// Maximum number of operations in a batched request; 1 disables batching
    ///
    /// A batch is a JSON array of requests.
    #[arg(long, env = "ROOKERY_MAX_BATCH", default_value_t = 1, value_name = "N")]
    pub max_batch: usize,

    /// Maximum size of a GraphQL document in bytes
    #[arg(
        long,
        env = "ROOKERY_MAX_DOCUMENT_BYTES",
        default_value_t = 16_384,
        value_name = "BYTES"
    )]
    pub max_document_bytes: usize,

    /// Maximum number of operations and fragments in a document
    #[arg(long, env = "ROOKERY_MAX_DEFINITIONS", default_value_t = 64, value_name = "N")]
    pub max_definitions: usize,

    /// Maximum number of fields, fragment spreads and inline fragments of an operation
    ///
    /// A fragment counts at each spread.
    #[arg(long, env = "ROOKERY_MAX_FIELDS", default_value_t = 1_000, value_name = "N")]
    pub max_fields: usize,

    /// Maximum depth of nested fields
    #[arg(long, env = "ROOKERY_MAX_DEPTH", default_value_t = 16, value_name = "N")]
    pub max_depth: usize,

    /// Maximum number of aliases of an operation; a fragment counts at each spread
    #[arg(long, env = "ROOKERY_MAX_ALIASES", default_value_t = 30, value_name = "N")]
    pub max_aliases: usize,

    /// Maximum number of root fields of an operation
    #[arg(long, env = "ROOKERY_MAX_ROOT_FIELDS", default_value_t = 20, value_name = "N")]
    pub max_root_fields: usize,

    /// Maximum number of directives of an operation; a fragment counts at each spread
    #[arg(long, env = "ROOKERY_MAX_DIRECTIVES", default_value_t = 50, value_name = "N")]
    pub max_directives: usize,

    /// Maximum cost of a query or mutation
    ///
    /// An operation over the limit fails with `QUERY_TOO_COMPLEX`. A field costs 1. A post of a
    /// list costs 4 more. A list multiplies the cost of its entries by the page size. A list
    /// without a stored count costs 250 more.
    #[arg(long, env = "ROOKERY_MAX_COMPLEXITY", default_value_t = 50_000, value_name = "COST")]
    pub max_complexity: usize,

    /// Maximum cost of the response to one event of a subscription
    #[arg(
        long,
        env = "ROOKERY_MAX_EVENT_COMPLEXITY",
        default_value_t = 2_500,
        value_name = "COST"
    )]
    pub max_event_complexity: usize,

    /// Maximum number of rows that the statements of an operation look up
    ///
    /// An operation over the limit fails with `QUERY_TOO_COMPLEX` before the statement that would
    /// exceed it. A page looks up its rows. A timeline looks up the newest post of each followed
    /// user, again for each cursor, and a page for each of its authors. Each row costs a point of
    /// the rate limit. A user who follows about as many users cannot page a timeline.
    #[arg(long, env = "ROOKERY_MAX_WORK", default_value_t = 100_000, value_name = "ROWS")]
    pub max_work: usize,

    /// Maximum text of posts and profiles in one response, in bytes
    ///
    /// A response over the limit fails with `QUERY_TOO_COMPLEX`.
    #[arg(
        long,
        env = "ROOKERY_MAX_RESPONSE_TEXT_BYTES",
        default_value_t = 8_388_608,
        value_name = "BYTES"
    )]
    pub max_response_text_bytes: usize,

    /// Memory for response bodies that are not yet sent, in bytes
    ///
    /// A query over the limit fails with `UNAVAILABLE` (503), and a subscription ends with it. One
    /// client network may use at most half.
    #[arg(
        long,
        env = "ROOKERY_RESPONSE_MEMORY_BYTES",
        default_value_t = 134_217_728,
        value_name = "BYTES"
    )]
    pub response_memory_bytes: usize,

    /// Maximum number of requests executed concurrently, 1 to 1000000
    ///
    /// They are shared fairly: when all are in use, the next one goes to the client network that
    /// has the fewest, and networks that have fewer than 6 share a reserve of a quarter more.
    /// Excess requests queue for up to 1 s (50 ms for a client network under sustained overload)
    /// and then fail with `UNAVAILABLE` (503).
    #[arg(long, env = "ROOKERY_MAX_CONCURRENT_REQUESTS", default_value_t = 128, value_name = "N",
          value_parser = parse_at_least_one)]
    pub max_concurrent_requests: usize,

    /// Maximum number of open connections, 1 to 1000000
    ///
    /// Further connections wait in the system's queue until one is closed.
    #[arg(long, env = "ROOKERY_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "N",
          value_parser = parse_at_least_one)]
    pub max_connections: usize,

    /// Maximum number of open connections from one client network, 1 to 1000000
    ///
    /// Further connections are closed at once. Connections from trusted proxies are not counted.
    #[arg(long, env = "ROOKERY_MAX_CONNECTIONS_PER_NETWORK", default_value_t = 1_000,
          value_name = "N", value_parser = parse_at_least_one)]
    pub max_connections_per_network: usize,

    /// Maximum number of WebSockets and event streams of one user on one instance
    #[arg(long, env = "ROOKERY_MAX_STREAMS_PER_USER", default_value_t = 32, value_name = "N")]
    pub max_streams_per_user: usize,

    /// Maximum number of streams of the anonymous clients of one client network
    ///
    /// Streams are WebSockets and event streams.
    #[arg(
        long,
        env = "ROOKERY_MAX_ANONYMOUS_STREAMS_PER_NETWORK",
        default_value_t = 128,
        value_name = "N"
    )]
    pub max_anonymous_streams_per_network: usize,

    /// Maximum number of WebSockets and event streams of all clients of one network
    #[arg(
        long,
        env = "ROOKERY_MAX_STREAMS_PER_NETWORK",
        default_value_t = 1_000,
        value_name = "N"
    )]
    pub max_streams_per_network: usize,

    /// Maximum number of WebSockets and event streams on the instance
    #[arg(long, env = "ROOKERY_MAX_STREAMS", default_value_t = 10_000, value_name = "N")]
    pub max_streams: usize,

    /// Maximum number of concurrent operations on one WebSocket
    #[arg(
        long,
        env = "ROOKERY_MAX_OPERATIONS_PER_SOCKET",
        default_value_t = 100,
        value_name = "N"
    )]
    pub max_operations_per_socket: usize,

    /// Maximum number of concurrent operations on all WebSockets of one user
    ///
    /// The anonymous clients of one client network share the same maximum.
    #[arg(
        long,
        env = "ROOKERY_MAX_STREAM_OPERATIONS_PER_USER",
        default_value_t = 500,
        value_name = "N"
    )]
    pub max_stream_operations_per_user: usize,

    /// Maximum number of concurrent operations on all WebSockets of one client network
    #[arg(
        long,
        env = "ROOKERY_MAX_STREAM_OPERATIONS_PER_NETWORK",
        default_value_t = 5_000,
        value_name = "N"
    )]
    pub max_stream_operations_per_network: usize,

    /// Maximum number of concurrent operations on all WebSockets of the instance
    #[arg(long, env = "ROOKERY_MAX_STREAM_OPERATIONS", default_value_t = 50_000, value_name = "N")]
    pub max_stream_operations: usize,

    /// Protocol messages of one WebSocket per minute; 0 disables the limit
    ///
    /// They are pings, pongs and `complete` messages, and the frames of the same names. A message
    /// counts once more for each KiB. The WebSocket is closed with 1008 when it exceeds the limit.
    #[arg(
        long,
        env = "ROOKERY_MAX_SOCKET_MESSAGES_PER_MINUTE",
        default_value_t = 1_200,
        value_name = "N"
    )]
    pub max_socket_messages_per_minute: u32,

    /// Rate limit of one client network, in cost points per minute; 0 disables it
    ///
    /// The anonymous clients of a client network share the limit. A request over the limit fails
    /// with `RATE_LIMITED` (429). A client network is an IPv4 address or an IPv6 /56.
    #[arg(
        long,
        env = "ROOKERY_RATE_LIMIT_PER_NETWORK",
        default_value_t = 500_000,
        value_name = "COST"
    )]
    pub rate_limit_per_network: u32,

    /// Rate limit of a signed-in user, in cost points per minute; 0 disables it
    ///
    /// A request over the limit fails with `RATE_LIMITED` (429).
    #[arg(
        long,
        env = "ROOKERY_RATE_LIMIT_PER_USER",
        default_value_t = 1_000_000,
        value_name = "COST"
    )]
    pub rate_limit_per_user: u32,

    /// Credential attempts per minute from one client network; 0 disables the limit
    ///
    /// Attempts are registration, login, proof of a password, change and verification of an e-mail
    /// address, and reset of a password. One account may receive five times as many from all
    /// networks. An attempt over a limit fails with `TOO_MANY_REQUESTS`.
    #[arg(
        long,
        env = "ROOKERY_CREDENTIAL_ATTEMPTS_PER_MINUTE",
        default_value_t = 60,
        value_name = "N"
    )]
    pub credential_attempts_per_minute: u32,

    /// Maximum number of users that one user follows; 0 disables the limit
    ///
    /// A follow over the limit fails with `FOLLOW_LIMIT_REACHED`.
    #[arg(long, env = "ROOKERY_MAX_FOLLOWING", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(i32).range(0..))]
    pub max_following: i32,

    /// Maximum number of follows by one user on one day in UTC; 0 disables the limit
    ///
    /// Follows that are undone count too. A follow over the limit fails with
    /// `FOLLOW_LIMIT_REACHED`.
    #[arg(long, env = "ROOKERY_MAX_FOLLOWS_PER_DAY", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(i32).range(0..))]
    pub max_follows_per_day: i32,

    /// Maximum number of posts and edits of a user per day; 0 disables the limit
    ///
    /// Days are in UTC. Deleted posts count too. A post over the limit fails with
    /// `TOO_MANY_REQUESTS`.
    #[arg(long, env = "ROOKERY_MAX_POSTS_PER_DAY", default_value_t = 1_000, value_name = "N",
          value_parser = clap::value_parser!(i32).range(0..))]
    pub max_posts_per_day: i32,

    /// Maximum bytes of posts and edits of a user per day; 0 disables the limit
    ///
    /// Days are in UTC. A post over the limit fails with `TOO_MANY_REQUESTS`.
    #[arg(long, env = "ROOKERY_MAX_POST_BYTES_PER_DAY", default_value_t = 4_194_304,
          value_name = "BYTES", value_parser = clap::value_parser!(i64).range(0..))]
    pub max_post_bytes_per_day: i64,
}

fn parse_at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1_000_000).contains(number));
    number.ok_or_else(|| "expected a number from 1 to 1000000".to_owned())
}
