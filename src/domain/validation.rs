//! Validation of the texts that users enter.
//!
//! The limits of all texts are here. Lengths are in characters (Unicode scalar values), unless a
//! limit names bytes. Bodies and profile texts must not contain control characters other than
//! newline and tab. Each function returns the text in the form in which it is stored, or a user
//! error with the path of the argument.

use std::ops::RangeInclusive;

use email_address::{EmailAddress, Options};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{UserError, UserErrorKind};

/// Length of a post's body, in characters.
pub const BODY: RangeInclusive<usize> = 1..=5000;
/// Length of a username, in characters.
pub const USERNAME: RangeInclusive<usize> = 1..=30;
/// Longest e-mail address in bytes, the limit of RFC 5321 (erratum 1690).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Length of a password, in characters.
pub const PASSWORD: RangeInclusive<usize> = 8..=128;
/// Length of a display name, in characters.
pub const DISPLAY_NAME: RangeInclusive<usize> = 1..=50;
/// Length of a profile's `aboutMe`, in characters.
pub const ABOUT_ME: RangeInclusive<usize> = 1..=500;

/// The path of an argument, from the mutation's arguments down.
type Path = &'static [&'static str];

/// Validates a username: ASCII letters, digits and underscores. Its case is kept.
pub fn username(text: &str, path: Path) -> Result<String, UserError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain && USERNAME.contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(invalid(
        path,
        "A username must consist of 1 to 30 letters (a to z), digits and underscores.",
    ))
}

/// Validates an e-mail address, and returns it trimmed and lower-cased.
///
/// This form is unique among users, and avatar URLs are computed from it.
pub fn email(text: &str, path: Path) -> Result<String, UserError> {
    let email = text.trim().to_lowercase();
    let options =
        Options::default().with_required_tld().without_display_text().without_domain_literal();
    match EmailAddress::parse_with_options(&email, options) {
        Ok(_) if email.len() <= MAX_EMAIL_BYTES => Ok(email),
        Ok(_) => Err(invalid(path, "An e-mail address must have at most 254 bytes.")),
        Err(_) => Err(invalid(path, "This is not a valid e-mail address.")),
    }
}

/// Validates a new password, of which only the length is restricted.
pub fn password(text: SecretString, path: Path) -> Result<SecretString, UserError> {
    if PASSWORD.contains(&text.expose_secret().chars().count()) {
        return Ok(text);
    }
    Err(invalid(path, "A password must be 8 to 128 characters long."))
}

/// Validates the body of a post.
pub fn body(text: String, path: Path) -> Result<String, UserError> {
    validate_text(text, &BODY, path)
}

/// Validates a display name.
///
/// Bidirectional control characters (Unicode Standard Annex 9) are rejected: they would reorder the
/// text beside the name as well.
pub fn display_name(text: String, path: Path) -> Result<String, UserError> {
    if text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err(invalid(path, "This must not contain bidirectional control characters."));
    }
    validate_text(text, &DISPLAY_NAME, path)
}

/// Validates a profile's `aboutMe`.
pub fn about_me(text: String, path: Path) -> Result<String, UserError> {
    validate_text(text, &ABOUT_ME, path)
}

/// Validates a text of the given length, and returns it with line ends as `\n`.
fn validate_text(
    text: String,
    length: &RangeInclusive<usize>,
    path: Path,
) -> Result<String, UserError> {
    let text = if text.contains('\r') { text.replace("\r\n", "\n") } else { text };
    let (min, max) = (length.start(), length.end());
    if !length.contains(&text.chars().count()) {
        return Err(invalid(path, &format!("This must be {min} to {max} characters long.")));
    }
    if text.trim().is_empty() {
        return Err(invalid(path, "This must not be blank."));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(invalid(path, "This must not contain control characters."));
    }
    Ok(text)
}

fn invalid(path: Path, message: &str) -> UserError {
    UserErrorKind::InvalidInput.at(path, message)
}
