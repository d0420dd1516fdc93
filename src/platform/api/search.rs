//! `GET search`: actions, commands, agents or investigators, page by page.
//!
//! Every response echoes the search parameters, with defaults filled in: `%` for a text, `∞` for an
//! id, a window of four and a half years before and after now. A default does not restrict the
//! search. Where the original responds with an error in its own SQL (a search without any
//! parameter, actions by status), this API searches.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::page::PageItems;
use super::read::{float, whole};
use super::request::Parameters;
use super::response::Item;
use super::{Api, ApiRequest, ApiResponse, ROOT, Refusal};
use crate::clock::{after, before};
use crate::data::{Id, SearchFilter, SearchPage};
use crate::go::time::Time;
use crate::platform::target::{Target, TargetError};
use crate::platform::view;

/// Default number of rows in a response.
const LIMIT_DEFAULT: f64 = 100.0;
/// Length of the default window before and after now.
const WINDOW: Duration = Duration::from_secs(1650 * 86_400);
/// A time within this distance of the default window's end does not restrict the search.
const WINDOW_MARGIN: Duration = Duration::from_secs(3600);
/// Placeholder for any text.
const ANY_TEXT: &str = "%";
/// Placeholder for any id.
const ANY_ID: &str = "∞";

/// The search parameters that a response echoes, in alphabetical order.
#[derive(Debug, Serialize)]
struct EchoedParameters {
    actionid: String,
    actionname: String,
    after: String,
    agentid: String,
    agentname: String,
    agentversion: String,
    before: String,
    commandid: String,
    foundanything: bool,
    investigatorid: String,
    investigatorname: String,
    limit: Box<RawValue>,
    loaderid: String,
    loadername: String,
    manifestid: String,
    manifestname: String,
    offset: Box<RawValue>,
    report: String,
    status: String,
    target: String,
    threatfamily: String,
    r#type: String,
}

/// The position of a page, and the link to the next one.
#[derive(Debug, Serialize)]
struct Pagination {
    limit: Box<RawValue>,
    offset: Box<RawValue>,
    next: String,
}

/// The parameters of a search.
#[derive(Debug)]
struct SearchRequest {
    parameters: Parameters,
    limit: f64,
    offset: f64,
    after: Time,
    before: Time,
    found: Option<bool>,
    now: Timestamp,
}

