//! Values of targets, compared with PostgreSQL's, and targets that are refused.

#![expect(clippy::disallowed_methods, reason = "tests read their data")]

use proptest::prelude::{ProptestConfig, proptest};
use serde_json::json;

use super::{AgentProperties, Column, ColumnValue, Evaluation, Row, Target, TargetError, Value};
use crate::data::testing::{DatabaseKind as Kind, Tables};

#[derive(Debug)]
struct Agent;

impl AgentProperties for Agent {
    fn value(&self, column: Column) -> ColumnValue {
        let text = |text: &str| ColumnValue::Text(text.to_owned());
        let time = |text: &str| ColumnValue::Time(text.parse().unwrap());
        match column {
            Column::Id => ColumnValue::Number(42.0),
            Column::Name => text("vm.lab"),
            Column::QueueLoc => text("linux.vm"),
            Column::Mode => text("daemon"),
            Column::Version => text("2019-abc"),
            Column::Pid => ColumnValue::Number(1234.0),
            Column::StartTime => time("2020-01-02T03:04:05Z"),
            Column::DestructionTime | Column::LoaderName => ColumnValue::Null,
            Column::HeartbeatTime | Column::RefreshTime => time("2026-11-22T12:00:00Z"),
            Column::Status => text("online"),
            Column::Environment => ColumnValue::Json(json!({
                "os": "linux", "isproxied": false, "num": 7, "nothing": null,
                "addresses": ["127.0.0.1/8", "::1/128"], "nested": {"deep": {"n": 1}},
            })),
            Column::Tags => ColumnValue::Json(json!({"operator": "IT", "a b": "c"})),
        }
    }
}

fn refusal(text: &str) -> String {
    match Target::parse(text) {
        Ok(_) => panic!("{text:?} is accepted"),
        Err(error) => error.to_string(),
    }
}

/// Returns the expected value and the text of each sample condition.
fn conditions() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/targets.txt");
    let table = std::fs::read_to_string(path).unwrap();
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| line.split_once('\t').map(|(a, b)| (a.to_owned(), b.to_owned()));
    lines.map(|line| pair(line).unwrap()).collect()
}

#[test]
fn postgresql_agrees_with_the_table() {
    let tables = Tables::new(Kind::Postgres);
    tables.open().unwrap();
    let mut server = tables.connect();
    let json = |column| match Agent.value(column) {
        ColumnValue::Json(json) => json.to_string(),
        _ => panic!("not JSON"),
    };
    let (environment, tags) = (json(Column::Environment), json(Column::Tags));
    let row = format!(
        "set time zone 'UTC'; insert into agents (id, name, queueloc, mode, version, pid, starttime, \
         heartbeattime, refreshtime, status, environment, tags) values (42, 'vm.lab', 'linux.vm', \
         'daemon', '2019-abc', 1234, '2020-01-02T03:04:05Z', '2026-11-22T12:00:00Z', \
         '2026-11-22T12:00:00Z', 'online', '{environment}', '{tags}')"
    );
    server.batch_execute(&row).unwrap();
    // The test's server knows upper and lower case of ASCII only.
    let ascii = |(_, text): &(String, String)| text.is_ascii() || !text.contains("ILIKE");
    for (expected, text) in conditions().into_iter().filter(ascii) {
        // Used as a condition, so that a text becomes a truth value.
        let query = format!(
            "select case when ({text}) then 'true' when not ({text}) then 'false' else 'unknown' end \
             from agents"
        );
        let value: String = server.query_one(&query, &[]).expect(&text).get(0);
        assert_eq!(value, expected, "{text}");
    }
}

#[test]
fn conditions_have_the_values_of_the_table() {
    for (expected, text) in conditions() {
        let (expected, text) = (expected.as_str(), text.as_str());
        let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let expected = match expected {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "unknown" => Value::Null,
            other => panic!("{other}"),
        };
        assert_eq!(target.0.value(&Row::new(&Agent)), expected, "{text}");
        assert_eq!(target.matches(&Agent), expected == Value::Bool(true), "{text}");
    }
}

