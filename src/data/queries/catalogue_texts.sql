-- Only on SQLite, which stores the statements that created tables and indexes.
select sql from sqlite_master where sql is not null
