//! Parses the text of a target into an [`Expression`].
//!
//! sqlparser accepts more than PostgreSQL does, and PostgreSQL more than targets may use.
//! Everything that is not listed here is refused, so that a new version of the parser adds nothing
//! by itself. Types are inferred as in PostgreSQL: a string literal or `NULL` has no type of its
//! own and takes that of the other operand.

use sqlparser::ast::{BinaryOperator, Expr, Ident, UnaryOperator, Value as Literal};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use super::column::{Column, ColumnKind, ColumnValue};
use super::error::TargetError;
use super::expression::{Comparison, Expression, Step};
use super::like::Pattern;
use super::literal;
use super::refusal::{describe, quote, refuse, refuse_tokens};

/// Maximum nesting of expressions; the parser is recursive.
const NESTING_MAX: usize = 16;

/// An expression with its type. An expression without a type is a text literal or null.
#[derive(Debug)]
struct Typed {
    expression: Expression,
    kind: Option<ColumnKind>,
}

impl Typed {
    fn new(expression: Expression, kind: ColumnKind) -> Typed {
        Typed { expression, kind: Some(kind) }
    }

    fn truth(expression: Expression) -> Typed {
        Typed::new(expression, ColumnKind::Bool)
    }
}

pub(super) fn condition(text: &str) -> Result<Expression, TargetError> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| TargetError::Syntax(quote(&error.to_string())))?;
    refuse_tokens(&tokens)?;
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let tree = parser.parse_expr().map_err(|error| match error {
        ParserError::RecursionLimitExceeded => {
            TargetError::Syntax(format!("nested more than {NESTING_MAX} levels deep"))
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            TargetError::Syntax(quote(&text))
        }
    })?;
    match parser.peek_token().token {
        Token::EOF => settle(typed(&tree)?, ColumnKind::Bool, "a condition"),
        token => Err(TargetError::Trailing(quote(&token.to_string()))),
    }
}

fn typed(tree: &Expr) -> Result<Typed, TargetError> {
    match tree {
        Expr::Nested(inner) => typed(inner),
        Expr::Identifier(name) => column(std::slice::from_ref(name)),
        Expr::CompoundIdentifier(names) => column(names),
        Expr::Value(value) => constant(&value.value),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            let inner = settle(typed(expr)?, ColumnKind::Bool, "NOT")?;
            Ok(Typed::truth(Expression::Not(Box::new(inner))))
        }
        Expr::UnaryOp { op, expr } => signed(*op, expr),
        Expr::IsNull(inner) => is_null(inner).map(|null| not(null, false)),
        Expr::IsNotNull(inner) => is_null(inner).map(|null| not(null, true)),
        Expr::BinaryOp { op: BinaryOperator::And, .. } => {
            logic(tree, &BinaryOperator::And).map(|parts| Typed::truth(Expression::All(parts)))
        }
        Expr::BinaryOp { op: BinaryOperator::Or, .. } => {
            logic(tree, &BinaryOperator::Or).map(|parts| Typed::truth(Expression::Any(parts)))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Arrow, right } => steps(left, right, false),
        Expr::BinaryOp { left, op: BinaryOperator::LongArrow, right } => steps(left, right, true),
        Expr::BinaryOp { left, op: BinaryOperator::HashLongArrow, right } => path(left, right),
        Expr::BinaryOp { left, op, right } => comparison(left, op, right),
        Expr::InList { expr, list, negated } => among(expr, list).map(|inner| not(inner, *negated)),
        Expr::Like { negated, any: false, expr, pattern, escape_char } => {
            like(expr, pattern, escape_char.as_ref(), "LIKE").map(|inner| not(inner, *negated))
        }
        Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
            like(expr, pattern, escape_char.as_ref(), "ILIKE").map(|inner| not(inner, *negated))
        }
        other => refuse(describe(other)),
    }
}

fn column(names: &[Ident]) -> Result<Typed, TargetError> {
    // A name without quotes is case-insensitive.
    let fold = |name: &Ident| match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_ascii_lowercase(),
    };
    let found = match names {
        [name] => Some(fold(name)),
        [table, name] if fold(table) == "agents" => Some(fold(name)),
        _ => None,
    };
    let column = Column::ALL.into_iter().find(|column| found.as_deref() == Some(column.name()));
    let Some(column) = column else {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        return Err(TargetError::Column(quote(&names.join("."))));
    };
    Ok(Typed::new(Expression::Column(column), column.kind()))
}

fn constant(value: &Literal) -> Result<Typed, TargetError> {
    let untyped = |value| Ok(Typed { expression: Expression::Constant(value), kind: None });
    match value {
        Literal::Null => untyped(ColumnValue::Null),
        Literal::SingleQuotedString(text) | Literal::EscapedStringLiteral(text) => {
            untyped(ColumnValue::Text(text.clone()))
        }
        Literal::DollarQuotedString(text) => untyped(ColumnValue::Text(text.value.clone())),
        Literal::Boolean(truth) => {
            Ok(Typed::truth(Expression::Constant(ColumnValue::Bool(*truth))))
        }
        Literal::Number(text, false) => Ok(Typed::new(number(text, 1.0)?, ColumnKind::Number)),
        Literal::Placeholder(_) => refuse("a placeholder"),
        other => refuse(quote(&format!("the literal {other}"))),
    }
}