impl SearchRequest {
    /// Parses the parameters; returns the valid ones and the first fault.
    fn parse(parameters: Parameters, now: Timestamp) -> (SearchRequest, Option<&'static str>) {
        let mut fault = None;
        let mut number = |name, default, text| match parameters.first(name).map(float) {
            None => default,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                fault = fault.or(Some(text));
                0.0
            }
        };
        let limit = number("limit", LIMIT_DEFAULT, "invalid limit parameter");
        let offset = number("offset", 0.0, "invalid offset parameter");
        let mut time = |name, default: Timestamp, text| match parameters.first(name) {
            None => Time::from(default),
            Some(given) => given.parse().unwrap_or_else(|_| {
                fault = fault.or(Some(text));
                Time::ZERO
            }),
        };
        let begin = time("after", before(now, WINDOW), "after date not in RFC3339 format");
        let end = time("before", after(now, WINDOW), "before date not in RFC3339 format");
        let found = match parameters.first("foundanything").map(str::to_lowercase).as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                fault = fault.or(Some("foundanything parameter must be true or false"));
                None
            }
        };
        if parameters.first("report").is_some() {
            fault = fault.or(Some("report not implemented"));
        }
        let (after, before) = (begin, end);
        (SearchRequest { parameters, limit, offset, after, before, found, now }, fault)
    }

    fn kind(&self) -> &str {
        self.parameters.first("type").unwrap_or("action")
    }

    /// Returns a text parameter that restricts the search.
    fn text(&self, name: &str) -> Option<String> {
        self.parameters.first(name).filter(|text| *text != ANY_TEXT).map(str::to_owned)
    }

    /// Returns an id parameter that restricts the search. A number that cannot be an id becomes 0,
    /// which no row has.
    fn id(&self, name: &str) -> Result<Option<Id>, String> {
        let given = self.parameters.first(name).filter(|text| *text != ANY_ID);
        let number = given.map(float).transpose()?;
        Ok(number.map(|number| whole(number).unwrap_or(Id::new(0))))
    }

    fn filter(&self) -> Result<SearchFilter, String> {
        let (begin, end) = (self.after.timestamp(), self.before.timestamp());
        let first = after(before(self.now, WINDOW), WINDOW_MARGIN);
        let last = before(after(self.now, WINDOW), WINDOW_MARGIN);
        Ok(SearchFilter {
            action: self.id("actionid")?,
            action_name: self.text("actionname"),
            agent: self.id("agentid")?,
            agent_name: self.text("agentname"),
            agent_version: self.text("agentversion"),
            command: self.id("commandid")?,
            investigator: self.id("investigatorid")?,
            investigator_name: self.text("investigatorname"),
            status: self.text("status"),
            threat_family: self.text("threatfamily"),
            found: self.found,
            after: (begin > first).then_some(begin),
            before: (end < last).then_some(end),
        })
    }

    /// Returns the page. The error is the position, in the original's query, of the value that is
    /// not a valid number of rows.
    fn page(&self, filter: &SearchFilter) -> Result<SearchPage, usize> {
        let position = filter_values(filter) + 1;
        let limit = rows(self.limit).ok_or(position)?;
        Ok(SearchPage { limit, offset: rows(self.offset).ok_or(position + 1)? })
    }

    /// Returns the offset of the page after the one with the items `found`.
    fn next_offset(&self, found: &PageItems) -> f64 {
        match u32::try_from(found.len()) {
            Ok(count) if found.is_full() => self.offset + f64::from(count),
            _ => self.offset + self.limit,
        }
    }

    fn echoed(&self) -> Result<EchoedParameters, serde_json::Error> {
        let text = |name: &str| self.parameters.first(name).unwrap_or(ANY_TEXT).to_owned();
        let id = |name: &str| self.parameters.first(name).unwrap_or(ANY_ID).to_owned();
        let other = |name: &str| self.parameters.first(name).unwrap_or_default().to_owned();
        Ok(EchoedParameters {
            actionid: id("actionid"),
            actionname: text("actionname"),
            after: self.after.to_string(),
            agentid: id("agentid"),
            agentname: text("agentname"),
            agentversion: text("agentversion"),
            before: self.before.to_string(),
            commandid: id("commandid"),
            foundanything: self.found.unwrap_or(false),
            investigatorid: id("investigatorid"),
            investigatorname: text("investigatorname"),
            limit: number(self.limit)?,
            loaderid: id("loaderid"),
            loadername: text("loadername"),
            manifestid: id("manifestid"),
            manifestname: text("manifestname"),
            offset: number(self.offset)?,
            report: other("report"),
            status: text("status"),
            target: other("target"),
            threatfamily: text("threatfamily"),
            r#type: self.kind().to_owned(),
        })
    }
}

/// Returns the number of values in the original's query: an id is a range and has two.
fn filter_values(filter: &SearchFilter) -> usize {
    let ids = [filter.action, filter.agent, filter.command, filter.investigator];
    let texts = [
        &filter.action_name,
        &filter.agent_name,
        &filter.agent_version,
        &filter.investigator_name,
        &filter.status,
        &filter.threat_family,
    ];
    2 * ids.iter().flatten().count()
        + texts.into_iter().flatten().count()
        + usize::from(filter.after.is_some())
        + usize::from(filter.before.is_some())
}

/// Truncates a number to a number of rows.
fn rows(number: f64) -> Option<i64> {
    format!("{:.0}", number.trunc()).parse().ok().filter(|rows| *rows >= 0)
}

/// Formats a number as Go writes it in JSON: a whole one without a point.
fn number(number: f64) -> Result<Box<RawValue>, serde_json::Error> {
    match rows(number) {
        Some(rows) if number.fract() == 0.0 => to_raw_value(&rows),
        _ if number.fract() == 0.0 && number.abs() < 1e15 => {
            RawValue::from_string(format!("{number}"))
        }
        _ => to_raw_value(&number),
    }
}

impl Api {
    pub(super) fn search(&self, request: &ApiRequest) -> Result<ApiResponse, Refusal> {
        let (search, fault) = SearchRequest::parse(request.parameters(), self.clock.now());
        if search.limit.is_nan() || search.offset.is_nan() {
            // The original cannot encode the echoed parameters, and sends an empty response.
            return Ok(ApiResponse::empty());
        }
        let href = format!("{}{}", self.base, request.uri());
        let echoed = Item::new(href.clone(), "search parameters", &search.echoed()?)?;
        let refuse =
            |status, message: String, echoed| Err(Refusal { status, message, items: vec![echoed] });
        if let Some(fault) = fault {
            return refuse(500, format!("parseSearchParameters()-> {fault}"), echoed);
        }
        let found = match self.find(&search) {
            Ok(found) => found,
            Err(refusal) => return refuse(refusal.status, refusal.message, echoed),
        };
        if found.len() == 0 {
            return refuse(404, "no results found".to_owned(), echoed);
        }
        let next = search.next_offset(&found);
        let mut items = found.into_items();
        if search.offset > 0.0 {
            items.push(Item::new(href, "pagination", &self.pagination(&search, next)?)?);
        }
        items.push(echoed);
        self.found(request, &items)
    }

