-- Only on SQLite, in a file of version 1: its investigators must be given an id by whoever adds them.
-- The tables are made again; what refers to them goes by their name.
alter table investigators rename to investigators_1;
{tables}
insert into investigators (id, name, pgpfingerprint, publickey, privatekey, status, createdat, lastmodified,
                           permissions, apikey, apisalt)
select id, name, pgpfingerprint, publickey, privatekey, status, createdat, lastmodified, permissions, apikey, apisalt
from investigators_1;
drop table investigators_1;
