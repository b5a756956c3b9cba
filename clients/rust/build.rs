//! Registers schema.graphql with cynic.
//!
//! cynic checks every type of `src/graphql.rs` against it.

fn main() {
    cynic_codegen::register_schema("rookery")
        .from_sdl_file("../../schema.graphql")
        .expect("read schema.graphql")
        .as_default()
        .expect("register schema.graphql");
}
