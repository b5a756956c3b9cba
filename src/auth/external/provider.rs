//! Requests to a provider: its metadata and its keys.
//!
//! OpenID Connect Discovery 1.0 says where they are.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::time::timeout;

use super::keys::KeySet;
use crate::config::is_authentic;

/// Timeout of one request to the provider.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Largest answer of the provider in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The provider, and a client for its answers.
pub struct Provider {
    issuer: String,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl Provider {
    /// A provider whose certificate a public authority has signed, or one in `ca_file`.
    ///
    /// # Errors
    /// When the file cannot be read or has no certificate.
    pub fn new(issuer: &str, ca_file: &str) -> Result<Self> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if !ca_file.is_empty() {
            let cannot_read = || format!("cannot read the certificates in {ca_file}");
            let certificates = CertificateDer::pem_file_iter(ca_file).with_context(cannot_read)?;
            let count = roots.len();
            for certificate in certificates {
                roots.add(certificate.with_context(cannot_read)?).with_context(cannot_read)?;
            }
            ensure!(roots.len() > count, "there is no certificate in {ca_file}");
        }
        let crypto = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(crypto).with_safe_default_protocol_versions();
        let tls = tls?.with_root_certificates(roots).with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
        // Keys are fetched so rarely that no connection stays open.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector.build());
        Ok(Self { issuer: issuer.to_owned(), client })
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Fetches the current keys.
    ///
    /// # Errors
    /// When the provider does not answer in time, answers with an error, or is another issuer.
    pub async fn fetch_keys(&self) -> Result<KeySet> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            jwks_uri: String,
        }
        let base = self.issuer.strip_suffix('/').unwrap_or(&self.issuer);
        let metadata = self.get(&format!("{base}/.well-known/openid-configuration")).await?;
        let metadata: Metadata =
            serde_json::from_slice(&metadata).context("the metadata cannot be read")?;
        let Metadata { issuer, jwks_uri } = metadata;
        ensure!(issuer == self.issuer, "the metadata are those of the issuer '{issuer}'");
        let keys = KeySet::parse(&self.get(&jwks_uri).await?);
        let keys = keys.with_context(|| format!("the keys at {jwks_uri} cannot be read"))?;
        ensure!(keys.len() > 0, "{jwks_uri} has no key for signatures");
        Ok(keys)
    }

    /// Reads a document. Redirects are not followed.
    async fn get(&self, url: &str) -> Result<Bytes> {
        let uri: Uri = url.parse().with_context(|| format!("'{url}' is not a URL"))?;
        ensure!(is_authentic(&uri), "{url} is not an https URL");
        let answer = async {
            let response = self.client.get(uri).await?;
            let status = response.status();
            ensure!(status == StatusCode::OK, "status {status}");
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            Ok::<_, anyhow::Error>(body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes())
        };
        let answer = timeout(REQUEST_TIMEOUT, answer).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in time")));
        answer.with_context(|| format!("cannot read {url}"))
    }
}
