-- The number of online and of idle agents by version. Within a queue, only the agent with the latest heartbeat
-- counts; one whose heartbeat is infinite or not a time comes last.
select status, version, count(*)
from (select status, version,
             row_number() over (
                 partition by queueloc
                 order by case when heartbeattime < '9999-12-31 00:00:00+00' then 0 else 1 end, heartbeattime desc
             ) as position
      from agents
      where status in ('online', 'idle')) as ranked
where position = 1
group by status, version
