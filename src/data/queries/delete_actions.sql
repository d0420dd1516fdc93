delete from actions where id = cast($1 as bigint)
