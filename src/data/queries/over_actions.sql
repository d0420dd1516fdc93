-- Those of which nothing will change any more, and has not for long; a few at a time.
select actions.id
from actions
where (actions.status = 'completed' and actions.finishtime < $1)
   or (actions.status = 'invalid' and actions.lastupdatetime < $1)
order by actions.id
limit cast($2 as bigint)
