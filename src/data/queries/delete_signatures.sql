delete from signatures where actionid = cast($1 as bigint)
