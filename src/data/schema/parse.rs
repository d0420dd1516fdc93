//! Parses `schema.sql`, and the statements that SQLite stores.
//!
//! This is not an SQL parser: it knows only the format of that file, in which each column is one
//! line and each index is a statement of one line. Other lines are ignored.

use super::tables::{Column, Index, Schema, Table};

/// The beginning of a table.
const TABLE: &str = "create table ";
/// The text that SQLite omits when it stores a statement.
const IF_NOT_EXISTS: &str = "if not exists ";

impl Schema {
    /// Parses a text in the format of `schema.sql`.
    pub(in crate::data) fn parse(text: &str) -> Schema {
        let mut schema = Schema::default();
        let mut open: Option<String> = None;
        for line in text.lines() {
            let line = line.trim();
            let lower = line.to_lowercase();
            if let Some(rest) = lower.strip_prefix(TABLE) {
                let rest = rest.strip_prefix(IF_NOT_EXISTS).unwrap_or(rest);
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

/// Parses `create [unique] index [if not exists] NAME on TABLE [using btree] (COLUMNS)` in lower
/// case; returns the table and the index.
pub(super) fn read_index(line: &str) -> Option<(String, Index)> {
    let rest = line.strip_prefix("create ")?;
    let (is_unique, rest) = match rest.strip_prefix("unique ") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (_, target) = rest.strip_prefix("index ")?.split_once(" on ")?;
    let (table, columns) = target.trim_end_matches(';').split_once(" (")?;
    let table = table.strip_suffix(" using btree").unwrap_or(table);
    let table = table.rsplit('.').next().unwrap_or(table);
    // An index with an expression, or with a clause after its columns, is a different index.
    let columns = columns.strip_suffix(')').filter(|columns| !columns.contains(['(', ')']))?;
    Some((table.to_owned(), Index { columns: columns.to_owned(), is_unique }))
}

#[cfg(test)]
mod tests {
    use super::super::text::{for_postgres, for_sqlite};
    use super::*;

    #[test]
    fn schema_is_parsed_completely() {
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
    fn sqlite_has_the_same_tables_except_for_counted_ids() {
        let (wanted, mut is) = (Schema::parse(&for_postgres()), Schema::parse(&for_sqlite()));
        for table in ["investigators", "manifests", "loaders"] {
            let id = is.tables.get_mut(table).unwrap().columns.get_mut("id").unwrap();
            assert_eq!(id.kind, "integer");
            "numeric".clone_into(&mut id.kind);
        }
        assert_eq!(wanted, is);
    }

    #[test]
    fn index_is_parsed_as_postgres_writes_it() {
        let text = "create unique index a on public.t using btree (x, y desc)";
        let (table, index) = read_index(text).unwrap();
        assert_eq!((table.as_str(), index.columns.as_str()), ("t", "x, y desc"));
        assert!(index.is_unique);
        assert!(read_index("create index a on t using btree (x) where (x > 1)").is_none());
    }
}
