update investigators set apikey = $2, apisalt = $3, lastmodified = $4 where id = cast($1 as bigint)
