insert into actions (id, name, target, description, threat, operations, validfrom, expireafter,
                     starttime, finishtime, lastupdatetime, status, syntaxversion, pgpsignatures)
values (cast($1 as bigint), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
