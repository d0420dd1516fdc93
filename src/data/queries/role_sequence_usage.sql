-- Only on PostgreSQL. The sequences that number the rows of a table, and whether a role may use them. They are
-- found through the defaults of the table's columns, whatever their names. No row if the role or the table is missing.
select cast(sequences.relname as text), cast(has_sequence_privilege(roles.oid, sequences.oid, 'usage') as integer)
from pg_roles as roles
inner join pg_attrdef as defaults on defaults.adrelid = to_regclass($2)
inner join pg_depend as needs on needs.classid = cast('pg_attrdef' as regclass) and needs.objid = defaults.oid
inner join pg_class as sequences on sequences.oid = needs.refobjid and sequences.relkind = 'S'
where roles.rolname = $1 and needs.refclassid = cast('pg_class' as regclass)
order by sequences.relname
