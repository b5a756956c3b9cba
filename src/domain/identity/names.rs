//! Names of a new user from the claims of a token.
//!
//! The claims need not follow Rookery's rules.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::domain::validation::{self, DISPLAY_NAME, USERNAME};

/// The username of a user without a usable claim.
const DEFAULT_USERNAME: &str = "user";
/// Largest suffix of a username that is taken, before random ones.
const MAX_SUFFIX: u32 = 9;
/// Number of random suffixes.
const RANDOM_SUFFIXES: usize = 8;

/// A valid username that resembles the claim.
///
/// Of an e-mail address, it is the part before the @. Letters lose their accents, and other
/// characters become underscores.
fn username(claim: &str) -> String {
    let local = claim.split('@').next().unwrap_or_default();
    let mut username = String::new();
    for character in local.nfkd().filter(|character| !is_combining_mark(*character)) {
        if character.is_ascii_alphanumeric() {
            username.push(character);
        } else if !username.ends_with('_') {
            username.push('_');
        }
        if username.len() == *USERNAME.end() {
            break;
        }
    }
    let username = username.trim_matches('_');
    if username.is_empty() { DEFAULT_USERNAME.to_owned() } else { username.to_owned() }
}

/// Usernames for the claim in the order of preference, all different and valid.
pub fn usernames(claim: Option<&str>) -> Vec<String> {
    let base = username(claim.unwrap_or_default());
    let numbers = 2..=MAX_SUFFIX;
    let random = (0..RANDOM_SUFFIXES).map(|_| 10_000 + rand::random::<u32>() % 990_000);
    let suffixed = numbers.chain(random).map(|number| {
        let suffix = format!("_{number}");
        let length = base.len().min(USERNAME.end() - suffix.len());
        format!("{}{suffix}", &base[..length])
    });
    std::iter::once(base.clone()).chain(suffixed).collect()
}

/// The display name of the claim, cut to the maximum; `None` if it is not valid.
pub fn display_name(claim: &str) -> Option<String> {
    let short: String = claim.trim().chars().take(*DISPLAY_NAME.end()).collect();
    validation::display_name(&short, &[]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_has_the_valid_characters_of_the_claim() {
        for (claim, expected) in [
            ("susan", "susan"),
            ("Susan_7", "Susan_7"),
            ("susan.q.smith@example.com", "susan_q_smith"),
            ("Zoë Müller", "Zoe_Muller"),
            ("ﬁona", "fiona"),
            ("--a--b--", "a_b"),
            ("李雷", "user"),
            ("@example.com", "user"),
            ("", "user"),
            ("a\u{0}b'; DROP", "a_b_DROP"),
            ("abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmnopqrstuvwxyz0123"),
        ] {
            assert_eq!(username(claim), expected, "{claim}");
        }
    }

    #[test]
    fn all_usernames_for_a_claim_are_valid_and_begin_with_the_preferred_one() {
        for claim in ["susan", "", "abcdefghijklmnopqrstuvwxyz0123456789"] {
            let usernames = usernames(Some(claim));
            assert_eq!(usernames[0], username(claim));
            assert!(usernames[1].ends_with("_2"), "{}", usernames[1]);
            for username in usernames {
                assert!(validation::username(&username, &[]).is_ok(), "{username}");
            }
        }
    }

    #[test]
    fn a_display_name_is_cut_or_left_out() {
        assert_eq!(display_name(" Susan "), Some("Susan".to_owned()));
        assert_eq!(display_name(&"é".repeat(60)), Some("é".repeat(50)));
        assert_eq!(display_name(""), None);
        assert_eq!(display_name("two\nlines"), None);
        assert_eq!(display_name("\u{202e}reversed"), None);
    }
}
