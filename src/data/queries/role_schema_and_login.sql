-- Only on PostgreSQL. Whether a role may use the schema of a table, connect to this database, and log in. No row
-- if the role or the table is missing.
select cast(schemas.nspname as text), cast(has_schema_privilege(roles.oid, schemas.oid, 'usage') as integer),
       cast(current_database() as text),
       cast(has_database_privilege(roles.oid, current_database(), 'connect') as integer),
       cast(roles.rolcanlogin as integer)
from pg_roles as roles
inner join pg_class as tables on tables.oid = to_regclass($2)
inner join pg_namespace as schemas on schemas.oid = tables.relnamespace
where roles.rolname = $1
