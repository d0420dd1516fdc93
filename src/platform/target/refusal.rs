//! Names of the parts of SQL that targets must not use.

use sqlparser::ast::Expr;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};

use crate::chain::excerpt;

use super::error::TargetError;

/// Maximum size of an excerpt of a target in an error, in bytes.
const EXCERPT_BYTES_MAX: usize = 80;

pub(super) fn refuse<T>(what: impl Into<String>) -> Result<T, TargetError> {
    Err(TargetError::Refused(what.into()))
}

/// Returns an excerpt of a target that is safe to print.
pub(super) fn quote(text: &str) -> String {
    excerpt(text, EXCERPT_BYTES_MAX).into_owned()
}

/// Refuses tokens that the parser would skip or misinterpret, or that would need much of the stack.
pub(super) fn refuse_tokens(tokens: &[TokenWithSpan]) -> Result<(), TargetError> {
    for token in tokens {
        match &token.token {
            Token::Word(Word { quote_style: None, keyword, .. }) => match keyword {
                Keyword::SELECT | Keyword::WITH | Keyword::VALUES => return refuse("a subquery"),
                Keyword::CASE => return refuse("CASE"),
                Keyword::ARRAY => return refuse("an array"),
                _ => {}
            },
            Token::LBracket => return refuse("a subscript"),
            Token::Whitespace(
                Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_),
            ) => return refuse("a comment"),
            Token::DoubleEq => return refuse("operator =="),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the name of an expression that is refused.
pub(super) fn describe(tree: &Expr) -> String {
    let name = match tree {
        Expr::Function(function) => return quote(&format!("function {}", function.name)),
        Expr::UnaryOp { op, .. } => return format!("operator {op}"),
        Expr::Cast { .. } => "a cast",
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => "a subquery",
        Expr::Between { .. } => "BETWEEN",
        Expr::SimilarTo { .. } => "SIMILAR TO",
        Expr::RLike { .. } => "RLIKE",
        Expr::AnyOp { .. } | Expr::Like { .. } | Expr::ILike { .. } => "ANY",
        Expr::AllOp { .. } => "ALL",
        Expr::IsTrue(_) | Expr::IsNotTrue(_) => "IS TRUE",
        Expr::IsFalse(_) | Expr::IsNotFalse(_) => "IS FALSE",
        Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => "IS UNKNOWN",
        Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => "IS DISTINCT FROM",
        Expr::Case { .. } => "CASE",
        Expr::Tuple(_) => "a row",
        Expr::Array(_) => "an array",
        Expr::Interval(_) => "an interval",
        Expr::TypedString(_) => "a literal with a type",
        Expr::AtTimeZone { .. } => "AT TIME ZONE",
        Expr::Collate { .. } => "COLLATE",
        Expr::CompoundFieldAccess { .. } | Expr::JsonAccess { .. } => "a subscript",
        other => return quote(&format!("the expression {other}")),
    };
    name.to_owned()
}
