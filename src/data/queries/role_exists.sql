-- Only on PostgreSQL.
select 1 from pg_roles where rolname = $1
