update actions set status = 'invalid', starttime = $2, lastupdatetime = $2 where id = cast($1 as bigint)
