//! The estimate of how easy a new password is to guess, with zxcvbn.
//!
//! zxcvbn knows 30,000 common passwords, words, names, dates, keyboard patterns and repetitions. It
//! estimates how many guesses an attacker needs who tries the likely ones first.
//!
//! The time of an estimate grows with the square of the length, and with each sign that can stand
//! for a letter: zxcvbn tries all combinations. A long password of such signs would take seconds.
//! Therefore only the start of a password is judged, and signs that stand for the same letter are
//! taken for one sign.

use secrecy::SecretString;
use zxcvbn::feedback::Feedback;
use zxcvbn::zxcvbn;

/// Number of characters at the start of a password that are judged.
const JUDGED_CHARS: usize = 24;
/// Signs that stand for the same letter as another one, and this other one.
const EQUIVALENT_SIGNS: [(char, char); 4] = [('{', '('), ('[', '('), ('<', '('), ('|', '!')];
/// Shortest text about the user that is taken for a word, in characters.
const MIN_WORD_CHARS: usize = 3;

/// A password that a user chooses.
pub struct NewPassword {
    pub text: SecretString,
    /// Texts that an attacker would try first, such as the username.
    pub words: Vec<String>,
    /// The path of the argument.
    pub path: &'static [&'static str],
}

/// Why a password was refused, for its user.
pub(super) struct Weakness(pub String);

/// Checks a password against the minimum score of zxcvbn.
///
/// The scores 0 to 4 stand for less than 10³, 10⁶, 10⁸ and 10¹⁰ guesses, and for more.
///
/// # Errors
/// When the password has a lower score.
pub(super) fn check(password: &str, words: &[String], min_score: u8) -> Result<(), Weakness> {
    if min_score == 0 {
        return Ok(());
    }
    let sign = |c: char| EQUIVALENT_SIGNS.iter().find(|(sign, _)| *sign == c).map_or(c, |it| it.1);
    let start: String = password.chars().take(JUDGED_CHARS).map(sign).collect();
    let words = words.iter().map(String::as_str);
    let words: Vec<&str> = words.filter(|word| word.chars().count() >= MIN_WORD_CHARS).collect();
    let estimate = zxcvbn(&start, &words);
    if u8::from(estimate.score()) >= min_score {
        return Ok(());
    }
    let why = estimate.feedback().and_then(Feedback::warning);
    let why = why.map(|why| format!("{why} ")).unwrap_or_default();
    Err(Weakness(format!(
        "This password is too easy to guess. {why}Use several words that do not belong together, \
         or a password manager."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(password: &str, min_score: u8) -> bool {
        let words = ["susanna_b", "susanna@birds.example", "Susanna Birdwell"].map(str::to_owned);
        check(password, &words, min_score).is_ok()
    }

    #[test]
    fn common_passwords_and_their_variants_are_refused() {
        for password in [
            "password",
            "password1",
            "Passw0rd!",
            "p4ssw0rd",
            "12345678",
            "qwertyuiop",
            "iloveyou123",
            "letmein123",
            "football99",
            "john1990",
            "11111111",
            "abcd1234",
            "susanna_b",
            "susanna_b1",
            "susanna@birds.example",
            &"\u{1F426}".repeat(8),
            &"x".repeat(128),
        ] {
            assert!(!is_accepted(password, 2), "{password}");
            assert!(is_accepted(password, 0), "{password}");
        }
    }

    #[test]
    fn phrases_and_random_passwords_are_accepted() {
        for password in [
            "correct horse battery",
            "two herons fishing",
            "sunshine and rain",
            "tr0ub4dor&3",
            "caf\u{e9} au lait \u{d55c}\u{ae00}",
            "hT9#kQ2!",
            "\u{1F426}\u{1F99C}\u{1F989}\u{1F985}\u{1F54A}\u{1F9A2}\u{1F9A9}\u{1F427}",
        ] {
            assert!(is_accepted(password, 2), "{password}");
        }
        assert!(!is_accepted("hT9#kQ2!", 4), "the operator may ask for more");
    }

    #[test]
    fn the_reason_helps_and_does_not_contain_the_password() {
        let Err(Weakness(reason)) = check("password1", &[], 2) else { panic!("accepted") };
        assert_eq!(
            reason,
            "This password is too easy to guess. This is a very common password. Use several words \
             that do not belong together, or a password manager."
        );
        let Err(Weakness(reason)) = check("zq\u{e9}", &[], 4) else { panic!("accepted") };
        assert!(!reason.contains("zq") && !reason.contains("  "), "{reason}");
    }

    /// Every digit and sign that stands for a letter.
    ///
    /// zxcvbn would combine them in 800 ways, and combines those that are left in 96.
    #[test]
    fn a_long_password_of_substitutions_is_judged_by_its_start() {
        let signs = "4@8({[<3691!|70$5+%2".repeat(7);
        assert!(signs.len() > 128);
        assert!(is_accepted(&signs[..128], 2));
    }
}
