insert into signatures (actionid, investigatorid, pgpsignature)
values (cast($1 as bigint), cast($2 as bigint), $3)
