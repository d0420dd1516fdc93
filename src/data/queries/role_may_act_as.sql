-- Only on PostgreSQL. No row if one of the two is missing. From version 16 on, a member need not be allowed to act as
-- the other role.
select cast(case when cast(current_setting('server_version_num') as integer) >= 160000
                 then pg_has_role(roles.oid, others.oid, 'set')
                 else pg_has_role(roles.oid, others.oid, 'member') end as integer)
from pg_roles as roles
inner join pg_roles as others on others.rolname = $2
where roles.rolname = $1
