select cast(coalesce(max(highest), 0) as bigint)
from (select max(id) as highest from actions
      union all select max(id) from commands
      union all select max(id) from agents) as ids
