//! The claims of a token, and what they say about its user.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::config::IdentityConfig;

/// Difference between the clocks of the provider and of the server that is allowed.
pub const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(60);

/// Longest claim `sub` in characters, the limit of OpenID Connect.
const MAX_SUBJECT_CHARS: usize = 255;

/// A user as the provider knows them, from a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalUser {
    pub issuer: String,
    /// The id of the user at the issuer.
    pub subject: String,
    /// When the token expires, with the allowed difference between the clocks.
    pub expires_at: DateTime<Utc>,
    /// The claim for the username of a new user, which may not be a valid one.
    pub username: Option<String>,
    /// The claim for the display name, likewise.
    pub display_name: Option<String>,
    /// The claim for the address, if it is not marked as unverified, likewise.
    pub email: Option<String>,
    /// Whether the issuer says that the user receives mails at the address.
    pub email_verified: bool,
}

impl ExternalUser {
    /// The user of a token whose signature, issuer and audience are verified.
    ///
    /// # Errors
    /// Why the token is not accepted at `now`, for the log.
    pub fn from_claims(
        claims: &Map<String, Value>,
        config: &IdentityConfig,
        now: DateTime<Utc>,
    ) -> Result<Self, &'static str> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str).map(str::to_owned);
        // A list of issuers names more than the one that signed.
        let issuer = text("iss").filter(|issuer| *issuer == config.oidc_issuer);
        let issuer = issuer.ok_or("it is from another issuer")?;
        let is_storable = |subject: &String| {
            (1..=MAX_SUBJECT_CHARS).contains(&subject.chars().count())
                && !subject.contains(char::is_control)
        };
        let subject = text("sub").filter(is_storable).ok_or("its subject is not valid")?;
        let expires_at = time(claims.get("exp")).ok_or("it has no time of expiry")?;
        let expires_at =
            expires_at.checked_add_signed(MAX_CLOCK_SKEW).ok_or("its time is too large")?;
        if expires_at <= now {
            return Err("it has expired");
        }
        if let Some(value) = claims.get("nbf") {
            let not_before = time(Some(value)).ok_or("its first time is not valid")?;
            if not_before > now + MAX_CLOCK_SKEW {
                return Err("it is not valid yet");
            }
        }
        // Some issuers send the value as text.
        let is = |expected: bool| {
            let text = Value::String(expected.to_string());
            claims
                .get("email_verified")
                .is_some_and(|value| *value == Value::Bool(expected) || *value == text)
        };
        let email = text(&config.oidc_email_claim).filter(|_| !is(false));
        let email_verified = is(true);
        let (username, display_name) =
            (text(&config.oidc_username_claim), text(&config.oidc_display_name_claim));
        Ok(Self { issuer, subject, expires_at, username, display_name, email, email_verified })
    }
}

/// The time of a claim (RFC 7519): seconds since 1970, possibly with a fraction.
fn time(value: Option<&Value>) -> Option<DateTime<Utc>> {
    let seconds = value?.as_f64().filter(|seconds| *seconds <= MAX_SECONDS)?;
    // Negative numbers are an error.
    let since = Duration::try_from_secs_f64(seconds.floor()).ok()?;
    DateTime::UNIX_EPOCH.checked_add_signed(TimeDelta::from_std(since).ok()?)
}

/// The end of the year 9999, up to which the databases have times.
const MAX_SECONDS: f64 = 253_402_300_799.0;

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        config: IdentityConfig,
    }

    const NOW: i64 = 1_800_000_000;

    fn user(changes: &Value) -> Result<ExternalUser, &'static str> {
        let arguments = ["test", "--oidc-issuer", "https://id.example.com"];
        let Arguments { config } = Arguments::parse_from(arguments);
        let mut claims = json!({
            "iss": "https://id.example.com", "sub": "7", "exp": NOW + 300,
            "preferred_username": "susan", "name": "Susan", "email": "susan@example.com",
        });
        let claims = claims.as_object_mut().unwrap();
        claims.extend(changes.as_object().unwrap().clone());
        ExternalUser::from_claims(claims, &config, DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn a_user_is_made_of_the_configured_claims() {
        let susan = user(&json!({})).unwrap();
        assert_eq!((&*susan.subject, susan.expires_at.timestamp()), ("7", NOW + 360));
        assert_eq!(susan.username.as_deref(), Some("susan"));
        assert_eq!(susan.display_name.as_deref(), Some("Susan"));
        assert_eq!(susan.email.as_deref(), Some("susan@example.com"));
        for unverified in [json!(false), json!("false")] {
            assert_eq!(user(&json!({ "email_verified": unverified })).unwrap().email, None);
        }
        assert!(user(&json!({ "email_verified": true })).unwrap().email.is_some());
        assert_eq!(user(&json!({ "name": ["Susan"] })).unwrap().display_name, None);
    }

    #[test]
    fn times_are_compared_with_a_difference_of_clocks_of_60_seconds() {
        for accepted in [
            json!({ "exp": NOW - 59 }),
            json!({ "exp": 1_800_000_000.5 }),
            json!({ "nbf": NOW + 60 }),
        ] {
            assert!(user(&accepted).is_ok(), "{accepted}");
        }
        for rejected in [
            json!({ "exp": NOW - 60 }),
            json!({ "exp": null }),
            json!({ "exp": "1800000300" }),
            json!({ "exp": -1 }),
            json!({ "exp": 1e300 }),
            json!({ "nbf": NOW + 61 }),
            json!({ "nbf": "soon" }),
        ] {
            assert!(user(&rejected).is_err(), "{rejected}");
        }
    }

    #[test]
    fn issuer_and_subject_are_single_texts() {
        for rejected in [
            json!({ "iss": "https://id.example.com/" }),
            json!({ "iss": ["https://id.example.com", "https://other.example.com"] }),
            json!({ "sub": "" }),
            json!({ "sub": 7 }),
            json!({ "sub": "a\u{0}b" }),
            json!({ "sub": "x".repeat(256) }),
        ] {
            assert!(user(&rejected).is_err(), "{rejected}");
        }
    }
}
