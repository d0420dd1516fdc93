-- Only on PostgreSQL. Booleans are returned as 1 and 0.
select cast(tables.relname as text), cast(columns.attname as text),
       format_type(columns.atttypid, columns.atttypmod), cast(columns.attnotnull as integer),
       cast(columns.atthasdef as integer)
from pg_attribute as columns
inner join pg_class as tables on tables.oid = columns.attrelid
inner join pg_namespace as schemas on schemas.oid = tables.relnamespace
where tables.relkind in ('r', 'p') and columns.attnum > 0 and not columns.attisdropped
      and pg_table_is_visible(tables.oid) and schemas.nspname not in ('pg_catalog', 'information_schema')
