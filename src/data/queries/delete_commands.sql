delete from commands where actionid = cast($1 as bigint)
