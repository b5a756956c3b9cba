//! Prepares the text of a document for the parser.
//!
//! The parser then accepts all that the specification allows, and nothing that it forbids.
//! apollo-parser looks ahead by one token. A comma or a byte order mark between an alias and its
//! colon, or after `...`, misleads it, although the specification ignores both there. It also
//! rejects the descriptions that the 2025 edition of the specification allows on operations,
//! fragments and variables. Both are replaced by as many spaces, so positions stay the same. It
//! accepts a string that starts with a line end, and it drops an argument or input field without a
//! colon. Both are syntax errors here.
//!
//! The parser reads on after an unknown character and after too many levels of brackets, and makes
//! an error for each further token. Such documents are refused here, and so are those with too many
//! variables, before they are parsed.

use std::borrow::Cow;
use std::ops::Range;

use apollo_compiler::parser::SourceSpan;
use async_graphql::Pos;

/// Keywords that start a definition with a description.
const KEYWORDS: [&str; 4] = ["query", "mutation", "subscription", "fragment"];

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Punctuators, and the signs of numbers.
const PUNCTUATORS: &str = "!$&().:=@[]{|}+-";

/// Maximum depth of nested selections, lists and input objects.
///
/// The parser recurses for each level.
pub const MAX_NESTING: usize = 96;

/// Maximum number of variables of an operation.
pub const MAX_VARIABLES: usize = 100;

/// Replaces commas, byte order marks and descriptions by spaces.
///
/// Strings and comments keep their content.
///
/// # Errors
/// The first [`SourceErrorKind`].
pub fn prepare(text: &str) -> Result<Cow<'_, str>, SourceError> {
    let mut blanks = Vec::new();
    let mut brackets = Vec::new();
    let mut parentheses = 0_usize;
    let mut variables = 0;
    let mut previous = Token::Start;
    // A string that is a description if the right token follows.
    let mut description: Option<Range<usize>> = None;
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let start = at;
        at += token_length(&text[at..], first);
        let range = start..at;
        let error = |kind| SourceError { at: start, kind };
        match first {
            ',' | BYTE_ORDER_MARK => blanks.push(range),
            ' ' | '\t' | '\n' | '\r' | '#' => {}
            _ if previous == Token::Argument && first != ':' => {
                return Err(error(SourceErrorKind::MissingColon));
            }
            '"' if range.len() == 1 => {
                return Err(error(SourceErrorKind::UnterminatedString));
            }
            '"' => {
                let may_be = may_precede_description(previous, brackets.len());
                description = may_be.then_some(range);
                previous = Token::String;
            }
            _ if !first.is_ascii_alphanumeric() && first != '_' && !PUNCTUATORS.contains(first) => {
                return Err(error(SourceErrorKind::UnexpectedCharacter(first)));
            }
            _ => {
                let is_described = is_described(&text[range], brackets.len());
                blanks.extend(description.take().filter(|_| is_described));
                match first {
                    '(' | '[' | '{' => brackets.push(first),
                    ')' | ']' | '}' if brackets.pop() == Some('(') => parentheses -= 1,
                    _ => {}
                }
                parentheses += usize::from(first == '(');
                // Where a variable is used and not defined, it is nested deeper or has a name.
                match first {
                    '(' if brackets.len() == 1 => variables = 0,
                    '$' if brackets == ['('] && previous != Token::Punctuator(':') => {
                        variables += 1;
                    }
                    _ => {}
                }
                if variables > MAX_VARIABLES {
                    return Err(error(SourceErrorKind::TooManyVariables));
                }
                if brackets.len() - parentheses > MAX_NESTING {
                    return Err(error(SourceErrorKind::TooManyLevels));
                }
                // Braces inside of parentheses are those of an input object.
                let is_argument = parentheses > 0
                    && brackets.last() != Some(&'[')
                    && may_precede_argument(previous);
                previous = match first {
                    'a'..='z' | 'A'..='Z' | '_' if is_argument => Token::Argument,
                    'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => Token::Word,
                    _ => Token::Punctuator(first),
                };
            }
        }
    }
    Ok(if blanks.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(blank(text, blanks)) })
}

/// An error at an offset of a document.
#[derive(Debug, PartialEq)]
pub struct SourceError {
    pub at: usize,
    pub kind: SourceErrorKind,
}

/// A reason to refuse a document before it is parsed.
#[derive(Debug, PartialEq)]
pub enum SourceErrorKind {
    /// An argument or an input field without a colon.
    MissingColon,
    /// A line end right after the quote of a string, or before its other quote.
    UnterminatedString,
    /// A character that starts no token.
    UnexpectedCharacter(char),
    /// More than [`MAX_NESTING`] levels of brackets.
    TooManyLevels,
    /// An operation with more than [`MAX_VARIABLES`] variables.
    TooManyVariables,
}

