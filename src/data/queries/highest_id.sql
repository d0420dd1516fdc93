-- The platform generates no ids above 2^53. A higher number was inserted by hand and is ignored.
select cast(coalesce(max(highest), 0) as bigint)
from (select max(id) as highest from actions where id between 0 and 9007199254740991
      union all select max(id) from commands where id between 0 and 9007199254740991
      union all select max(id) from agents where id between 0 and 9007199254740991) as ids
