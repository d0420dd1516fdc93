-- Only on PostgreSQL. Whether a role may use the schema of a table, connect to this database, and log in. No row
-- if the role or the table is missing.
select cast(places.nspname as text), cast(has_schema_privilege(roles.oid, places.oid, 'usage') as integer),
       cast(current_database() as text),
       cast(has_database_privilege(roles.oid, current_database(), 'connect') as integer),
       cast(roles.rolcanlogin as integer)
from pg_roles as roles
inner join pg_class as tables on tables.oid = to_regclass($2)
inner join pg_namespace as places on places.oid = tables.relnamespace
where roles.rolname = $1
