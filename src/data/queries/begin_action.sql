update actions set status = 'inflight', starttime = $2, lastupdatetime = $2 where id = cast($1 as bigint)
