-- The home timeline as tutorials have it: posts of followed users by a join, own posts by a union, all sorted.
-- Parameters and columns are those of timeline.sql. A first page has no bounds, so $2 and $3 do nothing here: as
-- conditions on post.id they would mislead the plan to read the whole table.
SELECT owner.value AS owner, entry.*
FROM unnest($1::bigint[]) AS owner (value) CROSS JOIN LATERAL (
  SELECT post.* FROM post JOIN follow ON follow.followed_id = post.author_id
    WHERE follow.follower_id = owner.value
  UNION
  SELECT post.* FROM post
    WHERE post.author_id = owner.value
  ORDER BY id DESC LIMIT $4
) AS entry
WHERE $2::bigint > $3::bigint
