//! From a bearer token to the viewer.
//!
//! A token is one of Rookery's, or one of the identity provider. Either is found by its hash, in
//! one statement. A token of the provider that is not found is verified, and opens a session.

use super::engine::GraphqlEngine;
use crate::auth::{Client, TokenIssuer, Viewer, invalid_token, is_jwt};
use crate::database::Snapshot;
use crate::domain;
use crate::error::Error;

/// Finds the viewer of the value of the header `Authorization`.
///
/// # Errors
/// [`Error::Unauthenticated`] when the token is not valid; [`Error::Unavailable`] when the keys of
/// the identity provider cannot be fetched; any error of the database.
pub async fn verify(
    engine: &GraphqlEngine,
    snapshot: &Snapshot,
    authorization: &str,
    client: &Client,
) -> Result<Viewer, Error> {
    let malformed = Error::Unauthenticated("Authorization must read 'Bearer <token>'.");
    let (scheme, token) = authorization.split_once(' ').ok_or(malformed.clone())?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(malformed);
    }
    let token = token.trim();
    let viewer = match &engine.token_issuer {
        Some(issuer) if is_jwt(token) => {
            let external = ExternalSignIn { engine, issuer, snapshot, client };
            external.authenticate(token).await?
        }
        _ => Viewer::authenticate(snapshot, token).await?,
    };
    engine.activity.record(&viewer);
    Ok(viewer)
}

/// The authentication of a request with a token of the identity provider.
struct ExternalSignIn<'a> {
    engine: &'a GraphqlEngine,
    issuer: &'a TokenIssuer,
    snapshot: &'a Snapshot,
    client: &'a Client,
}

impl ExternalSignIn<'_> {
    /// Finds the session of the token. Opens it if the token is new and valid.
    async fn authenticate(&self, token: &str) -> Result<Viewer, Error> {
        if let Some(viewer) = Viewer::of_external_token(self.snapshot, token).await? {
            return Ok(viewer);
        }
        // No connection is held while keys are fetched and the session is opened.
        self.snapshot.reset().await;
        let user = self.issuer.verify(token).await?;
        let services = self.engine.services.with_database(self.snapshot.database());
        domain::identity::sign_in(&services, &user, token, self.client).await?;
        Viewer::of_external_token(self.snapshot, token).await?.ok_or_else(invalid_token)
    }
}