fn number(text: &str, sign: f64) -> Result<Expression, TargetError> {
    let number = literal::number(text).ok_or_else(|| wrong_literal(text, ColumnKind::Number))?;
    Ok(Expression::Constant(ColumnValue::Number(sign * number)))
}

fn wrong_literal(literal: &str, kind: ColumnKind) -> TargetError {
    TargetError::Literal { literal: quote(&format!("'{literal}'")), kind }
}

/// Parses a number with a sign.
fn signed(op: UnaryOperator, operand: &Expr) -> Result<Typed, TargetError> {
    let sign = match op {
        UnaryOperator::Minus => -1.0,
        UnaryOperator::Plus => 1.0,
        _ => return refuse(format!("operator {op}")),
    };
    match operand {
        Expr::Value(value) => match &value.value {
            Literal::Number(text, false) => Ok(Typed::new(number(text, sign)?, ColumnKind::Number)),
            _ => refuse(format!("operator {op}")),
        },
        _ => refuse(format!("operator {op}")),
    }
}

fn not(inner: Expression, negated: bool) -> Typed {
    Typed::truth(if negated { Expression::Not(Box::new(inner)) } else { inner })
}

/// Converts a literal without a type to `kind`; any other expression must have this type.
fn settle(typed: Typed, kind: ColumnKind, operator: &str) -> Result<Expression, TargetError> {
    match (typed.kind, typed.expression) {
        (Some(found), expression) if found == kind => Ok(expression),
        (Some(found), _) => {
            Err(TargetError::Operand { operator: operator.to_owned(), kind: found })
        }
        (None, Expression::Constant(ColumnValue::Text(text))) => literal::read(&text, kind)
            .map(Expression::Constant)
            .ok_or_else(|| wrong_literal(&text, kind)),
        (None, null) => Ok(null),
    }
}

/// Collects the parts of `a AND b AND c` or `a OR b OR c`, of any number, without recursion.
fn logic(tree: &Expr, operator: &BinaryOperator) -> Result<Vec<Expression>, TargetError> {
    let mut parts = Vec::new();
    let mut at = tree;
    while let Expr::BinaryOp { left, op, right } = at
        && op == operator
    {
        parts.push(right.as_ref());
        at = left;
    }
    parts.push(at);
    let name = operator.to_string();
    parts.into_iter().rev().map(|part| settle(typed(part)?, ColumnKind::Bool, &name)).collect()
}

/// Groups of non-associative operators: PostgreSQL does not accept two operators of a group in a
/// row. This also limits the depth of a tree without parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    Comparison,
    Is,
    Like,
}

fn rank(tree: &Expr) -> Option<Rank> {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    match tree {
        Expr::BinaryOp { op: Eq | NotEq | Lt | LtEq | Gt | GtEq, .. } => Some(Rank::Comparison),
        Expr::IsNull(_) | Expr::IsNotNull(_) => Some(Rank::Is),
        Expr::Like { .. } | Expr::ILike { .. } | Expr::InList { .. } => Some(Rank::Like),
        _ => None,
    }
}

/// Parses an operand of an operator of the group `of`.
fn operand(tree: &Expr, of: Rank) -> Result<Typed, TargetError> {
    if rank(tree) == Some(of) {
        return refuse(quote(&format!("{tree} as an operand without parentheses")));
    }
    typed(tree)
}

fn is_null(inner: &Expr) -> Result<Expression, TargetError> {
    Ok(Expression::IsNull(Box::new(operand(inner, Rank::Is)?.expression)))
}

