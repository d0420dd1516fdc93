-- With $4 only if the permissions are still those that the new ones were made of.
update investigators set permissions = cast($2 as bigint), lastmodified = $3
where id = cast($1 as bigint) and (cast($4 as bigint) is null or permissions = cast($4 as bigint))
