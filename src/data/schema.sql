-- The tables of MIG, named and typed as the platform has them. One text for both databases:
-- PostgreSQL takes the types as they are, SQLite takes their names as hints. In SQLite a time
-- is text in UTC with six decimals, 2026-11-22T00:59:27.656479Z: it sorts as the time does and
-- is what PostgreSQL reads as a timestamptz. An id is an integer in both.

create table if not exists actions (
    id             numeric not null primary key,
    name           varchar(2048) not null,
    target         varchar(2048) not null,
    description    json,
    threat         json,
    operations     json,
    validfrom      timestamptz not null,
    expireafter    timestamptz not null,
    starttime      timestamptz,
    finishtime     timestamptz,
    lastupdatetime timestamptz,
    status         varchar(256),
    syntaxversion  integer,
    pgpsignatures  varchar(4096) not null
);

create table if not exists agents (
    id              numeric not null primary key,
    name            varchar(2048) not null,
    queueloc        varchar(2048) not null,
    mode            varchar(2048) not null,
    version         varchar(2048) not null,
    pid             integer not null,
    starttime       timestamptz not null,
    destructiontime timestamptz,
    heartbeattime   timestamptz not null,
    refreshtime     timestamptz not null,
    status          varchar(255),
    environment     json,
    tags            json,
    loadername      varchar(2048)
);
create index if not exists agents_heartbeattime_idx on agents (heartbeattime desc);
create index if not exists agents_starttime_idx on agents (starttime desc);
create index if not exists agents_queueloc_pid_idx on agents (queueloc, pid);
create index if not exists agents_status_idx on agents (status);

create table if not exists commands (
    id         numeric not null primary key,
    actionid   numeric not null references actions (id),
    agentid    numeric not null references agents (id),
    status     varchar(255) not null,
    results    json,
    starttime  timestamptz not null,
    finishtime timestamptz
);
create index if not exists commands_agentid on commands (agentid desc);
create index if not exists commands_actionid on commands (actionid desc);

create table if not exists investigators (
    id             numeric not null primary key,
    name           varchar(1024) not null,
    pgpfingerprint varchar(128) unique,
    publickey      bytea,
    privatekey     bytea,
    status         varchar(255) not null,
    createdat      timestamptz not null,
    lastmodified   timestamptz not null,
    permissions    bigint not null default 0,
    apikey         bytea,
    apisalt        bytea
);

create table if not exists signatures (
    actionid       numeric not null references actions (id),
    investigatorid numeric not null references investigators (id),
    pgpsignature   varchar(4096) not null
);
create unique index if not exists signatures_actionid_investigatorid_idx on signatures (actionid, investigatorid);
create index if not exists signatures_actionid_idx on signatures (actionid);
create index if not exists signatures_investigatorid_idx on signatures (investigatorid);
