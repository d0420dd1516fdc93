-- Only on PostgreSQL. Whether a role may act as another role. No row if one of the two is missing. Since version
-- 16, membership alone is not sufficient.
select cast(case when cast(current_setting('server_version_num') as integer) >= 160000
                 then pg_has_role(roles.oid, others.oid, 'set')
                 else pg_has_role(roles.oid, others.oid, 'member') end as integer)
from pg_roles as roles
inner join pg_roles as others on others.rolname = $2
where roles.rolname = $1
