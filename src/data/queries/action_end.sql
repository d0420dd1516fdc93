select actions.expireafter from actions where actions.id = cast($1 as bigint)
