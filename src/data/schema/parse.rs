//! Reads `schema.sql`, and what SQLite keeps of it.
//!
//! This is no parser of SQL: it knows the form of that one file, in which a column is a
//! line and an index a statement of one line. A line that it does not know says nothing.

use std::fmt;

use super::{Column, Index, Schema, Table};

/// How a table begins.
const TABLE: &str = "create table ";
/// What SQLite leaves out when it keeps the text of a table.
const CONDITION: &str = "if not exists ";

impl Schema {
    /// Returns the tables of a text of the form of `schema.sql`.
    pub(in crate::data) fn parse(text: &str) -> Schema {
        let mut schema = Schema::default();
        let mut open: Option<String> = None;
        for line in text.lines() {
            let line = line.trim();
            let lower = line.to_lowercase();
            if let Some(rest) = lower.strip_prefix(TABLE) {
                let rest = rest.strip_prefix(CONDITION).unwrap_or(rest);
                let name = rest.trim_end_matches(['(', ' ']).to_owned();
                schema.tables.entry(name.clone()).or_default();
                open = Some(name);
            } else if line.starts_with(')') {
                open = None;
            } else if let Some(table) = open.as_ref().and_then(|name| schema.tables.get_mut(name)) {
                table.read_column(line.trim_end_matches(','));
            } else if let Some((table, index)) = read_index(&lower) {
                schema.tables.entry(table).or_default().indexes.insert(index);
            }
        }
        schema
    }
}

impl Table {
    fn read_column(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some(name), Some(kind)) = (words.next(), words.next()) else { return };
        let has = |text: &str| line.contains(text);
        let column = Column {
            kind: kind.to_owned(),
            is_required: has(" not null"),
            has_default: has(" default ") || kind == "integer" && has(" primary key"),
        };
        if has(" primary key") {
            name.clone_into(&mut self.key);
        }
        if let Some((_, to)) = line.split_once(" references ") {
            let to = to.split([' ', '(']).next().unwrap_or_default();
            self.references.insert((name.to_owned(), to.to_owned()));
        }
        self.columns.insert(name.to_owned(), column);
    }
}

/// Reads `create [unique] index [if not exists] NAME on TABLE [using btree] (COLUMNS)`, in small
/// letters; returns the table and the index.
pub(super) fn read_index(line: &str) -> Option<(String, Index)> {
    let rest = line.strip_prefix("create ")?;
    let (is_unique, rest) = match rest.strip_prefix("unique ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (_, place) = rest.strip_prefix("index ")?.split_once(" on ")?;
    let (table, columns) = place.trim_end_matches(';').split_once(" (")?;
    let table = table.strip_suffix(" using btree").unwrap_or(table);
    let table = table.rsplit('.').next().unwrap_or(table);
    // Whatever comes after the columns makes it another index, and so does an expression.
    let columns = columns.strip_suffix(')').filter(|columns| !columns.contains(['(', ')']))?;
    Some((table.to_owned(), Index { columns: columns.to_owned(), is_unique }))
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required = if self.is_required { " not null" } else { "" };
        write!(f, "{}{required}", self.kind)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{for_postgres, for_sqlite};
    use super::*;

    #[test]
    fn the_schema_is_read_whole() {
        let schema = Schema::parse(&for_postgres());
        assert_eq!(schema.tables.len(), 12);
        let agents = &schema.tables["agents"];
        assert_eq!((agents.columns.len(), agents.indexes.len()), (14, 4));
        assert_eq!(agents.columns["name"].to_string(), "varchar(2048) not null");
        assert_eq!(agents.key, "id");
        let signatures = &schema.tables["signatures"];
        assert_eq!(signatures.references.len(), 2);
        assert!(signatures.key.is_empty());
        assert!(signatures.indexes.iter().any(|index| index.is_unique));
        let defaults = schema.tables["investigators"].columns.iter();
        let defaults: Vec<_> =
            defaults.filter(|(_, is)| is.has_default).map(|(name, _)| name).collect();
        assert_eq!(defaults, ["createdat", "id", "lastmodified", "permissions", "status"]);
    }

    #[test]
    fn sqlite_gets_the_same_tables_but_for_ids_that_it_counts() {
        let (wanted, mut is) = (Schema::parse(&for_postgres()), Schema::parse(&for_sqlite()));
        for table in ["investigators", "manifests", "loaders"] {
            let id = is.tables.get_mut(table).unwrap().columns.get_mut("id").unwrap();
            assert_eq!(id.kind, "integer");
            "numeric".clone_into(&mut id.kind);
        }
        assert_eq!(wanted, is);
    }

    #[test]
    fn an_index_is_read_as_the_server_writes_it() {
        let text = "create unique index a on public.t using btree (x, y desc)";
        let (table, index) = read_index(text).unwrap();
        assert_eq!((table.as_str(), index.columns.as_str()), ("t", "x, y desc"));
        assert!(index.is_unique);
        assert!(read_index("create index a on t using btree (x) where (x > 1)").is_none());
    }
}