/// A token, as far as the position of a description depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    /// The start of the document.
    Start,
    /// A name or a number.
    Word,
    /// The name of an argument or of an input field.
    Argument,
    String,
    Punctuator(char),
}

/// Whether a description may follow `previous` inside of `depth` brackets.
///
/// It follows another definition outside of all brackets, and in the parentheses of an operation
/// either the bracket or another variable definition.
fn may_precede_description(previous: Token, depth: usize) -> bool {
    match (depth, previous) {
        (0, Token::Start | Token::Punctuator('}')) | (1, Token::Word | Token::String) => true,
        (1, Token::Punctuator(previous)) => "(!]})".contains(previous),
        _ => false,
    }
}

/// Whether the name of an argument or input field may follow `previous`.
///
/// Other names follow the colon of their variable or argument, or a punctuator of their own.
fn may_precede_argument(previous: Token) -> bool {
    !matches!(previous, Token::Punctuator(previous) if ":=@$-+.".contains(previous))
}

/// Whether a token starts a definition that may have a description.
fn is_described(token: &str, depth: usize) -> bool {
    if depth == 0 { KEYWORDS.contains(&token) } else { token == "$" }
}

fn blank(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let mut blanked = String::with_capacity(text.len());
    let mut end = 0;
    for range in ranges {
        blanked.push_str(&text[end..range.start]);
        // Line ends stay, so that the lines after a description keep their numbers.
        let space = |byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' };
        blanked.extend(text.as_bytes()[range.clone()].iter().map(|byte| space(*byte)));
        end = range.end;
    }
    blanked.push_str(&text[end..]);
    blanked
}

/// The length of the token, or of the ignored text, that `text` starts with.
fn token_length(text: &str, first: char) -> usize {
    match first {
        '#' => text.find(['\n', '\r']).unwrap_or(text.len()),
        '"' if text.starts_with("\"\"\"") => block_length(text).unwrap_or(text.len()),
        '"' => string_length(text),
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            text.find(|c| !is_word(c)).unwrap_or(text.len())
        }
        other => other.len_utf8(),
    }
}

/// The length of the block string that `text` starts with.
///
/// `None` if the string is unterminated. The only escape sequence of a block string is that of its
/// end, `\"""`.
fn block_length(text: &str) -> Option<usize> {
    let mut from = 3;
    loop {
        let quotes = from + text.get(from..)?.find("\"\"\"")?;
        if !text[..quotes].ends_with('\\') {
            return Some(quotes + 3);
        }
        from = quotes + 3;
    }
}

/// The length of the string that `text` starts with.
///
/// It is 1, the length of its quote, if the line or the text ends first.
fn string_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return at + 1,
            '\n' | '\r' => break,
            // A backslash escapes any character.
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    1
}

