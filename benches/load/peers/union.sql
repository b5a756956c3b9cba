-- The home timeline in the form of tutorials: posts of followed users by a join, own posts by a
-- union, then a sort. Parameters and columns are those of timeline.sql. $2 and $3 have no effect,
-- because a first page has no bounds. As conditions on post.id they would lead to a plan that reads
-- the whole table.
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
