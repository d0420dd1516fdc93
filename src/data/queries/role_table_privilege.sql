-- Only on PostgreSQL. Whether a role has a privilege on a table. No row if the role or the table is missing.
select cast(has_table_privilege(roles.oid, tables.oid, $3) as integer)
from pg_roles as roles
inner join pg_class as tables on tables.oid = to_regclass($2)
where roles.rolname = $1
