select investigators.id, investigators.name, coalesce(investigators.pgpfingerprint, ''),
       investigators.publickey, investigators.status, investigators.createdat, investigators.lastmodified,
       investigators.permissions
from investigators
inner join signatures on signatures.investigatorid = investigators.id
where signatures.actionid = cast($1 as bigint)
order by investigators.id
