//! The tokens of the language.

use crate::position::PosRange;
use crate::quoted::quote;

/// The kind of a token. Names follow upstream's where both exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TokenKind {
    EndOfInput,
    /// An error of the lexer; its message is in `Tokens`. It is always the last token.
    Error,
    Identifier,
    /// An identifier with a colon.
    MetricIdentifier,
    String,
    Number,
    Duration,
    LeftBrace,
    RightBrace,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    Comma,
    Colon,
    /// `=`
    Assign,
    // Operators.
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    /// `</`
    TrimUpper,
    /// `>/`
    TrimLower,
    RegexMatch,
    RegexNoMatch,
    And,
    Or,
    Unless,
    At,
    // Aggregations.
    Avg,
    Bottomk,
    Count,
    CountValues,
    Group,
    LimitRatio,
    Limitk,
    Max,
    Min,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    Topk,
    // Keywords.
    Anchored,
    Bool,
    By,
    Fill,
    FillLeft,
    FillRight,
    GroupLeft,
    GroupRight,
    Ignoring,
    Offset,
    On,
    Smoothed,
    Without,
    // Facts about the query, and arithmetic that durations share with numbers.
    End,
    MaxOf,
    MinOf,
    Range,
    Start,
    Step,
}

/// The classes of tokens that messages distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    EndOfInput,
    /// A token with variable text. Messages name its class.
    Literal(&'static str),
    Name(&'static str),
    Operator,
    Aggregator,
    Keyword,
    /// A token with fixed text, which messages show in quotes.
    Fixed,
}

use TokenKind::*;

/// Words with a meaning, in lower case. The case in the text does not matter.
const WORDS: [(&str, TokenKind); 39] = [
    ("anchored", Anchored),
    ("and", And),
    ("atan2", Atan2),
    ("avg", Avg),
    ("bool", Bool),
    ("bottomk", Bottomk),
    ("by", By),
    ("count", Count),
    ("count_values", CountValues),
    ("end", End),
    ("fill", Fill),
    ("fill_left", FillLeft),
    ("fill_right", FillRight),
    ("group", Group),
    ("group_left", GroupLeft),
    ("group_right", GroupRight),
    ("ignoring", Ignoring),
    ("inf", Number),
    ("limit_ratio", LimitRatio),
    ("limitk", Limitk),
    ("max", Max),
    ("max_of", MaxOf),
    ("min", Min),
    ("min_of", MinOf),
    ("nan", Number),
    ("offset", Offset),
    ("on", On),
    ("or", Or),
    ("quantile", Quantile),
    ("range", Range),
    ("smoothed", Smoothed),
    ("start", Start),
    ("stddev", Stddev),
    ("stdvar", Stdvar),
    ("step", Step),
    ("sum", Sum),
    ("topk", Topk),
    ("unless", Unless),
    ("without", Without),
];

impl TokenKind {
    /// The kind of a word outside braces; `None` if it is just a name.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let lower = word.to_ascii_lowercase();
        WORDS
            .binary_search_by(|(known, _)| (*known).cmp(lower.as_str()))
            .ok()
            .map(|index| WORDS[index].1)
    }

    fn class(self) -> Class {
        match self {
            EndOfInput => Class::EndOfInput,
            Identifier => Class::Name("identifier"),
            MetricIdentifier => Class::Name("metric identifier"),
            String => Class::Literal("string"),
            Number => Class::Literal("number"),
            Duration => Class::Literal("duration"),
            Add | Sub | Mul | Div | Mod | Pow | Atan2 | Equal | NotEqual | Greater
            | GreaterOrEqual | Less | LessOrEqual | TrimUpper | TrimLower | RegexMatch
            | RegexNoMatch | And | Or | Unless | At => Class::Operator,
            Avg | Bottomk | Count | CountValues | Group | LimitRatio | Limitk | Max | Min
            | Quantile | Stddev | Stdvar | Sum | Topk => Class::Aggregator,
            Anchored | Bool | By | Fill | FillLeft | FillRight | GroupLeft | GroupRight
            | Ignoring | Offset | On | Smoothed | Without => Class::Keyword,
            Error | LeftBrace | RightBrace | LeftParen | RightParen | LeftBracket
            | RightBracket | Comma | Colon | Assign | End | MaxOf | MinOf | Range | Start
            | Step => Class::Fixed,
        }
    }

    /// Whether the word can be the name of a metric.
    pub(crate) fn is_metric_name(self) -> bool {
        match self.class() {
            Class::Name(_) | Class::Aggregator => true,
            _ => matches!(
                self,
                And | Or
                    | Unless
                    | By
                    | Without
                    | Offset
                    | Anchored
                    | Smoothed
                    | Fill
                    | FillLeft
                    | FillRight
                    | Start
                    | End
                    | Step
                    | Range
                    | MaxOf
                    | MinOf
            ),
        }
    }

    /// Whether the word can be the name of a label in a list.
    pub(crate) fn is_label_name(self) -> bool {
        self.is_metric_name()
            || matches!(self, Bool | GroupLeft | GroupRight | Ignoring | On | Atan2)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) pos: PosRange,
}

impl Token {
    /// The name of this token in messages. `text` is the query.
    pub(crate) fn describe(self, text: &str) -> std::string::String {
        let written = text.get(self.pos.start..self.pos.end).unwrap_or_default();

        match self.kind.class() {
            Class::EndOfInput => "end of input".to_owned(),
            Class::Literal(what) => format!("{what} {}", shortened(written)),
            Class::Name(what) => format!("{what} {}", quote(written)),
            Class::Operator => format!("<op:{written}>"),
            Class::Aggregator => format!("<aggr:{written}>"),
            Class::Keyword => format!("<{written}>"),
            Class::Fixed => shortened(written),
        }
    }
}

/// The text in quotes. A text over 10 bytes is cut to 10 characters.
fn shortened(written: &str) -> std::string::String {
    const SHOWN_MAX: usize = 10;
    if written.len() <= SHOWN_MAX {
        return quote(written);
    }

    let head: std::string::String = written.chars().take(SHOWN_MAX).collect();
    format!("{}...", quote(&head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        assert!(WORDS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(TokenKind::of_word("SUM"), Some(Sum));
        assert_eq!(TokenKind::of_word("Inf"), Some(Number));
        assert_eq!(TokenKind::of_word("summ"), None);
    }

    #[test]
    fn a_long_token_is_shortened_in_messages() {
        let text = "\"a long string\"";
        let token = Token {
            kind: String,
            pos: PosRange::new(0, text.len()),
        };

        assert_eq!(token.describe(text), r#"string "\"a long st"..."#);
    }
}
