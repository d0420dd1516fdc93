-- If $4 is given, the permissions are changed only if they are still $4.
update investigators set permissions = cast($2 as bigint), lastmodified = $3
where id = cast($1 as bigint) and (cast($4 as bigint) is null or permissions = cast($4 as bigint))
