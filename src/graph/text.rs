//! What people may type: the limits of every text, in one place. Lengths are in characters (Unicode
//! scalar values); control characters other than newline and tab are refused.

use std::ops::RangeInclusive;

use email_address::{EmailAddress, Options};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::{UserError, UserErrorKind};

pub const BODY: RangeInclusive<usize> = 1..=5000;
pub const USERNAME: RangeInclusive<usize> = 1..=30;
pub const PASSWORD: RangeInclusive<usize> = 8..=128;
pub const DISPLAY_NAME: RangeInclusive<usize> = 1..=50;
pub const ABOUT_ME: RangeInclusive<usize> = 1..=500;

type Path = &'static [&'static str];

/// Letters, digits and underscore of ASCII, kept as typed.
pub fn username(text: &str, path: Path) -> Result<String, UserError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if plain && USERNAME.contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(invalid(path, "A username is 1 to 30 letters (a to z), digits and underscores."))
}

/// Trimmed and lower-cased: the form that is unique and that avatars are made from.
pub fn email(text: &str, path: Path) -> Result<String, UserError> {
    let email = text.trim().to_lowercase();
    let options =
        Options::default().with_required_tld().without_display_text().without_domain_literal();
    match EmailAddress::parse_with_options(&email, options) {
        Ok(_) => Ok(email),
        Err(_) => Err(invalid(path, "That is not an e-mail address.")),
    }
}

pub fn password(text: SecretString, path: Path) -> Result<SecretString, UserError> {
    if PASSWORD.contains(&text.expose_secret().chars().count()) {
        return Ok(text);
    }
    Err(invalid(path, "A password is 8 to 128 characters long."))
}

pub fn body(text: String, path: Path) -> Result<String, UserError> {
    checked(text, &BODY, path)
}

/// What turns the direction of writing would turn what stands beside a name, too.
pub fn display_name(text: String, path: Path) -> Result<String, UserError> {
    if text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err(invalid(
            path,
            "This must not contain characters that turn the direction of writing.",
        ));
    }
    checked(text, &DISPLAY_NAME, path)
}

pub fn about_me(text: String, path: Path) -> Result<String, UserError> {
    checked(text, &ABOUT_ME, path)
}

fn checked(text: String, length: &RangeInclusive<usize>, path: Path) -> Result<String, UserError> {
    // However a client ends its lines, they are stored one way.
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
