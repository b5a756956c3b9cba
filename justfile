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

# In process: the timeline's statement, whole requests, mutations (seeds a graph of 1.1 GB the first time)
bench:
    cargo bench -p rookery-benches

# Under load, beside hand-written endpoints and other servers (needs wrk, sqlite3, PostgreSQL; --help tells more)
load *OPTIONS:
    benches/load/run {{OPTIONS}}

# Hostile input, faults and overload, the long half (needs PostgreSQL, sqlite3, a C compiler, pip; a quarter of an hour)
torture POSTGRES="postgres://postgres@127.0.0.1:5432":
    cargo build --release --locked
    .ci/torture/run target/release/rookery {{POSTGRES}} --long