/// Converts offsets in a text to lines and columns.
pub struct Lines<'a> {
    text: &'a str,
    /// The offset at which each line starts.
    starts: Vec<usize>,
    is_ascii: bool,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let is_end = |at: &usize| match bytes[*at] {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let starts = (0..bytes.len()).filter(is_end).map(|at| at + 1);
        let starts = std::iter::once(0).chain(starts).collect();
        Self { text, starts, is_ascii: text.is_ascii() }
    }

    /// The position of the start of a node.
    ///
    /// It is the start of the text for a node without a location.
    pub fn start_of(&self, location: Option<SourceSpan>) -> Pos {
        self.position(location.map_or(0, |span| span.offset()))
    }

    /// The line and the column of an offset.
    ///
    /// Both start at 1. A column is one character.
    pub fn position(&self, offset: usize) -> Pos {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let column = match self.text.get(start..offset) {
            Some(before) if !self.is_ascii => before.chars().count(),
            _ => offset.saturating_sub(start),
        };
        Pos { line, column: column + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lines, MAX_NESTING, MAX_VARIABLES, SourceError, SourceErrorKind, prepare};

    #[test]
    fn ignored_characters_and_descriptions_become_spaces() {
        for (text, expected) in [
            ("{ a,: b }", "{ a : b }"),
            ("\u{feff}{ a\u{feff}}", "   { a   }"),
            ("{ a(b: \"1,2\") } # c, d", "{ a(b: \"1,2\") } # c, d"),
            ("{ a(b: \"\"\"1,\\\"\"\",\"\"\", c: 1) }", "{ a(b: \"\"\"1,\\\"\"\",\"\"\"  c: 1) }"),
            ("\"d\" query A { a }", "    query A { a }"),
            ("\"\"\"\nd\n\"\"\" query A { a }", "   \n \n    query A { a }"),
            ("{ a } \"d\" fragment b on C { d }", "{ a }     fragment b on C { d }"),
            ("query (\"d\" $a: Int) { a }", "query (    $a: Int) { a }"),
            (
                "query ($a: S = \"x\" \"d\" $b: Int) { a }",
                "query ($a: S = \"x\"     $b: Int) { a }",
            ),
        ] {
            assert_eq!(prepare(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn strings_that_are_no_descriptions_stay() {
        for text in [
            "\"d\" { a }",
            "query \"d\" query { a }",
            "fragment \"d\" fragment on A { a }",
            "query ($a: S = \"x\" $b: Int) { a }",
            "query A @b(c: \"x\" $d) { a }",
            "{ a(b: \"x\" $c: 1) }",
            "query ($a: [S] = [\"x\" $b]) { a }",
            "\"\"\"unterminated query { a }",
            "{ a(b: -1.5e+3 c: TRUE d: [E F] e: {f: G}) @h(i: J k: $l) }",
            "query ($a: [Int!]! = E @b(c: D) $e: F) { g(h: $a i: \"\\\"\") }",
            "query ($a: B = {c: D e: [F {g: H}] i: {}}) { j(k: $a l: {m: n o: [p]}) { q { r s } } }",
        ] {
            assert_eq!(prepare(text).unwrap(), text);
        }
    }

    #[test]
    fn syntax_errors_that_the_parser_accepts_are_found() {
        for (text, at) in [
            ("{ a(b: \"\n\") }", 7),
            ("{ a(b: \"c) }", 7),
            ("{ a(b b: 1) }", 6),
            ("{ a(b: E c d: 1) }", 11),
            ("{ a(b: 1 c) }", 10),
            ("{ a @b(c: true d) }", 16),
            ("{ a(b: \"\"c) }", 10),
            ("{ a(b: [1] c d: 2) }", 13),
            ("{ a(b: {c: 1 d}) }", 14),
            ("{ a(b: {c: \"\"d}) }", 14),
            ("{ a(b: [{c d: E}]) }", 11),
        ] {
            let error = prepare(text).map_err(|SourceError { at, .. }| at);
            assert_eq!(error, Err(at), "{text}");
        }
    }

    #[test]
    fn unknown_characters_and_deep_nesting_are_refused() {
        let refused = |text: &str| prepare(text).unwrap_err();
        for (text, at, unknown) in
            [("{ é }", 2, 'é'), ("{ a(b: ?) }", 7, '?'), ("{ a } \u{200b}", 6, '\u{200b}')]
        {
            let expected = SourceError { at, kind: SourceErrorKind::UnexpectedCharacter(unknown) };
            assert_eq!(refused(text), expected, "{text}");
        }
        for opening in ["{ ", "[ ", "{ a ", "{ ... "] {
            let at = opening.len() * MAX_NESTING;
            prepare(&opening.repeat(MAX_NESTING)).unwrap();
            let kind = SourceErrorKind::TooManyLevels;
            assert_eq!(refused(&opening.repeat(MAX_NESTING + 1)), SourceError { at, kind });
        }
        let variables = |count| format!("query A({})", "$a: [B] = [$c] @d(e: $f) ".repeat(count));
        let text =
            format!("{0} {0} {{ a(b: [{1}]) }}", variables(MAX_VARIABLES), "$c ".repeat(200));
        prepare(&text).unwrap();
        let error = refused(&variables(MAX_VARIABLES + 1));
        assert_eq!(error.kind, SourceErrorKind::TooManyVariables);
        // Brackets in strings and comments are none.
        for text in ["{ a(b: \"é?{[\") # é?{[ \n }", "{ a(b: \"\"\"é?{[\"\"\") }"] {
            assert_eq!(prepare(text).unwrap(), text);
        }
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let text = "a\nb\r\nc\rd\u{e9}e";
        let lines = Lines::new(text);
        let position = |part: &str| lines.position(text.find(part).unwrap());
        for (part, line, column) in
            [("a", 1, 1), ("b", 2, 1), ("c", 3, 1), ("d", 4, 1), ("e", 4, 3)]
        {
            assert_eq!(position(part), async_graphql::Pos { line, column }, "{part}");
        }
        assert_eq!(lines.position(text.len()), async_graphql::Pos { line: 4, column: 4 });
    }
}
