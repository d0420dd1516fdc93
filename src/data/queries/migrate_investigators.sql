-- Only on SQLite, for files of version 1, in which new investigators must be given an id explicitly. The tables
-- are created anew. References from other tables stay valid, because SQLite stores them by name.
alter table investigators rename to investigators_1;
{tables}
insert into investigators (id, name, pgpfingerprint, publickey, privatekey, status, createdat, lastmodified,
                           permissions, apikey, apisalt)
select id, name, pgpfingerprint, publickey, privatekey, status, createdat, lastmodified, permissions, apikey, apisalt
from investigators_1;
drop table investigators_1;
