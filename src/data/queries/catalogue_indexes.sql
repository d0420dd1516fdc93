-- Only on PostgreSQL. Invalid indexes, which are being built or could not be built, do not count.
select cast(tables.relname as text), cast(indexes.indisprimary as integer), pg_get_indexdef(indexes.indexrelid)
from pg_index as indexes
inner join pg_class as tables on tables.oid = indexes.indrelid
inner join pg_namespace as schemas on schemas.oid = tables.relnamespace
where indexes.indisvalid and pg_table_is_visible(tables.oid)
      and schemas.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
