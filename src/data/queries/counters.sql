select status, count(*) from commands where actionid = cast($1 as bigint) group by status
