-- Only on PostgreSQL. No row if one of the two is missing.
select cast(pg_has_role(roles.oid, others.oid, 'member') as integer)
from pg_roles as roles
inner join pg_roles as others on others.rolname = $2
where roles.rolname = $1
