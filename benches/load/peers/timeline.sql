-- The home timeline by Rookery's k-way merge (src/loaders/timeline.rs), forward, without the
-- authors. $1: the owners, bigint[]. $2 and $3: the exclusive bounds, 9223372036854775807 and 0 for
-- a first page. $4: the number of posts. The rows are not ordered.
SELECT owner.value AS owner, post.*
FROM unnest($1::bigint[]) AS owner (value) CROSS JOIN LATERAL (
  WITH head AS MATERIALIZED (
    SELECT source.author, nearest.id AS best FROM (SELECT owner.value AS author
      UNION ALL SELECT followed_id FROM follow WHERE follower_id = owner.value) AS source
    CROSS JOIN LATERAL (SELECT id FROM post WHERE author_id = source.author
      AND id < $2 AND id > $3 ORDER BY id DESC LIMIT 1) AS nearest
    ORDER BY nearest.id DESC LIMIT $4)
  SELECT author, id FROM (
    SELECT head.author, page.id FROM head CROSS JOIN LATERAL (SELECT id FROM post
      WHERE author_id = head.author AND id < $2 AND id > $3 AND id >= (
        SELECT CASE WHEN count(*) = $4 THEN min(best) ELSE $3 END FROM head)
      ORDER BY id DESC LIMIT $4) AS page
    ORDER BY page.id DESC LIMIT $4) AS page
  UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM (SELECT owner.value AS author
      UNION ALL SELECT followed_id FROM follow WHERE follower_id = owner.value) AS source
    CROSS JOIN LATERAL (SELECT id FROM post
      WHERE author_id = source.author AND id >= $2 LIMIT 1) AS beyond
    WHERE $2 < 9223372036854775807 LIMIT 1) AS newer
  UNION ALL SELECT author, id FROM (SELECT source.author, beyond.id FROM (SELECT owner.value AS author
      UNION ALL SELECT followed_id FROM follow WHERE follower_id = owner.value) AS source
    CROSS JOIN LATERAL (SELECT id FROM post
      WHERE author_id = source.author AND id <= $3 LIMIT 1) AS beyond
    WHERE $3 > 0 LIMIT 1) AS older
) AS entry JOIN post ON post.author_id = entry.author AND post.id = entry.id
