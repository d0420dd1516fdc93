select id, name, coalesce(pgpfingerprint, ''), publickey, status, createdat, lastmodified, permissions
from investigators
where id = cast($1 as bigint)
