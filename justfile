# Recipes for working on Rookery; `just` lists them.

default:
    @just --list

# Serve with demo data
run:
    cargo run --release -- --demo

# Everything the tests cover
test:
    cargo test --workspace

# Format, lints and documentation, as CI checks them
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- --deny warnings
    RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps

# Renew schema.graphql
schema:
    cargo run --quiet -- schema > schema.graphql

# Renew the answers beside tests/queries/*.graphql
answers:
    UPDATE_EXPECT=1 cargo test --test api queries

# Licences, advisories and sources of the dependencies (needs cargo-deny)
deny:
    cargo deny check

# Requests per second for the timeline, beside a hand-written endpoint (needs wrk and sqlite3)
bench:
    benches/run
