-- An existing key is not replaced.
update investigators set publickey = $2, lastmodified = $3
where id = cast($1 as bigint) and (publickey is null or length(publickey) = 0)
