//! Validation of the texts that users enter.
//!
//! The limits of all texts are here. Lengths are in characters (Unicode scalar values), unless a
//! limit names bytes. Bodies and profile texts have at least one visible character, and no control
//! characters other than newline and tab. A display name is a single line. Each function returns
//! the text in the form in which it is stored, or a user error with the path of the argument.

use std::ops::RangeInclusive;

use email_address::{EmailAddress, Options};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use secrecy::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;

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

/// Length of an idempotency key, in characters.
pub const IDEMPOTENCY_KEY: RangeInclusive<usize> = 1..=100;

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

/// Validates an e-mail address, and returns it in the form of [`normalize_email`].
///
/// This form is unique among users, and avatar URLs are computed from it. The part after the @ must
/// be the name of a domain that can exist: the top-level domain `invalid` is reserved (RFC 2606),
/// and imported users have addresses in it.
pub fn email(text: &str, path: Path) -> Result<String, UserError> {
    let email = normalize_email(text);
    let options =
        Options::default().with_required_tld().without_display_text().without_domain_literal();
    // A quoted part before the @ may contain spaces, and no provider assigns one.
    let is_valid =
        EmailAddress::parse_with_options(&email, options).is_ok() && !email.contains(['"', ' ']);
    let top_level = email.rsplit('.').next().unwrap_or_default();
    let is_number = top_level.bytes().all(|byte| byte.is_ascii_digit());
    if !is_valid || is_number || top_level == "invalid" {
        return Err(invalid(path, "This is not a valid e-mail address with the name of a domain."));
    }
    if email.len() > MAX_EMAIL_BYTES {
        return Err(invalid(path, "An e-mail address must have at most 254 bytes."));
    }
    Ok(email)
}

/// An e-mail address in the form in which it is stored and looked up.
///
/// It is trimmed and in lower case, the part before the @ is in Unicode Normalization Form C, and
/// the domain is in ASCII (UTS 46). A text that is too long for an address is only trimmed and
/// lower-cased, because the conversion of a long domain takes long.
pub fn normalize_email(text: &str) -> String {
    let text = text.trim();
    match text.rsplit_once('@').filter(|_| text.len() <= MAX_NORMALIZED_BYTES) {
        Some((local, domain)) => {
            let local = local.to_lowercase().nfc().collect::<String>();
            let ascii = idna::domain_to_ascii(domain);
            format!("{local}@{}", ascii.unwrap_or_else(|_| domain.to_lowercase()))
        }
        None => text.to_lowercase(),
    }
}

/// Longest text that is converted to the normal form of an address, in bytes.
///
/// A domain in Unicode may have more bytes than its form in ASCII.
const MAX_NORMALIZED_BYTES: usize = 4 * MAX_EMAIL_BYTES;

/// Validates the length of a new password.
///
/// Whether it is easy to guess is found out before it is hashed. The characters are those of
/// Unicode Normalization Form C, which is hashed.
pub fn password(text: SecretString, path: Path) -> Result<SecretString, UserError> {
    if PASSWORD.contains(&text.expose_secret().nfc().count()) {
        return Ok(text);
    }
    Err(invalid(path, "A password must be 8 to 128 characters long."))
}

/// Validates the body of a post.
pub fn body(text: String, path: Path) -> Result<String, UserError> {
    validate_text(text, &BODY, path)
}

/// Validates a display name, and returns it trimmed.
///
/// It is a single line. Bidirectional control characters (Unicode Standard Annex 9) are rejected:
/// they would reorder the text beside the name as well.
pub fn display_name(text: &str, path: Path) -> Result<String, UserError> {
    if text.chars().any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')) {
        return Err(invalid(path, "This must not contain bidirectional control characters."));
    }
    let text = text.trim();
    if text.contains(['\n', '\r', '\t', '\u{2028}', '\u{2029}']) {
        return Err(invalid(path, "This must be a single line without tabs."));
    }
    validate_text(text.to_owned(), &DISPLAY_NAME, path)
}

/// Validates a profile's `aboutMe`.
pub fn about_me(text: String, path: Path) -> Result<String, UserError> {
    validate_text(text, &ABOUT_ME, path)
}

/// Validates an idempotency key, of which every character must be visible.
pub fn idempotency_key(text: String, path: Path) -> Result<String, UserError> {
    if IDEMPOTENCY_KEY.contains(&text.chars().count()) && text.chars().all(is_visible) {
        return Ok(text);
    }
    Err(invalid(path, "A key must consist of 1 to 100 visible characters, without spaces."))
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
    if !text.chars().any(is_visible) {
        return Err(invalid(path, "This must have at least one visible character."));
    }
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
        return Err(invalid(path, "This must not contain control characters."));
    }
    Ok(text)
}

/// Whether a character is visible on its own.
///
/// Spaces are not, nor are the characters that Unicode has rendered as nothing, such as U+200B and
/// U+3164, nor is the Braille pattern without dots.
fn is_visible(character: char) -> bool {
    let is_ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character);
    !(is_ignorable
        || character.is_whitespace()
        || character.is_control()
        || character == '\u{2800}')
}

fn invalid(path: Path, message: &str) -> UserError {
    UserErrorKind::InvalidInput.at(path, message)
}
