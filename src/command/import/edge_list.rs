//! Edge lists, the format of public collections of social networks.
//!
//! A line has the numbers of two users, of whom the first follows, blocks or mutes the second. By
//! default a line has these two columns only, with white space between them, as in the files of
//! SNAP. Lines that start with `#` or `%`, as in those of KONECT, are comments.

use clap::Args;
use clap::builder::FalseyValueParser;

/// The format of an edge list, and what to do with its invalid lines.
#[derive(Args, Clone, Debug, Default)]
pub struct EdgeListOptions {
    /// Columns of the two users, counted from 1, as in '1,2'
    ///
    /// The first user follows, blocks or mutes the second. All other columns are ignored. By
    /// default a line must have exactly two columns.
    #[arg(long, env = "ROOKERY_IMPORT_COLUMNS", default_value = "", value_name = "N,N",
          value_parser = parse_columns)]
    pub columns: Columns,

    /// Character between the columns, or 'tab'; by default any white space
    #[arg(long, env = "ROOKERY_IMPORT_DELIMITER", default_value = "", value_name = "CHARACTER",
          value_parser = parse_delimiter)]
    pub delimiter: Delimiter,

    /// Skip invalid lines, such as a header, and report their number and the first ten
    ///
    /// By default an invalid line fails the import, and nothing is imported.
    #[arg(long, env = "ROOKERY_IMPORT_SKIP_INVALID", value_parser = FalseyValueParser::new())]
    pub skip_invalid: bool,
}

/// The columns of the actor and of the target, counted from 0.
///
/// `None` for lines of exactly two columns.
pub type Columns = Option<(usize, usize)>;

/// The character between columns; `None` for any white space.
pub type Delimiter = Option<char>;

/// The number of a user in the file.
pub type UserNumber = u64;

/// The two users of a line: the actor and the target.
pub type NumberedPair = (UserNumber, UserNumber);

fn parse_columns(text: &str) -> Result<Columns, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = |text: &str| text.trim().parse::<u16>().ok()?.checked_sub(1).map(usize::from);
    let columns = text.split_once(',').and_then(|(a, b)| number(a).zip(number(b)));
    let columns = columns.filter(|(actor, target)| actor != target);
    columns.map(Some).ok_or_else(|| "expected two different numbers, as in '1,2'".to_owned())
}

fn parse_delimiter(text: &str) -> Result<Delimiter, String> {
    let mut characters = text.chars();
    match (text, characters.next(), characters.next()) {
        ("tab" | "\\t", ..) => Ok(Some('\t')),
        (_, None, _) => Ok(None),
        (_, Some(character), None) if !character.is_ascii_digit() => Ok(Some(character)),
        _ => Err("expected one character other than a digit, or 'tab'".to_owned()),
    }
}

/// Parses a line; `None` for a blank line or a comment.
///
/// An error is the problem of the line.
pub fn parse(line: &str, options: &EdgeListOptions) -> Result<Option<NumberedPair>, String> {
    let line = line.trim_matches(|character: char| {
        character.is_whitespace() && Some(character) != options.delimiter
    });
    if line.trim().is_empty() || line.starts_with(['#', '%']) {
        return Ok(None);
    }
    let mut words: Box<dyn Iterator<Item = &str>> = match options.delimiter {
        None => Box::new(line.split_whitespace()),
        Some(delimiter) => Box::new(line.split(delimiter).map(str::trim)),
    };
    let (actor, target) = match options.columns {
        None => {
            let (Some(actor), Some(target), None) = (words.next(), words.next(), words.next())
            else {
                return Err("does not have exactly two numbers".to_owned());
            };
            (actor, target)
        }
        Some((actor, target)) => {
            let words: Vec<&str> = words.take(actor.max(target) + 1).collect();
            let missing = || format!("has {} columns only", words.len());
            let word = |index: usize| words.get(index).copied().ok_or_else(missing);
            (word(actor)?, word(target)?)
        }
    };
    let (actor, target) = (parse_user_number(actor)?, parse_user_number(target)?);
    if actor == target {
        return Err(format!("names user {actor} twice"));
    }
    Ok(Some((actor, target)))
}

fn parse_user_number(word: &str) -> Result<UserNumber, String> {
    const MAX_SHOWN_CHARACTERS: usize = 40;
    let shown = || word.chars().take(MAX_SHOWN_CHARACTERS).collect::<String>();
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("has {:?} where a number belongs", shown()));
    }
    word.parse().map_err(|_| format!("has a number larger than {}: {}", UserNumber::MAX, shown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_parsed_by_delimiter_and_columns() {
        let strict = EdgeListOptions::default();
        let options = |delimiter: &str, columns: &str| EdgeListOptions {
            delimiter: parse_delimiter(delimiter).unwrap(),
            columns: parse_columns(columns).unwrap(),
            skip_invalid: false,
        };
        for (options, line, expected) in [
            (strict.clone(), "1 2", Ok(Some((1, 2)))),
            (strict.clone(), "% 1 2", Ok(None)),
            (strict.clone(), "  # 1 2", Ok(None)),
            (strict.clone(), "1,2", Err("does not have exactly two numbers")),
            (strict, "1 2 3", Err("does not have exactly two numbers")),
            (options(",", ""), " 1 , 2 ", Ok(Some((1, 2)))),
            (options(",", ""), "1,2,3", Err("does not have exactly two numbers")),
            (options(",", ""), "1,", Err("has \"\" where a number belongs")),
            (options("tab", ""), "1\t2\r", Ok(Some((1, 2)))),
            (options("tab", "1,3"), "\t2\t3", Err("has \"\" where a number belongs")),
            (options("", "1,2"), "1 2 1.0 1276455078", Ok(Some((1, 2)))),
            (options("", "4,1"), "1 2 3 4", Ok(Some((4, 1)))),
            (options("", "1,3"), "1 2", Err("has 2 columns only")),
            (options(";", "1,2"), "source;target", Err("has \"source\" where a number belongs")),
        ] {
            let expected = expected.map_err(str::to_owned);
            assert_eq!(parse(line, &options), expected, "{line:?} {options:?}");
        }
        for wrong in ["1", "0,1", "1,1", "a,b", "1,2,3", "1,-2"] {
            assert!(parse_columns(wrong).is_err(), "{wrong}");
        }
        for wrong in ["ab", "1", "  "] {
            assert!(parse_delimiter(wrong).is_err(), "{wrong}");
        }
    }
}