    fn find(&self, search: &SearchRequest) -> Result<PageItems, Refusal> {
        let kind = search.kind();
        if !matches!(kind, "action" | "command" | "agent" | "investigator") {
            return Err(Refusal::new(500, "search type is invalid"));
        }
        let filter = search.filter().map_err(|error| Refusal::new(500, error))?;
        let page = search.page(&filter).map_err(|position| {
            let text = "uint64 values with high bit set are not supported";
            let text = format!("sql: converting argument ${position} type: {text}");
            Refusal::new(500, format!("Error while finding {kind}s: '{text}'"))
        })?;
        match kind {
            "command" => {
                let rows = self.store.search_commands(&filter, page)?;
                PageItems::of(rows.into_iter().map(|row| self.command_item(&row)))
            }
            "agent" => self.find_agents(search, &filter, page),
            "investigator" => {
                let rows = self.store.search_investigators(&filter, page)?;
                PageItems::of(
                    rows.into_iter()
                        .map(|row| self.investigator_item(row.id, &view::investigator(&row))),
                )
            }
            _ => {
                let rows = self.store.search_actions(&filter, page)?;
                PageItems::of(rows.into_iter().map(|row| self.action_item(&row)))
            }
        }
    }

    /// Returns agents; if there is a target, those that it selects.
    fn find_agents(
        &self,
        search: &SearchRequest,
        filter: &SearchFilter,
        page: SearchPage,
    ) -> Result<PageItems, Refusal> {
        let target = search.parameters.first("target").filter(|target| !target.is_empty());
        match target {
            None => {
                let agents = self.store.search_agents(filter, page)?;
                let item = |row| self.agent_view_item(&view::agent_without_refresh(&row)?);
                PageItems::of(agents.into_iter().map(item))
            }
            Some(target) => self.find_targeted_agents(target, page),
        }
    }

    /// Returns a page of the agents that a target selects.
    fn find_targeted_agents(&self, target: &str, page: SearchPage) -> Result<PageItems, Refusal> {
        let refuse = |error: TargetError| {
            Refusal::new(500, format!("Error while finding agents: '{error}'"))
        };
        let target = Target::parse(target).map_err(refuse)?;
        let mut evaluation = target.evaluation();
        let mut skip = usize::try_from(page.offset).unwrap_or(usize::MAX);
        let take = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let mut items = PageItems::default();
        for agent in self.store.live_agents() {
            if items.len() == take || items.is_full() {
                break;
            }
            let agent = agent?;
            match evaluation.matches(&agent).map_err(refuse)? {
                true if skip > 0 => skip -= 1,
                true => items.push(self.agent_item(&agent)?),
                false => {}
            }
        }
        Ok(items)
    }

    /// Describes a page and the next one, which begins at `next_offset`.
    fn pagination(
        &self,
        search: &SearchRequest,
        next_offset: f64,
    ) -> Result<Pagination, serde_json::Error> {
        let seconds = |time: Time| time.whole_second().to_string();
        let mut next = format!(
            "{}{ROOT}search?type={}&after={}&before={}",
            self.base,
            search.kind(),
            seconds(search.after),
            seconds(search.before)
        );
        for name in [
            "actionid",
            "actionname",
            "agentid",
            "agentname",
            "agentversion",
            "commandid",
            "foundanything",
            "investigatorid",
            "investigatorname",
            "status",
            "target",
            "threatfamily",
        ] {
            if let Some(value) = search.parameters.first(name) {
                next.push_str(&format!("&{name}={}", escaped(value)));
            }
        }
        next.push_str(&format!("&limit={}&offset={next_offset}", search.limit));
        Ok(Pagination { limit: number(search.limit)?, offset: number(search.offset)?, next })
    }
}

/// Encodes a text as a value of a query.
fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                value.push(char::from(byte));
            }
            b' ' => value.push('+'),
            byte => value.push_str(&format!("%{byte:02X}")),
        }
    }
    value
}
