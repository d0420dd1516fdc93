delete from agents where id = cast($1 as bigint) and heartbeattime < $2
