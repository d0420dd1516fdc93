select id, name, coalesce(pgpfingerprint, ''), publickey, status, createdat, lastmodified, permissions
from investigators
where upper(pgpfingerprint) = upper($1)
