-- Only on PostgreSQL. References of a single column; MIG has no others.
select cast(tables.relname as text), cast(columns.attname as text), cast(others.relname as text)
from pg_constraint as rules
inner join pg_class as tables on tables.oid = rules.conrelid
inner join pg_class as others on others.oid = rules.confrelid
inner join pg_attribute as columns on columns.attrelid = tables.oid and columns.attnum = rules.conkey[1]
where rules.contype = 'f' and array_length(rules.conkey, 1) = 1 and pg_table_is_visible(tables.oid)
