//! The parameters of a request, named as in the GraphQL over HTTP specification.

use async_graphql::Variables;
use serde::Deserialize;
use serde_json::Value;

/// The parameters of one operation.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphQLParams {
    pub query: Option<String>,
    /// The id of a trusted or persisted document, instead of its text.
    pub document_id: Option<String>,
    pub operation_name: Option<String>,
    pub variables: Option<Variables>,
    pub extensions: Option<Extensions>,
}

#[derive(Default, Deserialize)]
pub struct Extensions {
    #[serde(rename = "persistedQuery")]
    pub persisted: Option<PersistedQuery>,
}

/// The extension of Apollo's automatic persisted queries.
#[derive(Deserialize)]
pub struct PersistedQuery {
    #[serde(rename = "sha256Hash")]
    pub hash: String,
}

impl GraphQLParams {
    /// Reads the parameters from a JSON object.
    ///
    /// # Errors
    /// A message for the client that names the parameter at fault.
    pub fn from_json(body: Value) -> Result<Self, String> {
        let bad = |name: &str, must: &str| format!("The parameter '{name}' must be {must}.");
        let Some(fields) = body.as_object() else {
            return Err("The body must be a JSON object.".to_owned());
        };
        let is = |name: &str, has_type: fn(&Value) -> bool| {
            fields.get(name).is_none_or(|value| value.is_null() || has_type(value))
        };
        for name in ["query", "documentId", "operationName"] {
            if !is(name, Value::is_string) {
                return Err(bad(name, "a string"));
            }
        }
        for name in ["variables", "extensions"] {
            if !is(name, Value::is_object) {
                return Err(bad(name, "an object"));
            }
        }
        let params: Self = serde_json::from_value(body)
            .map_err(|_| bad("extensions", "as the extension specifies"))?;
        if params.has_document() {
            Ok(params)
        } else {
            Err("The parameters 'query' and 'documentId' are both missing.".to_owned())
        }
    }

    /// Whether a document is given, by its text or by its id.
    pub fn has_document(&self) -> bool {
        self.query.is_some() || self.document_id_or_hash().is_some()
    }

    /// The id of the document, from `documentId` or from the extension.
    pub fn document_id_or_hash(&self) -> Option<&str> {
        let extension = || Some(self.extensions.as_ref()?.persisted.as_ref()?.hash.as_str());
        self.document_id.as_deref().or_else(extension)
    }
}