#[test]
fn unlisted_expressions_are_refused_by_name() {
    for (text, name) in [
        ("heartbeattime > NOW()", "function NOW"),
        ("heartbeattime > now() - interval '5 minutes'", "operator -"),
        ("pg_sleep(10) IS NULL", "function pg_sleep"),
        ("lower(name) = 'vm'", "function lower"),
        ("id IN (SELECT id FROM agents)", "a subquery"),
        ("EXISTS (SELECT 1)", "a subquery"),
        ("name = (SELECT name FROM investigators)", "a subquery"),
        ("environment::text LIKE '%x%'", "a cast"),
        ("CAST(id AS text) = '1'", "a cast"),
        ("id BETWEEN 1 AND 2", "BETWEEN"),
        ("name ~ 'vm.*'", "operator ~"),
        ("name ~* 'vm.*'", "operator ~*"),
        ("name SIMILAR TO 'a'", "SIMILAR TO"),
        ("name || 'x' = 'y'", "operator ||"),
        ("id + 1 = 43", "operator +"),
        ("-id < 0", "operator -"),
        // PostgreSQL parses this as two operators; so does sqlparser with a space between them.
        ("id >-1", "operator >-"),
        ("environment @> '{}'", "operator @>"),
        ("environment ? 'os'", "operator ?"),
        ("environment #> '{os}' IS NULL", "operator #>"),
        ("environment['os'] IS NULL", "a subscript"),
        ("status = ANY('{online}')", "ANY"),
        ("name LIKE ANY ('{a}')", "ANY"),
        ("name = ANY (ARRAY['a'])", "an array"),
        ("WITH a AS (SELECT 1) SELECT true", "a subquery"),
        ("status IS TRUE", "IS TRUE"),
        ("status IS DISTINCT FROM 'x'", "IS DISTINCT FROM"),
        ("CASE WHEN true THEN true END", "CASE"),
        ("(name, status) = ('a', 'b')", "a row"),
        ("starttime > timestamp '2020-01-01'", "a literal with a type"),
        ("starttime AT TIME ZONE 'UTC' IS NULL", "AT TIME ZONE"),
        ("name = X'41'", "literal"),
        ("name = $1", "a placeholder"),
        ("name == 'vm'", "operator =="),
        ("name = 'x' -- ' or true", "a comment"),
        ("name = /* */ 'x'", "a comment"),
        ("name = 'a' = true", "without parentheses"),
        ("name IS NULL IS NULL", "without parentheses"),
        ("name LIKE version", "not a literal"),
        ("environment -> name IS NULL", "not a literal"),
        ("environment #>> name IS NULL", "not a literal"),
        ("name LIKE 'a' ESCAPE $$a$$", "ESCAPE"),
    ] {
        let error = refusal(text);
        assert!(error.starts_with("target uses "), "{text}: {error}");
        assert!(error.contains(name), "{text}: {error}");
    }
}

