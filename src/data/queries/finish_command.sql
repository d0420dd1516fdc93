-- Only the first answer to a command is stored.
update commands set status = $2, results = $3, finishtime = $4
where id = cast($1 as bigint) and status = 'sent'
