-- At most $2 actions that completed or became invalid before $1.
select actions.id
from actions
where (actions.status = 'completed' and actions.finishtime < $1)
   or (actions.status = 'invalid' and actions.lastupdatetime < $1)
order by actions.id
limit cast($2 as bigint)
