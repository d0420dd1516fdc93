-- The tables of MIG, with the names and types of the original platform: its programs and ours can use a
-- database created by either. The file can be run again: existing tables and roles stay unchanged.
--
-- The SQL is PostgreSQL's. SQLite gets the part before the roles, with three changes that schema/text.rs
-- makes line by line: there are no sequences, SQLite itself counts the ids of such tables, and it has
-- another expression for now(). In SQLite a time is text in UTC with six decimals,
-- 2026-11-22T00:59:27.656479Z: it sorts by time, and PostgreSQL can parse it as a timestamptz. An id is a
-- whole number in both.
--
-- Every column is one line, and every index is a statement of one line: schema/parse.rs parses them to
-- compare a database with this file.

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

create table if not exists agents_stats (
    timestamp              timestamptz not null,
    online_agents          numeric,
    online_agents_by_version json,
    online_endpoints       numeric,
    idle_agents            numeric,
    idle_agents_by_version json,
    idle_endpoints         numeric,
    new_endpoints          numeric,
    multi_agents_endpoints numeric,
    disappeared_endpoints  numeric,
    flapping_endpoints     numeric
);

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

-- The original has no defaults for the status and the times. With these, an investigator can be inserted by
-- name and fingerprint alone, and has no permissions until they are granted.
create sequence if not exists investigators_id_seq;
create table if not exists investigators (
    id             numeric not null primary key default nextval('investigators_id_seq'),
    name           varchar(1024) not null,
    pgpfingerprint varchar(128),
    publickey      bytea,
    privatekey     bytea,
    status         varchar(255) not null default 'active',
    createdat      timestamptz not null default now(),
    lastmodified   timestamptz not null default now(),
    permissions    bigint not null default 0,
    apikey         bytea,
    apisalt        bytea
);
create unique index if not exists investigators_pgpfingerprint_idx on investigators (pgpfingerprint);

create table if not exists signatures (
    actionid       numeric not null references actions (id),
    investigatorid numeric not null references investigators (id),
    pgpsignature   varchar(4096) not null
);
create unique index if not exists signatures_actionid_investigatorid_idx on signatures (actionid, investigatorid);
create index if not exists signatures_actionid_idx on signatures (actionid);
create index if not exists signatures_investigatorid_idx on signatures (investigatorid);

-- The following tables are used only by the original's loaders and by its permissions for modules.

create table if not exists modules (
    id   numeric not null primary key,
    name varchar(256) not null
);

create table if not exists agtmodreq (
    moduleid      numeric not null references modules (id),
    agentid       numeric not null,
    minimumweight integer not null
);
create unique index if not exists agtmodreq_moduleid_agentid_idx on agtmodreq (moduleid, agentid);
create index if not exists agtmodreq_agentid_idx on agtmodreq (agentid);
create index if not exists agtmodreq_moduleid_idx on agtmodreq (moduleid);

create table if not exists invagtmodperm (
    investigatorid numeric not null references investigators (id),
    agentid        numeric not null references agents (id),
    moduleid       numeric not null references modules (id),
    weight         integer not null
);
create unique index if not exists invagtmodperm_investigatorid_agentid_moduleid_idx on invagtmodperm (investigatorid, agentid, moduleid);
create index if not exists invagtmodperm_agentid_idx on invagtmodperm (agentid);
create index if not exists invagtmodperm_investigatorid_idx on invagtmodperm (investigatorid);
create index if not exists invagtmodperm_moduleid_idx on invagtmodperm (moduleid);

create sequence if not exists manifests_id_seq;
create table if not exists manifests (
    id        numeric not null primary key default nextval('manifests_id_seq'),
    name      varchar(256) not null,
    content   text not null,
    timestamp timestamptz not null,
    status    varchar(255) not null,
    target    varchar(2048) not null
);

create table if not exists manifestsig (
    manifestid     numeric not null references manifests (id),
    investigatorid numeric not null,
    pgpsignature   varchar(4096) not null
);
create unique index if not exists manifestsig_manifestid_investigatorid_idx on manifestsig (manifestid, investigatorid);