#[test]
fn text_that_is_not_a_condition_is_refused() {
    for (text, part) in [
        ("", "not an SQL condition"),
        ("status='online", "not an SQL condition"),
        ("status='online'; DROP TABLE agents", "continues after its condition: ;"),
        ("true) OR (true", "continues after its condition: )"),
        ("status='online' name", "continues after its condition: name"),
        ("status='online' ORDER BY 1", "continues after its condition: ORDER"),
        ("name AS x", "continues after"),
        ("*", "not an SQL condition"),
        ("name ISNULL", "continues after its condition: ISNULL"),
        ("nosuch = 1", "names nosuch, which is not a column"),
        ("\"STATUS\" = 'online'", "names \"STATUS\", which is not a column"),
        ("investigators.name = 'x'", "names investigators.name"),
        ("status", "cannot use a condition on a text"),
        ("status AND true", "cannot use AND on a text"),
        ("NOT id", "cannot use NOT on a number"),
        ("status = 1", "cannot compare a text with a number"),
        ("id IN (1, name)", "cannot compare a number with a text"),
        ("starttime = name", "cannot compare a time with a text"),
        ("environment = '{}'", "cannot use = on JSON"),
        ("environment->'os' = 'linux'", "cannot use = on JSON"),
        ("environment IN ('{}')", "cannot use IN on JSON"),
        ("environment LIKE '%'", "cannot use LIKE on JSON"),
        ("id ILIKE '4%'", "cannot use ILIKE on a number"),
        ("name->>'x' = 'y'", "cannot use -> on a text"),
        ("'{}'->>'x' = 'y'", "cannot use -> on a text"),
        ("environment->>'a'->>'b' = 'c'", "cannot use -> on a text"),
        ("id = 'x'", "'x', which is not a number"),
        ("id = 'inf'", "'inf', which is not a number"),
        ("id = 1e999", "'1e999', which is not a number"),
        ("starttime > 'yesterday'", "'yesterday', which is not a time"),
        ("starttime > '2020-13-01'", "'2020-13-01', which is not a time"),
        ("'maybe'", "'maybe', which is not a truth value"),
        ("environment->1.5 IS NULL", "invalid index: 1.5"),
        ("environment #>> 'os' IS NULL", "invalid path: os"),
        ("environment #>> '{os' IS NULL", "invalid path: {os"),
        ("environment #>> '{a,}' IS NULL", "invalid path: {a,}"),
        ("environment #>> '{{a}}' IS NULL", "invalid path: {{a}}"),
        ("name LIKE 'a\\'", "invalid pattern: a\\"),
        ("name LIKE 'a' ESCAPE 'xy'", "invalid escape character: xy"),
    ] {
        let error = refusal(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn errors_are_short_and_safe_to_print() {
    let error = refusal(&format!("name = 'x' \u{1b}[2J{}", "y".repeat(1000)));
    assert!(error.len() < 200, "{error}");
    assert!(!error.contains('\u{1b}'));
}

#[test]
fn length_and_nesting_are_limited() {
    assert_eq!(Target::parse(&format!("name='{}'", "x".repeat(2048))), Err(TargetError::Long));
    let longest = format!("true{}", " OR true".repeat(255));
    assert!(Target::parse(&longest).unwrap().matches(&Agent));
    let longest = format!("tags{} IS NULL", "->1".repeat(600));
    assert!(Target::parse(&longest).unwrap().matches(&Agent));
    let nested = |depth| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Target::parse(&nested(10)).unwrap().matches(&Agent));
    assert!(refusal(&nested(1000)).contains("deep"));
    assert!(Target::parse(&format!("{}true", "NOT ".repeat(8))).unwrap().matches(&Agent));
    refusal(&format!("{}true", "NOT ".repeat(500)));
    for open in
        ["(", "CASE ", "NOT(", "f(", "[", "(SELECT ", "- ", "ARRAY[", "name LIKE (", "EXISTS ("]
    {
        assert!(Target::parse(&open.repeat(200)).is_err(), "{open}");
    }
}

#[test]
fn number_of_conditions_is_limited() {
    let conditions = |count: usize| format!("id=0{}", " OR id=0".repeat(count - 1));
    assert!(!Target::parse(&conditions(128)).unwrap().matches(&Agent));
    assert_eq!(Target::parse(&conditions(129)), Err(TargetError::Conditions));
    // The elements of a list are not conditions of their own.
    let list = format!("id IN (0{})", ",1".repeat(900));
    assert!(!Target::parse(&list).unwrap().matches(&Agent));
}

/// An agent of which only the tags are asked for, with the number of times that they were.
#[derive(Debug)]
struct Tagged(serde_json::Value, std::cell::Cell<usize>);

impl AgentProperties for Tagged {
    fn value(&self, column: Column) -> ColumnValue {
        assert_eq!(column, Column::Tags);
        self.1.set(self.1.get() + 1);
        ColumnValue::Json(self.0.clone())
    }
}

#[test]
fn each_column_is_read_once_for_a_row() {
    let tags = Tagged(json!({"a": "A".repeat(1000)}), std::cell::Cell::new(0));
    let target = format!("tags->>'a' ILIKE '%a_b%'{}", " OR tags->>'a' ILIKE '%b%'".repeat(50));
    assert!(!Target::parse(&target).unwrap().matches(&tags));
    assert_eq!(tags.1.get(), 1);
}

/// Trying each end of a `%` anew would take more than a thousand million steps for each pattern.
#[test]
fn pattern_that_almost_matches_everywhere_is_evaluated_in_time() {
    for (chars, end) in [(1 << 20, "_b"), (8 << 20, "b")] {
        let tags = Tagged(json!({"a": "A".repeat(chars)}), std::cell::Cell::new(0));
        let target = format!("tags->>'a' ILIKE '%{}{end}%'", "a".repeat(1900));
        let target = Target::parse(&target).unwrap();
        assert_eq!(target.evaluation().matches(&tags), Ok(false), "{end}");
    }
}

#[test]
fn evaluation_ends_when_its_time_is_used_up() {
    let target = Target::parse("tags->>'a' ILIKE '%x_b%'").unwrap();
    assert_eq!(target.evaluation().matches(&Agent), Ok(false));
    // Far more than the time that one agent adds.
    let tags = Tagged(json!({"a": "x".repeat(10 << 20)}), std::cell::Cell::new(0));
    let mut evaluation = Evaluation { target: &target, left: std::time::Duration::ZERO };
    assert_eq!(evaluation.matches(&tags), Err(TargetError::Slow));
    assert!(TargetError::Slow.to_string().contains("more than 2 s"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn parser_never_panics_on_text(text: String) {
        if let Ok(target) = Target::parse(&text) {
            target.matches(&Agent);
        }
    }

    #[test]
    fn parser_never_panics_on_tokens(
        text in "((status|name|id|tags|environment|starttime|NULL|true|'a%'|'\\{a,0\\}'|1|-1|=|<>|<|->|->>|#>>|AND|OR|NOT|IN|IS|LIKE|ILIKE|ESCAPE|\\(|\\)|,) ){0,16}"
    ) {
        if let Ok(target) = Target::parse(&text) {
            target.matches(&Agent);
        }
    }
}
