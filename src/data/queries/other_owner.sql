-- Only on PostgreSQL. The owner of a table, if a role lacks the owner's rights. No row if the role or the table is
-- missing.
select cast(owners.rolname as text)
from pg_roles as roles
inner join pg_class as tables on tables.oid = to_regclass($2)
inner join pg_roles as owners on owners.oid = tables.relowner
where roles.rolname = $1 and not pg_has_role(roles.oid, owners.oid, 'usage')
