//! Options of external identity: the OpenID Connect provider and its claims.

use std::net::IpAddr;

use axum::http::Uri;
use clap::{Args, ValueEnum};

/// The identity provider, the claims of its tokens, and Rookery's own login.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "External identity")]
pub struct IdentityConfig {
    /// URL of the OpenID Connect provider whose tokens are accepted
    ///
    /// It must equal the claim `iss` of the tokens. The keys are found through
    /// `/.well-known/openid-configuration` below it. By default no provider is trusted.
    #[arg(long, env = "ROOKERY_OIDC_ISSUER", default_value = "", value_name = "URL",
          value_parser = parse_issuer)]
    pub oidc_issuer: String,

    /// Audience that the tokens of the provider must name in the claim `aud`
    ///
    /// It is required with `--oidc-issuer`.
    #[arg(long, env = "ROOKERY_OIDC_AUDIENCE", default_value = "", value_name = "AUDIENCE")]
    pub oidc_audience: String,

    /// Claim from which the username of a new user is made
    ///
    /// Characters that usernames cannot have are replaced. A username that is taken gets a suffix.
    #[arg(
        long,
        env = "ROOKERY_OIDC_USERNAME_CLAIM",
        default_value = "preferred_username",
        value_name = "CLAIM"
    )]
    pub oidc_username_claim: String,

    /// Claim from which the display name of a new user is taken
    #[arg(
        long,
        env = "ROOKERY_OIDC_DISPLAY_NAME_CLAIM",
        default_value = "name",
        value_name = "CLAIM"
    )]
    pub oidc_display_name_claim: String,

    /// Claim from which the e-mail address of a new user is taken
    ///
    /// It is not taken if the claim `email_verified` is false or another user has the address.
    #[arg(long, env = "ROOKERY_OIDC_EMAIL_CLAIM", default_value = "email", value_name = "CLAIM")]
    pub oidc_email_claim: String,

    /// File with certificates (PEM) of authorities to trust for the provider
    ///
    /// They are trusted in addition to the public authorities.
    #[arg(long, env = "ROOKERY_OIDC_CA_FILE", default_value = "", value_name = "FILE")]
    pub oidc_ca_file: String,

    /// Whether users register and log in with a password of their own
    ///
    /// With 'off', `register`, `login` and `changePassword` fail with `PASSWORD_LOGIN_DISABLED`.
    #[arg(
        long,
        env = "ROOKERY_PASSWORD_LOGIN",
        default_value = "on",
        value_name = "on|off",
        hide_possible_values = true
    )]
    pub password_login: PasswordLogin,
}

/// Whether Rookery's own login is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PasswordLogin {
    On,
    Off,
}

impl IdentityConfig {
    /// Whether the tokens of a provider are accepted.
    pub fn has_provider(&self) -> bool {
        !self.oidc_issuer.is_empty()
    }
}

/// Checks the URL of a provider. An empty text is no provider.
fn parse_issuer(text: &str) -> Result<String, String> {
    let is_valid = |uri: Uri| is_authentic(&uri) && uri.query().is_none();
    if text.is_empty() || text.parse().is_ok_and(is_valid) {
        return Ok(text.to_owned());
    }
    Err("a provider has an https URL without a query; http is accepted for this machine only"
        .to_owned())
}

/// Whether an answer from this URL comes from its host.
///
/// It is read by TLS, or from the same machine.
pub fn is_authentic(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => is_local,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_read_by_tls_or_from_this_machine() {
        for accepted in [
            "",
            "https://id.example.com",
            "https://id.example.com/realms/rooks/",
            "http://127.0.0.1:8080/realm",
            "http://localhost:8080",
            "http://[::1]:8080",
        ] {
            assert_eq!(parse_issuer(accepted).as_deref(), Ok(accepted));
        }
        for refused in [
            "id.example.com",
            "http://id.example.com",
            "http://localhost.example.com",
            "ftp://id.example.com",
            "https://id.example.com/?tenant=1",
            "https://",
            "a provider",
        ] {
            assert!(parse_issuer(refused).is_err(), "{refused}");
        }
    }
}
