//! Reads the schema, against which every type of `src/graphql.rs` is checked.

fn main() {
    cynic_codegen::register_schema("rookery")
        .from_sdl_file("../../schema.graphql")
        .expect("schema.graphql is read")
        .as_default()
        .expect("schema.graphql is kept");
}
