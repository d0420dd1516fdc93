update actions set status = 'completed', finishtime = $2, lastupdatetime = $2
where id = cast($1 as bigint) and status <> 'completed'
