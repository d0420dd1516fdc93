-- Only on PostgreSQL. Whether a role has a privilege on a column. No row if the role or the column is missing.
select cast(has_column_privilege(roles.oid, columns.attrelid, columns.attnum, $4) as integer)
from pg_roles as roles
inner join pg_attribute as columns on columns.attrelid = to_regclass($2) and columns.attname = $3
where roles.rolname = $1
