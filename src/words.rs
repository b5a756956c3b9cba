//! The words of a text, as the search indexes have them.
//!
//! Both database engines index the words that this file separates, and look up words in the same
//! form. A search therefore finds the same rows on both.
//!
//! A word is a run of letters, digits and their marks. Case, compatibility forms and diacritics
//! are removed. In scripts that write words without spaces, each character is a word, so that a
//! search for several characters is a search for a phrase.

use std::collections::HashMap;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, Script};
use icu_properties::{CodePointMapData, CodePointSetData};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};

/// Longest word in characters. The rest of a longer word is left out.
///
/// A lexeme of PostgreSQL has at most 2046 bytes.
const MAX_WORD: usize = 64;
/// Maximum number of words of a text.
///
/// A lexeme of PostgreSQL has at most the position 16383. A text of 5000 characters has more words
/// only if it consists of rare characters that stand for several words.
const MAX_WORDS: usize = 16_000;
/// Maximum number of times that a text has the same word, a limit of PostgreSQL.
const MAX_REPETITIONS: usize = 255;

/// Stands for a word that is left out, so that the words around it are no phrase.
///
/// It is no letter and no digit, so no query has it.
pub const LEFT_OUT: &str = "…";

/// The words of a text, in their order.
///
/// Words beyond the limits of an index are left out. In place of a word that the text has too often
/// is [`LEFT_OUT`].
pub fn words(text: &str) -> Vec<String> {
    let folded = if text.is_ascii() { text.to_ascii_lowercase() } else { fold(text) };
    let mut repetitions: HashMap<String, usize> = HashMap::new();
    let mut words = split(&folded);
    for word in &mut words {
        let count = repetitions.entry(word.clone()).or_default();
        *count += 1;
        if *count > MAX_REPETITIONS {
            LEFT_OUT.clone_into(word);
        }
    }
    words.truncate(MAX_WORDS);
    words
}

/// A text without case, compatibility forms and diacritics.
///
/// Upper case comes before lower case, so that letters which differ in lower case only are equal,
/// such as the two forms of sigma.
fn fold(text: &str) -> String {
    let decomposed = text.nfkd().filter(|character| !is_dropped(*character));
    decomposed.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

/// Whether a character is no part of a word and separates none.
///
/// These are characters without a shape, symbols around a character, and the marks that a reader
/// may leave out: accents, and the points of Hebrew and Arabic. Marks of other scripts stay, as
/// they stand for vowels.
fn is_dropped(character: char) -> bool {
    let is_optional_mark = || {
        matches!(canonical_combining_class(character), 1 | 10..=36 | 200..)
            || CodePointMapData::<GeneralCategory>::new().get(character)
                == GeneralCategory::EnclosingMark
    };
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
        || (is_combining_mark(character) && is_optional_mark())
}

fn split(folded: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut length = 0;
    let mut previous_is_single = false;
    for character in folded.chars() {
        let is_mark = is_combining_mark(character);
        if !is_mark && !character.is_alphanumeric() {
            length = 0;
            continue;
        }
        let is_single = !is_mark && is_word_of_its_own(character);
        // A mark belongs to the word before it.
        let begins = length == 0 || is_single || (previous_is_single && !is_mark);
        if begins && is_mark {
            continue;
        }
        if begins {
            words.push(String::new());
            length = 0;
        }
        if !is_mark {
            previous_is_single = is_single;
        }
        length += 1;
        if let Some(word) = words.last_mut().filter(|_| length <= MAX_WORD) {
            word.push(character);
        }
    }
    words
}

/// Whether a character is of a script that writes words without spaces.
fn is_word_of_its_own(character: char) -> bool {
    const KATAKANA_LENGTH_MARK: char = '\u{30fc}';
    let script = || CodePointMapData::<Script>::new().get(character);
    !character.is_ascii()
        && (character == KATAKANA_LENGTH_MARK
            || [
                Script::Han,
                Script::Hiragana,
                Script::Katakana,
                Script::Thai,
                Script::Lao,
                Script::Khmer,
                Script::Myanmar,
            ]
            .contains(&script()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_compared_without_case_and_diacritics() {
        for (text, expected) in [
            ("Crème BRÛLÉE", "creme brulee"),
            ("Straße STRASSE ﬁn", "strasse strasse fin"),
            ("ΣΊΣΥΦΟΣ Σίσυφος", "σισυφοσ σισυφοσ"),
            ("İstanbul", "istanbul"),
            ("שָׁלוֹם שלום", "שלום שלום"),
            ("ｆｕｌｌ ２０２６", "full 2026"),
            ("co\u{ad}operate", "cooperate"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn everything_but_letters_and_digits_separates_words() {
        for (text, expected) in [
            ("it's e-mail, C++ & #rust_lang!", "it s e mail c rust lang"),
            ("NEAR(a b) OR c* -d ^e f:g", "near a b or c d e f g"),
            ("\0'; DROP TABLE post; -- %_", "drop table post"),
            ("🎃 1\u{fe0f}\u{20e3} \u{301}x", "1 x"),
            ("", ""),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn characters_of_scripts_without_spaces_are_words() {
        for (text, expected) in [
            ("東京タワーtower", "東 京 タ ワ ー tower"),
            ("が", "が"),
            ("ﾊﾟﾝ", "パ ン"),
            ("한국어 텍스트", "한국어 텍스트"),
            ("हिन्दी में", "हिन्दी में"),
            ("ที่นี่", "ที่ นี่"),
        ] {
            assert_eq!(words(text).join(" "), expected.nfc().collect::<String>(), "{text}");
        }
    }

    #[test]
    fn words_keep_to_the_limits_of_the_indexes() {
        assert_eq!(words(&"é".repeat(5_000)), ["e".repeat(MAX_WORD)]);
        let repeated = words(&"a b ".repeat(300));
        let number = |word: &str| repeated.iter().filter(|found| *found == word).count();
        assert_eq!([number("a"), number("b"), number(LEFT_OUT)], [255, 255, 90]);
        assert!(words(&"\u{fdfa}".repeat(5_000)).len() <= MAX_WORDS);
    }

    proptest! {
        #[test]
        fn words_have_neither_spaces_nor_punctuation(text in "\\PC{0,60}") {
            let words = words(&text);
            prop_assert!(words.iter().all(|word| !word.is_empty()));
            let is_plain = |c: char| !c.is_whitespace() && !c.is_ascii_punctuation();
            prop_assert!(words.iter().all(|word| word.chars().all(is_plain)));
        }
    }
}
