select count(*)
from (select queueloc from agents
      group by queueloc
      having sum(case when status in ('online', 'idle') then 1 else 0 end) = 0) as silent
