# Recipes for developers of Rookery. `just` lists them.

default:
    @just --list

# Serve an SQLite database with demo data
run:
    cargo run --release -- --demo

# Run all tests on SQLite
test:
    cargo test --workspace

# Check format, lints and documentation, as CI does
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps

# Write schema.graphql
schema:
    cargo run --quiet -- schema > target/schema.graphql
    mv target/schema.graphql schema.graphql

# Update the expected responses beside tests/queries/*.graphql
responses:
    UPDATE_EXPECT=1 cargo test --test api queries

# Check licences, advisories and sources of the dependencies (needs cargo-deny)
deny:
    cargo deny check

# Run the in-process benchmarks (the first run seeds a graph of 1.1 GB)
bench:
    cargo bench -p rookery-benches

# Run the load tests, beside baselines and other servers (see benches/load/run --help)
load *OPTIONS:
    benches/load/run {{OPTIONS}}

# Measure likes, timelines, search, mentions, notifications and deletions
conversations *OPTIONS:
    cargo build --release --locked
    benches/conversations/run target/release/rookery {{OPTIONS}}

# Run all torture tests, about 30 minutes (needs PostgreSQL, sqlite3, a C compiler, pip)
torture POSTGRES="postgres://postgres@127.0.0.1:5432":
    cargo build --release --locked
    .ci/torture/run target/release/rookery {{POSTGRES}} --long
