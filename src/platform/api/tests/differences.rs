//! The intended differences between the responses of this API and the original's, as a table in the
//! words of the manual.

use super::recording::{Exchange, message};
use crate::platform::api::ApiResponse;

pub(super) struct Difference {
    /// The request, the original's behaviour and that of this API, as a row of the manual.
    pub(super) row: [&'static str; 3],
    /// Returns whether the difference applies to a recorded exchange.
    pub(super) is_case: fn(&Exchange) -> bool,
    /// Returns whether a response is what the row says.
    pub(super) holds: fn(&ApiResponse) -> bool,
}

pub(super) const DIFFERENCES: [Difference; 4] = [
    Difference {
        row: ["search without a condition", "500, an error in its SQL", "all rows"],
        is_case: |exchange| exchange.message().contains("syntax error at or near \"GROUP\""),
        holds: |answer| answer.status == 200 && answer.body.contains("\"data\""),
    },
    Difference {
        row: ["search actions by status", "500, an error in its SQL", "those actions"],
        is_case: |exchange| exchange.message().contains("missing FROM-clause"),
        holds: |answer| {
            answer.status == 200 && answer.body.contains("\"status\":\"completed\",\"starttime\"")
        },
    },
    Difference {
        row: ["search by invalid target", "the database's text", "own text"],
        is_case: |exchange| {
            exchange.path.contains("target=")
                && exchange.message().starts_with("Error while finding agents: 'pq: ")
        },
        holds: |answer| {
            let text = message(&answer.body);
            let text = text.strip_prefix("Error while finding agents: '");
            answer.status == 500 && text.is_some_and(|text| !text.starts_with("pq: "))
        },
    },
    Difference {
        row: ["authentication disabled", "all users are allowed", "no such option"],
        is_case: |exchange| {
            exchange.label.contains("-pgdown-noauth-") && !exchange.message().is_empty()
        },
        holds: |answer| answer.status == 401,
    },
];

/// Returns the difference that applies to an exchange.
pub(super) fn of(exchange: &Exchange) -> Option<&'static Difference> {
    let mut cases = DIFFERENCES.iter().filter(|difference| (difference.is_case)(exchange));
    let case = cases.next();
    assert!(cases.next().is_none(), "two differences apply to {}", exchange.label);
    case
}

const PAGE: &str = include_str!("../../../../man/mig-standalone.8");

#[test]
fn manual_lists_the_same_differences() {
    let (_, rows) = PAGE.split_once(".It Em API request ").unwrap();
    let rows = rows.lines().skip(1).take_while(|line| !line.starts_with(".It Em "));
    let described: Vec<Vec<&str>> =
        rows.map(|row| row.strip_prefix(".It ").unwrap().split(" Ta ").collect()).collect();
    assert_eq!(described, DIFFERENCES.map(|difference| difference.row.to_vec()));
}
