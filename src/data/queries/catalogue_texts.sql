-- Only on SQLite. It keeps what it was given.
select sql from sqlite_master where sql is not null
