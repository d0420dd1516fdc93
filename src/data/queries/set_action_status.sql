update actions set status = $2, lastupdatetime = $3 where id = cast($1 as bigint)
