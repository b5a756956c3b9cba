//! From the text of a document to an operation that async-graphql executes.
//!
//! 1. [`source`] replaces what the parser does not accept although the specification does.
//! 2. [`limits`] bounds the size of the parsed document, before any step that depends on it.
//! 3. [`validation`] checks the document with apollo-compiler, and [`input`] checks the rules that
//!    it lacks. [`diagnostics`] makes the errors.
//! 4. [`operation`] selects the operation, and [`coercion`] coerces the values of the variables.
//! 5. [`collect`] makes the [`normal_form`]: it resolves fragments, `@skip` and `@include`, and
//!    merges fields, so that each object has one field for each response key.
//!
//! async-graphql executes the normal form. It neither parses nor validates a request.

mod coercion;
mod collect;
mod diagnostics;
mod input;
mod limits;
mod normal_form;
mod operation;
mod source;
mod validation;

pub use normal_form::NormalForm;
pub use operation::ValidOperation;
pub use validation::DocumentSchema;
#[cfg(test)]
pub use validation::ValidDocument;
