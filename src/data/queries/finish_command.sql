-- What is answered stays as it was answered first.
update commands set status = $2, results = $3, finishtime = $4
where id = cast($1 as bigint) and status = 'sent'
