update investigators set status = $2, lastmodified = $3
where id = cast($1 as bigint) and status <> $2
