select id, name, coalesce(pgpfingerprint, ''), publickey, status, createdat, lastmodified, permissions
from investigators
where name = $1
order by id