fn comparison(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Typed, TargetError> {
    let comparison = match op {
        BinaryOperator::Eq => Comparison::Equal,
        BinaryOperator::NotEq => Comparison::NotEqual,
        BinaryOperator::Lt => Comparison::Less,
        BinaryOperator::LtEq => Comparison::LessOrEqual,
        BinaryOperator::Gt => Comparison::Greater,
        BinaryOperator::GtEq => Comparison::GreaterOrEqual,
        other => return refuse(quote(&format!("operator {other}"))),
    };
    let (left, right) = (operand(left, Rank::Comparison)?, operand(right, Rank::Comparison)?);
    let kind = left.kind.or(right.kind).unwrap_or(ColumnKind::Text);
    let op = op.to_string();
    let left = Box::new(comparable(left, kind, &op)?);
    let right = Box::new(comparable(right, kind, &op)?);
    Ok(Typed::truth(Expression::Compare(left, comparison, right)))
}

/// Converts one side of a comparison of values of type `kind`.
fn comparable(side: Typed, kind: ColumnKind, op: &str) -> Result<Expression, TargetError> {
    match side.kind {
        Some(other) if other != kind => Err(TargetError::Types(kind, other)),
        _ if kind == ColumnKind::Json => {
            Err(TargetError::Operand { operator: op.to_owned(), kind })
        }
        _ => settle(side, kind, op),
    }
}

fn among(needle: &Expr, list: &[Expr]) -> Result<Expression, TargetError> {
    let needle = operand(needle, Rank::Like)?;
    let list: Vec<Typed> = list.iter().map(typed).collect::<Result<_, _>>()?;
    // A needle without a type takes that of the list.
    let kind = needle.kind.or_else(|| list.iter().find_map(|element| element.kind));
    let kind = kind.unwrap_or(ColumnKind::Text);
    let list = list.into_iter().map(|element| comparable(element, kind, "IN"));
    Ok(Expression::In(Box::new(comparable(needle, kind, "IN")?), list.collect::<Result<_, _>>()?))
}

fn like(
    text: &Expr,
    pattern: &Expr,
    escape: Option<&Literal>,
    operator: &'static str,
) -> Result<Expression, TargetError> {
    let text = settle(operand(text, Rank::Like)?, ColumnKind::Text, operator)?;
    let escape = match escape {
        None => Some('\\'),
        Some(Literal::SingleQuotedString(text)) => {
            let mut chars = text.chars();
            let first = chars.next();
            if chars.next().is_some() {
                return Err(TargetError::Form { what: "escape character", literal: quote(text) });
            }
            first
        }
        Some(other) => return refuse(quote(&format!("ESCAPE {other}"))),
    };
    match settle(typed(pattern)?, ColumnKind::Text, operator)? {
        Expression::Constant(ColumnValue::Text(pattern)) => {
            Pattern::new(&pattern, escape, operator == "ILIKE")
                .map(|pattern| Expression::Like(Box::new(text), Box::new(pattern)))
                .ok_or_else(|| TargetError::Form { what: "pattern", literal: quote(&pattern) })
        }
        Expression::Constant(null) => Ok(Expression::Constant(null)),
        _ => refuse(format!("{operator} with a pattern that is not a literal")),
    }
}

/// Parses `document -> 'key' -> 0 ->> 'other'`, with any number of steps, without recursion.
fn steps(document: &Expr, last: &Expr, as_text: bool) -> Result<Typed, TargetError> {
    let mut path = vec![step(last, if as_text { "->>" } else { "->" })?];
    let mut document = document;
    while let Expr::BinaryOp { left, op: BinaryOperator::Arrow, right } = document {
        path.push(step(right, "->")?);
        document = left;
    }
    into_document(document, path.into_iter().rev().collect(), as_text, "->")
}

/// Parses the right operand of an arrow; returns `None` for null, which matches nothing.
fn step(tree: &Expr, operator: &str) -> Result<Option<Step>, TargetError> {
    match typed(tree)?.expression {
        Expression::Constant(ColumnValue::Text(key)) => Ok(Some(Step::Key(key))),
        Expression::Constant(ColumnValue::Null) => Ok(None),
        Expression::Constant(ColumnValue::Number(number)) => match number.to_string().parse() {
            Ok(index) => Ok(Some(Step::Index(index))),
            Err(_) => Err(TargetError::Form { what: "index", literal: number.to_string() }),
        },
        _ => refuse(format!("{operator} with a key that is not a literal")),
    }
}

/// Parses `document #>> '{key,0}'`.
fn path(document: &Expr, path: &Expr) -> Result<Typed, TargetError> {
    let path = match typed(path)?.expression {
        Expression::Constant(ColumnValue::Text(text)) => literal::path(&text)
            .ok_or_else(|| TargetError::Form { what: "path", literal: quote(&text) })?
            .into_iter()
            .map(|element| element.map(Step::Either))
            .collect::<Option<Vec<Step>>>(),
        Expression::Constant(ColumnValue::Null) => None,
        _ => return refuse("#>> with a path that is not a literal"),
    };
    into_document(document, path, true, "#>>")
}

fn into_document(
    document: &Expr,
    path: Option<Vec<Step>>,
    as_text: bool,
    operator: &str,
) -> Result<Typed, TargetError> {
    let document = typed(document)?;
    // A literal could have several types here, so PostgreSQL refuses it too.
    if document.kind != Some(ColumnKind::Json) {
        let kind = document.kind.unwrap_or(ColumnKind::Text);
        return Err(TargetError::Operand { operator: operator.to_owned(), kind });
    }
    let kind = if as_text { ColumnKind::Text } else { ColumnKind::Json };
    let document = Box::new(document.expression);
    Ok(Typed::new(
        match path {
            Some(path) => Expression::Json { document, path, as_text },
            // A path that contains null matches nothing.
            None => Expression::Constant(ColumnValue::Null),
        },
        kind,
    ))
}