create sequence if not exists loaders_id_seq;
create table if not exists loaders (
    id         numeric not null primary key default nextval('loaders_id_seq'),
    loadername varchar(256) not null,
    keyprefix  varchar(256) not null,
    loaderkey  bytea not null,
    salt       bytea not null,
    name       varchar(2048),
    env        json,
    tags       json,
    lastseen   timestamptz not null,
    enabled    boolean not null default false,
    expectenv  varchar(2048),
    queueloc   varchar(2048)
);
create unique index if not exists loaders_loadername_idx on loaders (loadername);
create unique index if not exists loaders_loaderkey_idx on loaders (loaderkey);
create unique index if not exists loaders_keyprefix_idx on loaders (keyprefix);
create unique index if not exists loaders_queueloc_idx on loaders (queueloc);

-- Roles. Existing ones stay unchanged. New ones have no password and cannot log in over the network until
-- they are given one, for example with \password in psql.

do $$
declare
    role record;
begin
    for role in
        select * from (values ('migadmin', 'login'), ('migscheduler', 'login'), ('migapi', 'login'),
                              ('migreadonly', 'nologin')) as wanted (name, login)
        where not exists (select from pg_roles where rolname = wanted.name)
    loop
        begin
            execute format('create role %I nosuperuser nocreatedb nocreaterole %s', role.name, role.login);
        exception when duplicate_object or unique_violation then
            -- Roles belong to the whole server: another session has just created it for another database.
            null;
        end;
    end loop;
    -- All roles may connect by default. This restores the privilege where an administrator has revoked it.
    execute format('grant connect on database %I to migadmin, migscheduler, migapi', current_database());
end
$$;

grant usage on schema public to migadmin, migscheduler, migapi, migreadonly;

alter table actions owner to migadmin;
alter table agents owner to migadmin;
alter table agents_stats owner to migadmin;
alter table agtmodreq owner to migadmin;
alter table commands owner to migadmin;
alter table invagtmodperm owner to migadmin;
alter table investigators owner to migadmin;
alter table loaders owner to migadmin;
alter table manifests owner to migadmin;
alter table manifestsig owner to migadmin;
alter table modules owner to migadmin;
alter table signatures owner to migadmin;
alter sequence investigators_id_seq owner to migadmin;
alter sequence loaders_id_seq owner to migadmin;
alter sequence manifests_id_seq owner to migadmin;

-- The scheduler reads everything, including its own private key, and writes the state of agents and actions.
grant select on all tables in schema public to migscheduler;
grant insert, update on actions, agents, agents_stats, commands, signatures to migscheduler;
grant insert on investigators to migscheduler;
grant usage on investigators_id_seq to migscheduler;

-- The API cannot read private keys.
grant select on actions, agents, agents_stats, agtmodreq, commands, invagtmodperm, loaders, manifests, manifestsig, modules, signatures to migapi;
grant select (id, name, pgpfingerprint, publickey, status, createdat, lastmodified, permissions, apikey, apisalt) on investigators to migapi;
grant insert on actions, agents, loaders, manifests, manifestsig, signatures to migapi;
grant insert (name, pgpfingerprint, publickey, status, createdat, lastmodified, permissions) on investigators to migapi;
grant update on agents to migapi;
grant update (status, lastmodified, permissions, apikey, apisalt) on investigators to migapi;
grant update (name, env, tags, loaderkey, salt, lastseen, enabled, expectenv, queueloc) on loaders to migapi;
grant update (status) on manifests to migapi;
grant delete on manifestsig to migapi;
grant usage on investigators_id_seq, loaders_id_seq, manifests_id_seq to migapi;

-- Targets are SQL conditions written by investigators. They are evaluated as a role that cannot write and
-- cannot read keys or passwords.
grant select on actions, agents, agtmodreq, commands, invagtmodperm, modules, signatures to migreadonly;
grant select (id, name, pgpfingerprint, publickey, status, createdat, lastmodified) on investigators to migreadonly;
grant select (id, loadername, env, tags, expectenv, queueloc) on loaders to migreadonly;
grant migreadonly to migapi, migscheduler;
